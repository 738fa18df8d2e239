"""Another engine held against the closed form of `exact`: every layer alone, on the spikes that its sources really sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..kernels.rounding import TIE
from ..network.activations.threshold_shape import steepness
from ..network.network import Network
from ..network.populations import Input, Spiking
from ..simulation.exact_engine import Simulator
from ..simulation.recording import Recording

AT_A_TIE = 2e-5  # float32 potentials may put a neuron that is this close to a rounding boundary on either side of it


@dataclass
class EngineCheck:
    """Neurons whose spike time differs from the closed form's, batch by batch.

    On a grid a neuron differs if its step does; `farthest` is the largest distance of such a neuron's unrounded spike time from the
    boundary between the two steps. In continuous time every neuron is compared and `farthest` is the largest difference of spike times.
    Both are in windows, times min(1, S) because a time is a potential divided by the slope S; under a falling threshold, over how much steeper
    than a straight line it falls. `neurons` are counted once for each sample.
    """

    network: Network
    by: str  # the engine that is held against it
    samples: int = 0
    neurons: int = 0
    differing: int = 0
    farthest: float = 0.0

    def __post_init__(self):
        self._exact, self._steps = Simulator(self.network), self.network.steps_per_layer()
        self._flat = {layer.name: _flatness(layer) for layer in self.network.layers if isinstance(layer, (Input, Spiking))}

    def add(self, recording: Recording, entries: Mapping[str, np.ndarray]) -> None:
        """recording: of one batch with the dynamic threshold. entries: what the input populations encoded, by ONNX tensor."""
        for layer, expected, tau in self._exact.again(recording, entries):
            found, steps = recording.spike_times[layer.name], self._steps[layer.name]
            self.neurons += found.size
            if steps is None:
                distance = np.abs(found.astype(np.float64) - expected) * self._flat[layer.name]
                self.differing += int((distance > 0).sum())
            else:
                differs = found != expected
                if not differs.any():
                    continue
                self.differing += int(differs.sum())
                late = found[differs] > expected[differs]  # then it did not fire a step earlier, where it should have
                boundary = (found[differs].astype(np.float64) - late + self.network.half + TIE) / steps
                distance = np.abs(tau()[differs] - boundary) * np.broadcast_to(self._flat[layer.name], found.shape)[differs]
            self.farthest = max(self.farthest, float(distance.max(initial=0.0)))


def _flatness(layer: Input | Spiking) -> np.ndarray:
    """min(1, S) per channel or neuron; 1 where S <= 0, whose neurons fire at once or never."""
    if isinstance(layer, Spiking) and layer.activation is not None:
        return 1 / steepness(layer.activation, layer.lo, layer.hi)
    if isinstance(layer, Input) or layer.slope != "fan_in":
        return np.ones(1)
    slopes = layer.weight_sums.astype(np.float64)
    return np.where(slopes > 0, np.minimum(slopes, 1), 1)
