"""Cut out what ONNX Runtime computes before and after the spiking part, head and tail (`simulation/head_and_tail.py`), and in the middle of it
(`simulation/analog_parts.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from ..network.populations import Analog, Input, Layer, Readout
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
    return _cut(source, _axes(readouts), outputs)


def with_analog_models(source: Simplified, layers: Sequence[Layer]) -> list[Layer]:
    """`layers`, each analog part with its ONNX model, for one sample, from its readouts' tensors, and the model's inputs where it needs them, to the
    tensors that are encoded behind it."""
    named = {layer.name: layer for layer in layers}

    def cut_out(part: Analog) -> Analog:
        read = [layer for layer in map(named.get, part.readouts) if isinstance(layer, Readout)]
        wanted = [layer.onnx_name for layer in layers if isinstance(layer, Input) and layer.source == part.name]
        return part.changed(model=np.frombuffer(_cut(source, _axes(read), wanted, source.graph), np.uint8))

    return [cut_out(layer) if isinstance(layer, Analog) else layer for layer in layers]


def _axes(readouts: Sequence[Readout]) -> dict[str, int]:
    """Number of axes by tensor, the batch's included."""
    return {layer.tensor: len(layer.onnx_shape) + layer.batched for layer in readouts}


def body_model(source: Simplified, inputs: Sequence[Input], readouts: Sequence[Readout]) -> bytes | None:
    """ONNX model from the tensors that `inputs` encode to those of `readouts`; None if the original has no such tensors."""
    roots = {layer.onnx_name: len(layer.onnx_shape) + 1 for layer in inputs}
    wanted = [layer.tensor for layer in readouts if layer.tensor is not None]
    return _cut(source, roots, wanted) if len(wanted) == len(readouts) and _in_original(source, [*roots, *wanted]) else None


def _in_original(source: Simplified, tensors: Sequence[str]) -> bool:
    known = {name for node in source.original.graph.node for name in node.output} | {value.name for value in source.original.graph.input}
    return known.issuperset(tensors)


def _cut(source: Simplified, roots: Mapping[str, int], wanted: Sequence[str], model: onnx.ModelProto | None = None) -> bytes:
    """ONNX model of the tensors `wanted` from `roots`, tensor -> number of axes (float32), and from the model's
    inputs; from `model`, by default the original, or the simplified graph where the original has no such tensors."""
    inputs = {value.name: value for value in (model or source.original).graph.input}
    model = model or (source.original if _in_original(source, [*roots, *wanted]) else source.graph)
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
