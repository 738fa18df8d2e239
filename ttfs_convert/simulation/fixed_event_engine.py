"""Engine `event` with a threshold that is 1 at all times: neurons fire before or after their window, or not at all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..kernels.fixed_threshold import fixed
from ..kernels.incoming_spikes import Fields
from ..network.network import Network
from ..network.per_channel import per_neuron
from ..network.populations import Layer, Readout, Spiking
from .event_engine import EventSimulator
from .receptive_fields import receptive_fields


class FixedEventSimulator(EventSimulator):
    """As `EventSimulator`. Spike times are NaN where there is none."""

    def __init__(self, network: Network):
        super().__init__(network)
        self._listed: dict[str, tuple[Fields, np.ndarray]] = {}  # receptive fields and their weights

    def _passed_on(self, layer: Layer, times: Mapping[str, np.ndarray]) -> np.ndarray:
        passed = super()._passed_on(layer, {name: np.nan_to_num(tau, nan=np.inf) for name, tau in times.items()})
        return np.where(np.isinf(passed), np.nan, passed)

    def _silent(self, layer: Layer) -> float:
        return np.inf

    def _live(self, layer: Spiking | Readout, times: Mapping[str, np.ndarray], analog: Mapping[str, np.ndarray]) -> np.ndarray:
        """Spike times in the layer's own window, or potentials at the end of the run, float64. Time runs on the clock of the inputs' window: spikes
        of earlier windows come out of a delay line."""
        if layer.name not in self._listed:
            found = receptive_fields(layer, self._sizes)
            self._listed[layer.name] = found.listed(), found.weights
        (fields, weights), first = self._listed[layer.name], layer.window - 1
        arrivals = self._arrivals(layer, times, len(next(iter(times.values()))))
        size = len(arrivals), self._sizes[layer.name]
        fired, potential = np.empty(size), np.empty(size)
        bias = np.zeros(size[1]) if layer.bias is None else per_neuron(layer.bias, layer.shape)
        reference = 1 - per_neuron(layer.weight_sums, layer.shape) if isinstance(layer, Spiking) and layer.slope == "reference" else np.zeros(size[1])
        end, threshold = (layer.window, np.inf) if isinstance(layer, Readout) else (self.network.windows, 1.0)
        fixed(fields, weights, arrivals, float(-first), float(end - first), bias, reference, threshold, fired, potential)
        return (potential if isinstance(layer, Readout) else fired - 1).reshape(len(fired), *layer.shape)
