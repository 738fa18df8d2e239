"""Which tensors of an ONNX graph depend on the values that it is given, and which are constants."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from .subgraphs import captured

SHAPES = ("Shape", "Size")  # read no values
FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)


def fed_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Inputs that need data: those that no initializer gives a value to."""
    constants = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in constants]


def constants_of(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """The graph's own constants by name: initializers and the values of Constant nodes, large ones maybe as external data."""
    return {tensor.name: tensor for tensor in graph.initializer} | {
        node.output[0]: attribute.t for node in graph.node if node.op_type == "Constant" for attribute in node.attribute if attribute.name == "value"
    }


def data_tensors(graph: onnx.GraphProto) -> set[str]:
    """Names of the graph's inputs and of all that is computed from their values, not from their shapes alone."""
    found = {value.name for value in fed_inputs(graph)}
    for node in graph.node:
        if node.op_type not in SHAPES and found.intersection((*node.input, *captured(node))):
            found.update(filter(None, node.output))
    return found


def needed_nodes(graph: onnx.GraphProto, wanted: Iterable[str], given: Iterable[str] = ()) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that the tensors `wanted` are computed with where those `given` are known, in order; and the names of all tensors that these
    nodes read, subgraphs included, with `wanted` itself."""
    names, nodes, known = set(wanted), [], {"", *given}
    for node in reversed(graph.node):
        if names.intersection(node.output) - known:
            names.update(filter(None, node.input), captured(node))
            nodes.append(node)
    return nodes[::-1], names


def floats(model: onnx.ModelProto) -> list[str]:
    """Float tensors that depend on data, in order: they show whether samples mix where a label may hide it."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    kinds = {value.name: value.type.tensor_type.elem_type for value in (*inferred.value_info, *inferred.output)}
    found = data_tensors(model.graph)
    return [name for node in model.graph.node for name in node.output if name in found and kinds.get(name) in FLOATS]
