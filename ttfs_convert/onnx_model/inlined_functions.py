"""Operators that ONNX Runtime has no kernel for and computes by others: in a simplified graph they become one node again."""

from __future__ import annotations

import onnx

from .dataflow import needed_nodes

WHOLE = ("Attention", "GroupNormalization", "RMSNormalization")  # operators that conversion knows a better form of
MARK = "_inlfunc_"  # in the names of what stands in their place


def with_whole_functions(graph: onnx.ModelProto, before: onnx.ModelProto) -> onnx.ModelProto:
    """`graph` with the nodes that `before`, of which it is a simplification, has of the operators `WHOLE`, in place of those that compute
    them; where it still has all their inputs."""
    known = {tensor.name for tensor in graph.graph.initializer} | {value.name for value in graph.graph.input}
    makers = {name: node for node in graph.graph.node for name in node.output}
    known |= makers.keys()
    places = {node.output[0]: node for node in before.graph.node if _inlined(node, makers) and known.issuperset(filter(None, node.input))}
    if not places:
        return graph
    found = onnx.ModelProto()
    found.CopyFrom(graph)
    del found.graph.node[:]
    found.graph.node.extend(places.get(node.output[0], node) for node in graph.graph.node)
    kept, needed = needed_nodes(found.graph, [value.name for value in graph.graph.output])
    whole = onnx.helper.make_graph(
        kept,
        graph.graph.name,
        graph.graph.input,
        graph.graph.output,
        [tensor for tensor in graph.graph.initializer if tensor.name in needed],
        value_info=[value for value in graph.graph.value_info if value.name in needed and MARK not in value.name],
    )
    return onnx.helper.make_model(whole, opset_imports=graph.opset_import, ir_version=graph.ir_version)


def _inlined(node: onnx.NodeProto, makers: dict[str, onnx.NodeProto]) -> bool:
    """Whether others compute it, whose outputs are its own."""
    if node.op_type not in WHOLE or node.domain or not all(name in makers for name in filter(None, node.output)):
        return False
    maker = makers[node.output[0]]
    return maker.op_type != node.op_type and any(MARK in name for name in maker.input)
