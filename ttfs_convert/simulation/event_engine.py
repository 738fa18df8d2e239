"""Engine `event`: continuous time, every spike on its own, in the order in which they arrive at each neuron; no grid, no sum of w a.

dV_i/dt = I_i(t), I_i(t) = sum of w_ij over the spikes that have arrived; fire at the first V_i >= threshold, which is 1 or falls
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..kernels.spike_by_spike import run_spikes
from ..network.activations.activation_kind import ActivationKind
from ..network.activations.threshold_shape import spike_times, threshold_at
from ..network.network import Network
from ..network.populations import Input, Layer, Readout, Spiking
from .encoded_inputs import encoded
from .layerwise import LayerwiseSimulator, Neurons
from .recording import Recording

MOMENTS = np.linspace(0, 1, 1025)  # of the window, at which the course of a falling threshold is known


class EventSimulator(LayerwiseSimulator):
    """Runs batches spike by spike. Needs a network in continuous time. Spike times are tau, float64."""

    def __init__(self, network: Network):
        super().__init__(network)
        self._courses: dict[str, np.ndarray] = {}  # of falling thresholds

    def _silent(self, layer: Layer) -> float:
        return 1

    def _recording(self, times: dict[str, np.ndarray], readouts: dict[str, np.ndarray]) -> Recording:
        return Recording({name: tau.astype(np.float32) for name, tau in times.items()}, readouts, dict.fromkeys(self.network.steps_per_layer()))

    def _encode(self, layer: Input, x: np.ndarray) -> np.ndarray:
        return np.clip(1 - encoded(layer, x).astype(np.float64), 0, 1)

    def _live(self, layer: Spiking | Readout, times: Mapping[str, np.ndarray], analog: Mapping[str, np.ndarray]) -> np.ndarray:
        """Spike times in the layer's own window, or potentials at its opening, float64."""
        neurons, charged = self._ready(layer), self._charged(layer, times, analog)
        activation = layer.activation if isinstance(layer, Spiking) else None
        out = np.empty((len(charged), self._sizes[layer.name]))
        fires, arrivals = isinstance(layer, Spiking) and activation is None, self._arrivals(layer, times, len(charged)).astype(np.float64, copy=False)
        run_spikes(neurons.rows, neurons.fields, neurons.closing, neurons.window, arrivals, fires, charged, out)
        if isinstance(layer, Spiking) and activation is not None:
            if layer.name not in self._courses:
                self._courses[layer.name] = threshold_at(activation, layer.lo, layer.hi, MOMENTS)
            out = _under_falling_threshold(layer, activation, self._courses[layer.name], out)
        return out.reshape(len(out), *layer.shape)

    def _made_ready(self, layer: Spiking | Readout) -> Neurons:
        return self._neurons(layer)


def _under_falling_threshold(layer: Spiking, activation: ActivationKind, course: np.ndarray, potential: np.ndarray) -> np.ndarray:
    """Where the threshold of `layer` meets its potentials, (n, neurons) float64. course: the threshold at MOMENTS, falling, as `threshold_at` gives
    it; between two moments the crossing is that of the closed form: which can be off by no more than lies between them."""
    reached = np.empty(potential.shape, np.int64)
    channels = layer.shape[-1]
    for channel in range(channels):
        row = course[channel % len(course)]
        reached[:, channel::channels] = MOMENTS.size - np.searchsorted(row[::-1], potential[:, channel::channels], side="right")
    closed = spike_times(activation, layer.lo, layer.hi, potential.reshape(len(potential), *layer.shape)).reshape(potential.shape)
    return np.clip(closed, MOMENTS[np.maximum(reached - 1, 0)], MOMENTS[np.minimum(reached, MOMENTS.size - 1)])
