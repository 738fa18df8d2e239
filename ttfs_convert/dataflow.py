"""Which tensors of an ONNX graph depend on the values that it is given."""

from __future__ import annotations

import onnx

from .lowering.values import captured

SHAPES = ("Shape", "Size")  # read no values


def data_tensors(graph: onnx.GraphProto) -> set[str]:
    """Names of the graph's inputs and of all that is computed from their values, not from their shapes alone."""
    constants = {tensor.name for tensor in graph.initializer}
    found = {value.name for value in graph.input} - constants
    for node in graph.node:
        if node.op_type not in SHAPES and found.intersection((*node.input, *captured(node))):
            found.update(filter(None, node.output))
    return found
