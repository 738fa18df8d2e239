"""Cut out what ONNX Runtime computes before and after the spiking part: head and tail, see `simulation/head_and_tail.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from ..network.populations import Input, Readout
from ..onnx_model.dataflow import needed_nodes
from ..onnx_model.simplify import Simplified


def head_model(source: Simplified, inputs: Sequence[Input]) -> bytes | None:
    """ONNX model from the model's inputs to the tensors that `inputs` encode; None if these are the model's inputs themselves."""
    given = {value.name for value in source.original.graph.input}
    computed = [layer.onnx_name for layer in inputs if layer.onnx_name not in given]
    return _cut(source, {}, computed) if computed else None


def tail_model(source: Simplified, readouts: Sequence[Readout]) -> bytes | None:
    """ONNX model from the readouts' tensors, and the model's inputs where it needs them, to the model's outputs; None if the outputs are
    the readouts themselves, in their order."""
    outputs = [value.name for value in source.original.graph.output]
    if outputs == [layer.tensor for layer in readouts]:
        return None
    return _cut(source, {layer.tensor: len(layer.onnx_shape) + layer.batched for layer in readouts if layer.tensor is not None}, outputs)


def body_model(source: Simplified, inputs: Sequence[Input], readouts: Sequence[Readout]) -> bytes | None:
    """ONNX model from the tensors that `inputs` encode to those of `readouts`; None if the original has no such tensors."""
    roots = {layer.onnx_name: len(layer.onnx_shape) + 1 for layer in inputs}
    wanted = [layer.tensor for layer in readouts if layer.tensor is not None]
    return _cut(source, roots, wanted) if len(wanted) == len(readouts) and _in_original(source, [*roots, *wanted]) else None


def _in_original(source: Simplified, tensors: Sequence[str]) -> bool:
    known = {name for node in source.original.graph.node for name in node.output} | {value.name for value in source.original.graph.input}
    return known.issuperset(tensors)


def _cut(source: Simplified, roots: Mapping[str, int], wanted: Sequence[str]) -> bytes:
    """ONNX model of the tensors `wanted` from `roots`, tensor -> number of axes (float32), and from the model's
    inputs; from the original, or from the simplified graph where the original has no such tensors."""
    inputs = {value.name: value for value in source.original.graph.input}
    model = source.original if _in_original(source, [*roots, *wanted]) else source.graph
    nodes, names = needed_nodes(model.graph, wanted, roots)
    entries = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None] * rank) for name, rank in roots.items() if name in names]
    entries += [value for name, value in inputs.items() if name in names and name not in roots]
    outputs = {value.name: value for value in model.graph.output}
    graph = onnx.helper.make_graph(
        nodes,
        "part",
        entries,
        [outputs.get(name) or onnx.helper.make_empty_tensor_value_info(name) for name in wanted],
        [
            onnx.numpy_helper.from_array(source.array(tensor), tensor.name)
            for tensor in model.graph.initializer
            if tensor.name in names - roots.keys()
        ],
    )
    return onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version).SerializeToString()
