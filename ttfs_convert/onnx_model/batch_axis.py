"""Which inputs of a model have no axis for the batch, and so take one sample at a time.

An axis of unknown size, or of size 1, in front of an input counts samples. One of a fixed size k > 1 may be a batch of k or the first axis of
a sample. It is a sample's

1. if the model itself puts an axis of size 1 in front of it (Unsqueeze);
2. else unless some output follows it: has k times as many rows as for one, or k rows, which of an input of one axis proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx

from .dataflow import constants_of, fed_inputs
from .session import quiet_options, session

ELEMENTWISE = ("Add", "Cast", "Clip", "Div", "Identity", "Mul", "Neg", "Relu", "Sub")


def unbatched_inputs(model: onnx.ModelProto, folder: Path) -> tuple[str, ...]:
    """Names of the inputs of `model` without an axis for the batch. folder: of the model's external data; the model is written there where
    it has to be run."""
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in fed_inputs(model.graph)}
    open_ones = {name: shape[0] for name, shape in shapes.items() if shape and shape[0] > 1}
    if not open_ones or not all(min(shape, default=1) > 0 for name, shape in shapes.items() if name in open_ones):
        return ()
    given = {name for name in open_ones if _is_unsqueezed(name, len(shapes[name]), model.graph)}
    if given:
        return tuple(name for name in open_ones if name in given or len(open_ones) == len(shapes))
    declared, single = (_rows(model, folder, sizes) for sizes in (open_ones, dict.fromkeys(open_ones, 1)))
    return () if declared is None else tuple(name for name, size in open_ones.items() if not _is_followed(size, len(shapes[name]), declared, single))


def _is_followed(size: int, axes: int, declared: Iterable[int], single: Iterable[int] | None) -> bool:
    return any(rows == size * alone for rows, alone in zip(declared, single or ())) or (axes > 1 and size in declared)


def _is_unsqueezed(name: str, rank: int, graph: onnx.GraphProto) -> bool:
    """Whether an Unsqueeze of axis 0 reads the input, or what operators between have made of its elements."""
    constants, same = constants_of(graph), {name}
    for node in graph.node:
        if node.op_type in ELEMENTWISE and same.intersection(node.input):
            same.update(node.output)
        if node.op_type == "Unsqueeze" and node.input[0] in same:
            axes = [attribute.ints for attribute in node.attribute if attribute.name == "axes"] or [
                onnx.numpy_helper.to_array(constants[axis]).reshape(-1) for axis in node.input[1:] if axis in constants
            ]
            if any(axis % (rank + len(each)) == 0 for each in axes for axis in each):
                return True
    return False


def _rows(model: onnx.ModelProto, folder: Path, sizes: dict[str, int]) -> list[int] | None:
    """Sizes of the outputs' first axes (1 without one) where those of the inputs are `sizes`; None if the model does not run so."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    feeds = {}
    for value in fed_inputs(probe.graph):
        tensor = value.type.tensor_type
        shape = [sizes.get(value.name, 1) if axis == 0 else max(dim.dim_value, 1) for axis, dim in enumerate(tensor.shape.dim)]
        if value.name in sizes:
            tensor.shape.dim[0].dim_value = sizes[value.name]
        feeds[value.name] = np.zeros(shape, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    for value in probe.graph.output:
        value.type.tensor_type.ClearField("shape")
    del probe.graph.value_info[:]
    onnx.save(probe, str(folder / "batch.onnx"))
    try:
        results = session(folder / "batch.onnx", quiet_options(optimised=False)).run(None, feeds)
    except Exception:  # see `session`
        return None
    return [len(result) if isinstance(result, (np.ndarray, list)) and np.ndim(result) else 1 for result in results]
