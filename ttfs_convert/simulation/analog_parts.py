"""Analog parts: what of the original ONNX Runtime computes between two windows, in the middle of the network.

    ... -> readouts -> analog part -> input populations -> ...

A part reads potentials as the windows of its readouts open: those of a layer that has not fired, or decoded spike times, where the readout has one
synapse for each. What it makes of them is encoded in that same window, as the model's inputs are in the first one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import DataError, ModelError
from ..network.network import Network
from ..network.populations import Analog, Input
from ..onnx_model.embedded import embedded_model
from ..onnx_model.reference import Reference
from .encoded_inputs import checked, within_range


class AnalogParts:
    """Those of `network`, each run one sample at a time, so that no bit depends on the batch. Raises ModelError for a part that ONNX Runtime cannot
    run, or that does not give what is encoded."""

    def __init__(self, network: Network):
        self._sessions, self._encoded = {}, {}
        self._outer = [layer.tensor for layer in network.readouts]
        for part in network.analog:
            where = f"analog part {part.name!r}"
            session = Reference(embedded_model(part.model, where), threads=1, unbatched=network.without_batch)
            if not session.inputs:
                raise ModelError(where, "a model without inputs", "one that reads potentials or the model's inputs", "convert the model again")
            session.together = 1
            self._sessions[part.name] = session
            self._encoded[part.name] = [layer for layer in network.layers if isinstance(layer, Input) and layer.source == part.name]

    @property
    def any(self) -> bool:
        """Whether there are some."""
        return bool(self._sessions)

    def entries(self, part: Analog, readouts: Mapping[str, np.ndarray], entries: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the input populations behind `part` encode, by tensor, (n, *shape of the tensor) float32, within their ranges.

        readouts: potentials, by tensor. entries: what the other input populations encode, and the model's inputs, by tensor. Raises DataError
        where a part lacks an input, or gives what cannot be encoded.
        """
        computed = self._sessions[part.name]({**entries, **readouts})
        found = {}
        for layer in self._encoded[part.name]:
            try:
                values = checked(layer, computed.get(layer.onnx_name))
            except DataError as error:
                raise DataError(f"analog part {part.name!r}", str(error), "finite values in their ranges for every tensor that is encoded") from error
            found[layer.onnx_name] = np.ascontiguousarray(within_range(layer, values), np.float32)
        return found

    def outer_first(self, readouts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Potentials by tensor, those that the tail or the outputs are first."""
        return {**{name: readouts[name] for name in self._outer}, **readouts} if self.any else readouts
