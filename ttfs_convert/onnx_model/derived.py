"""Tensors that a model does not have, and which are functions of those that it has: what the layers of a rewritten node stand for.

They are kept as an ONNX model that reads tensors of another one by name; its nodes, put behind that one's, compute them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import onnx

from .dataflow import needed_nodes


def derived_model(nodes: Sequence[onnx.NodeProto], constants: Mapping[str, np.ndarray], like: onnx.ModelProto) -> onnx.ModelProto:
    """Of `nodes`, in topological order, and the constants that they read, for the opset of `like`; its outputs are all their tensors."""
    read = {name for node in nodes for name in node.input}
    given = {name for node in nodes for name in node.output}
    graph = onnx.helper.make_graph(
        nodes,
        "derived",
        [onnx.helper.make_empty_tensor_value_info(name) for name in sorted(filter(None, read - given - constants.keys()))],
        [onnx.helper.make_empty_tensor_value_info(name) for node in nodes for name in node.output],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items() if name in read],
    )
    return onnx.helper.make_model(graph, opset_imports=like.opset_import, ir_version=like.ir_version)


def with_derived(model: onnx.ModelProto, derived: onnx.ModelProto | None) -> onnx.ModelProto:
    """`model` with the nodes of `derived` behind its own and the same outputs; `model` itself if there are none."""
    if derived is None:
        return model
    found = onnx.ModelProto()
    found.CopyFrom(model)
    found.graph.node.extend(derived.graph.node)
    found.graph.initializer.extend(derived.graph.initializer)
    return found


def read_by(derived: onnx.ModelProto) -> list[str]:
    """Names of the tensors that it is a function of."""
    return [value.name for value in derived.graph.input]


def tensors_of(derived: onnx.ModelProto) -> list[str]:
    """Names of the tensors that it gives."""
    return [name for node in derived.graph.node for name in node.output]


def part_of_derived(derived: onnx.ModelProto, wanted: Iterable[str], names: Mapping[str, str], known: Collection[str]) -> onnx.ModelProto | None:
    """The part of `derived` that gives the tensors `wanted`, as far as those that it reads are `known`; it reads them by their names in
    `names`, if they have others there. None if nothing is left."""
    lost, nodes = {name for name in read_by(derived) if names.get(name, name) not in known}, []
    for node in derived.graph.node:
        if lost.intersection(node.input):
            lost.update(node.output)
        else:
            renamed = onnx.NodeProto()
            renamed.CopyFrom(node)
            renamed.input[:] = [names.get(name, name) for name in node.input]
            nodes.append(renamed)
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in derived.graph.initializer}
    whole = derived_model(nodes, constants, derived)
    kept, _ = needed_nodes(whole.graph, [name for name in wanted if name not in lost])
    return derived_model(kept, constants, derived) if kept else None
