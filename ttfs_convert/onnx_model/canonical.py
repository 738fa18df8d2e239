"""The same model in the words that conversion reads: what a file may say in several ways is said in one.

1. Functions of the model's own            -> their operators (`onnx.inliner`)
2. Initializers that are inputs too (IR 3) -> constants, which ONNX Runtime folds; nobody feeds them here
3. Sparse initializers and constants        -> dense ones
4. Nodes of one name                       -> nodes of different names, as ONNX Runtime demands
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx

from .dataflow import fed_inputs

OVERRIDABLE = 3  # last version of the file format in which every initializer is an input


def runnable(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model`, changed in place, or what the inliner makes of it. Inputs that need data, outputs and what is computed stay as they are."""
    if model.functions:
        import onnx.inliner  # not a part of onnx until it is imported

        own = {function.domain for function in model.functions}
        model = onnx.inliner.inline_local_functions(model)
        imports = [entry for entry in model.opset_import if entry.domain not in own or entry.domain in ("", "ai.onnx")]
        del model.opset_import[:]
        model.opset_import.extend(imports)
    _without_overridable(model)
    for graph in _graphs(model.graph):
        _make_dense(graph)
        _rename(graph)
    return model


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """`graph` and those inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _graphs(attribute.g)


def _without_overridable(model: onnx.ModelProto) -> None:
    needing_data = fed_inputs(model.graph)
    if len(needing_data) < len(model.graph.input):
        del model.graph.input[:]
        model.graph.input.extend(needing_data)
    model.ir_version = max(model.ir_version, OVERRIDABLE + 1)


def _make_dense(graph: onnx.GraphProto) -> None:
    graph.initializer.extend(_dense(sparse) for sparse in graph.sparse_initializer)
    del graph.sparse_initializer[:]
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "sparse_value":
                attribute.CopyFrom(onnx.helper.make_attribute("value", _dense(attribute.sparse_tensor)))


def _dense(sparse: onnx.SparseTensorProto) -> onnx.TensorProto:
    """Raises ValueError for indices that do not fit the values or the shape."""
    values, indices = onnx.numpy_helper.to_array(sparse.values), onnx.numpy_helper.to_array(sparse.indices)
    array = np.zeros(tuple(sparse.dims), values.dtype)
    if indices.ndim > 1:
        indices = np.ravel_multi_index(tuple(indices.T), array.shape)
    if indices.shape != values.shape or (indices.size and (indices.min() < 0 or indices.max() >= array.size)):
        raise ValueError(f"sparse initializer {sparse.values.name!r} has indices that do not fit")
    array.reshape(-1)[indices] = values
    return onnx.numpy_helper.from_array(array, sparse.values.name)


def _rename(graph: onnx.GraphProto) -> None:
    """Give nodes that share a name others."""
    taken: set[str] = {node.name for node in graph.node}
    counts: dict[str, int] = {}  # of a name that was met before, the number that was tried last
    for node in graph.node:
        if node.name in counts:
            count = counts[node.name] + 1
            while f"{node.name}_{count}" in taken:
                count += 1
            counts[node.name] = count
            node.name = f"{node.name}_{count}"
            taken.add(node.name)
        elif node.name:
            counts[node.name] = 1
