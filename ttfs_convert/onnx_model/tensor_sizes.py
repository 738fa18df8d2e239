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
    graph = model.graph
    for value in (*graph.input, *graph.value_info, *graph.output):
        _check(value, where, graph, "one sample", "look at its pads, dilations and shapes")


def check_input_sizes(model: onnx.ModelProto, where: str) -> None:
    """Likewise for an input with all the samples that its shape declares."""
    for value in model.graph.input:
        _check(value, where, model.graph, "the batch that it declares", "export it with a smaller batch, or one of any size")


def _check(value: onnx.ValueInfoProto, where: str, graph: onnx.GraphProto, samples: str, remedy: str) -> None:
    size = BYTES * math.prod(dim.dim_value for dim in value.type.tensor_type.shape.dim if dim.HasField("dim_value"))
    if size > (bound := memory_bound()):
        node = next((f"{node.op_type} {node.name!r}: " for node in graph.node if value.name in node.output), "")
        found = f"{node}tensor {value.name!r} asks for {in_words(size)} of memory for {samples}"
        raise ModelError(where, found, f"at most {in_words(bound)}", remedy)
