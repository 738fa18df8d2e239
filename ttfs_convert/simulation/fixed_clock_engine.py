"""Engine `clock` with a threshold that is 1 at all times: neurons fire before or after their window, or not at all, and every layer lives through
all steps of the run."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..kernels.tick import UNFIRED, tick
from ..network.per_channel import per_neuron
from ..network.populations import Input, Layer, Readout, Spiking
from ..network.synapses.connection import Connection
from .clock_engine import ClockSimulator
from .recording import Recording

OPEN, NEVER = 1.0, np.inf  # the threshold of neurons, and of readouts


class FixedClockSimulator(ClockSimulator):
    """As `ClockSimulator`. Needs the same number of steps in every layer."""

    def _silent(self, layer: Layer) -> float:
        return int(UNFIRED)

    def _recording(self, times: dict[str, np.ndarray], readouts: dict[str, np.ndarray]) -> Recording:
        tau = {name: _tau(steps, self._grid[name]) for name, steps in times.items()}
        return Recording(tau, readouts, dict.fromkeys(self.network.steps_per_layer()))

    def _encode(self, layer: Input, x: np.ndarray) -> np.ndarray:
        return super()._encode(layer, x).astype(np.int32)

    def _live(self, layer: Spiking | Readout, times: Mapping[str, np.ndarray], analog: Mapping[str, np.ndarray]) -> np.ndarray:
        """All steps of the run, counted from the opening of the inputs' window; spikes of earlier windows come out of a delay line."""
        steps, first = self._grid[layer.name], layer.window - 1
        size = len(next(iter(times.values()))), math.prod(layer.shape)
        potential, current, fired = np.zeros(size), np.zeros(size), np.full(size, UNFIRED)
        bias = 0 if layer.bias is None else per_neuron(layer.bias, layer.shape)
        threshold = NEVER if isinstance(layer, Readout) else OPEN
        end = layer.window if isinstance(layer, Readout) else self.network.windows
        for k in range(-first * steps, (end - first) * steps):
            if k == 0:
                current += bias
            if k == steps:
                current -= bias
                if isinstance(layer, Spiking) and layer.slope == "reference":
                    current += 1 - per_neuron(layer.weight_sums, layer.shape)
            for connection in layer.connections:
                spikes = times[connection.source] == k
                if k == steps or spikes.any():
                    current += self._arriving(connection, spikes, size, padding=int(k == steps))
            tick(potential, current, threshold, self._lead / steps, 1 / steps, k - steps, fired)
        tick(potential, current, threshold, 0, 0, (end - layer.window) * steps, fired)
        return (potential if isinstance(layer, Readout) else fired).reshape(len(fired), *layer.shape)

    def _arriving(self, connection: Connection, spikes: np.ndarray, size: tuple[int, int], padding: int) -> np.ndarray:
        """The current that `spikes` of the source switch on, of `size` float32; padded taps send `padding`."""
        current = np.zeros(size, np.float32)
        self._integrator.add(connection, spikes.astype(np.float32), current, padding)
        return current


def _tau(times: np.ndarray, steps: int) -> np.ndarray:
    return np.where(times == UNFIRED, np.nan, times / steps).astype(np.float32)
