"""How large the tensors of a model are, before anything runs it."""

from __future__ import annotations

import math

import onnx

from ..errors import ModelError
from ..memory_bound import in_words, memory_bound

BYTES = 4  # of a value


def check_tensor_sizes(model: onnx.ModelProto, where: str) -> None:
    """Raise ModelError, with `where`, for a tensor of one sample that takes more memory than there may be. model: for one sample, with as many shapes
    as onnx can infer."""
    graph, bound = model.graph, memory_bound()
    for value in (*graph.input, *graph.value_info, *graph.output):
        size = BYTES * math.prod(dim.dim_value for dim in value.type.tensor_type.shape.dim if dim.HasField("dim_value"))
        if size > bound:
            node = next((f"{node.op_type} {node.name!r}: " for node in graph.node if value.name in node.output), "")
            raise ModelError(
                where,
                f"{node}tensor {value.name!r} asks for {in_words(size)} of memory for one sample",
                f"at most {in_words(bound)}",
                "look at its pads, dilations and shapes",
            )
