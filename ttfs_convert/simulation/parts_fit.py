"""Whether head, body and tail of a network, which are models of their own, are parts of one original."""

from __future__ import annotations

from collections.abc import Collection

import onnx

from ..errors import ModelError
from ..network.network import Network
from ..onnx_model.dataflow import needed_nodes

AGAIN = "convert the model again"


def check_tail(network: Network, tail: onnx.ModelProto) -> None:
    """Raise ModelError for a tail that leaves out what a readout gives: it would say nothing of the spiking network."""
    _, read = needed_nodes(tail.graph, [value.name for value in tail.graph.output])
    ignored = [layer.tensor for layer in network.readouts if layer.tensor not in read]
    if ignored:
        raise ModelError("tail", f"no output that depends on the readout {ignored[0]!r}", "a tail that reads all readouts", AGAIN)


def check_against_original(
    network: Network, inputs: Collection[str], outputs: Collection[str], head: onnx.ModelProto | None, tail: onnx.ModelProto | None
) -> None:
    """Raise ModelError unless what `network` encodes comes from the original or the head, and its outputs are the original's. inputs, outputs:
    names of the original's."""
    given = {*inputs, *(() if head is None else (value.name for value in head.graph.output))}
    unknown = [layer.onnx_name for layer in network.inputs if layer.onnx_name not in given]
    if unknown:
        raise ModelError("network", f"an input {unknown[0]!r} that neither the original has nor the head gives", "parts of one model", AGAIN)
    made = {layer.tensor for layer in network.readouts} if tail is None else {value.name for value in tail.graph.output}
    missing = [name for name in outputs if name not in made]
    if missing:
        raise ModelError("network", f"nothing for the original's output {missing[0]!r}", "parts of one model", AGAIN)
