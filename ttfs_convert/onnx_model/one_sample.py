"""A model for one sample at a time, whatever batch it was exported for."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx

from ..errors import ModelError
from .dataflow import constants_of, fed_inputs


def fix_batch(model: onnx.ModelProto, unbatched: Collection[str], where: str) -> None:
    """Set the batch of every input of `model` but the `unbatched` to 1, in place, and forget the shapes that follow from it. Raises ModelError,
    with `where`, for an output that is no tensor."""
    for value in fed_inputs(model.graph):
        for dim in value.type.tensor_type.shape.dim[: value.name not in unbatched]:
            dim.ClearField("dim_param")
            dim.dim_value = 1
    for value in model.graph.output:
        if not value.type.HasField("tensor_type"):
            raise ModelError(
                where,
                f"output {value.name!r} is a {value.type.WhichOneof('value')}",
                "tensors",
                "export without ZipMap (skl2onnx: options={'zipmap': False})",
            )
        value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]


def declared_batch(model: onnx.ModelProto, unbatched: Collection[str]) -> int:
    """Samples that the model takes at a time; 1 where it takes any number."""
    sizes = [
        value.type.tensor_type.shape.dim[0].dim_value
        for value in fed_inputs(model.graph)
        if value.name not in unbatched and value.type.tensor_type.shape.dim
    ]
    return max(sizes, default=1)


def free_reshapes(model: onnx.ModelProto, declared: int) -> None:
    """Let every Reshape to a constant shape of `declared` rows, which holds the batch that the model was exported for, make one row."""
    shapes = constants_of(model.graph)
    for node in model.graph.node:
        constant = shapes.get(node.input[1]) if node.op_type == "Reshape" and len(node.input) > 1 else None
        if constant is None or constant.data_location == onnx.TensorProto.EXTERNAL:
            continue
        shape = onnx.numpy_helper.to_array(constant)
        if shape.ndim == 1 and shape.size and shape[0] == declared:
            name = f"{node.output[0]}/one_row"
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.concatenate([[1], shape[1:]]).astype(np.int64), name))
            node.input[1] = name
