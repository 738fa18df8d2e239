"""Inputs that nothing reads."""

from __future__ import annotations

from collections.abc import Collection

import onnx

from .dataflow import needed_nodes


def without_unread_inputs(model: onnx.ModelProto, also: Collection[str] = ()) -> onnx.ModelProto:
    """`model` without the inputs on which no output and none of the tensors `also` depend, and without the nodes that read them;
    `model` itself if there are none."""
    graph = model.graph
    kept, needed = needed_nodes(graph, [*also, *(value.name for value in graph.output)])
    if needed.issuperset(value.name for value in graph.input):
        return model
    trimmed = onnx.ModelProto()
    trimmed.CopyFrom(model)
    del trimmed.graph.node[:], trimmed.graph.input[:]
    trimmed.graph.node.extend(kept)
    trimmed.graph.input.extend(value for value in graph.input if value.name in needed)
    return trimmed
