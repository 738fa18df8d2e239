"""Graphs inside nodes of a graph: the bodies of If, Loop and Scan."""

from __future__ import annotations

import onnx


def subgraphs(proto: onnx.NodeProto) -> list[onnx.GraphProto]:
    """Those of the node itself."""
    return [attribute.g for attribute in proto.attribute if attribute.type == onnx.AttributeProto.GRAPH]


def captured(proto: onnx.NodeProto) -> set[str]:
    """Tensors from outside that the node's subgraphs (If, Loop, Scan) read."""
    names: set[str] = set()
    for graph in subgraphs(proto) if proto.attribute else ():
        own = (
            {value.name for value in graph.input}
            | {tensor.name for tensor in graph.initializer}
            | {name for node in graph.node for name in node.output}
        )
        names |= {name for node in graph.node for name in (*node.input, *captured(node)) if name} - own
        names |= {value.name for value in graph.output} - own
    return names
