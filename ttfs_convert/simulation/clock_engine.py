"""Engine `clock`: every layer, every time step. Spikes switch synaptic currents on, currents charge potentials, potentials are compared
with the threshold, which is 1 or falls from step to step. It knows neither V0 = sum w a nor the slope: both come out.

    I_i(t) = sum of w_ij over the spikes that have arrived;  V_i(t + 1/N) = V_i(t) + I_i(t) / N;  fire at the first V_i >= threshold

Rounding: a step k also counts what the ramp reaches h + 1e-4 of a step later, which is the rule of `kernels/rounding.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..kernels.rounding import TIE
from ..kernels.step_by_step import encode_step_by_step, run_windows
from ..network.activations.threshold_shape import thresholds
from ..network.network import Network
from ..network.populations import Input, Layer, Readout, Spiking
from .encoded_inputs import encoded
from .layerwise import LayerwiseSimulator, Neurons
from .recording import Recording, step_dtype


class ClockSimulator(LayerwiseSimulator):
    """Runs batches step by step. Needs a network with `steps`."""

    def __init__(self, network: Network):
        super().__init__(network)
        self._grid = network.grid()

    def _silent(self, layer: Layer) -> float:
        return self._grid[layer.name]

    def _recording(self, times: dict[str, np.ndarray], readouts: dict[str, np.ndarray]) -> Recording:
        return Recording(times, readouts, self.network.steps_per_layer())

    def _encode(self, layer: Input, x: np.ndarray) -> np.ndarray:
        """An encoder charges to a at once and ramps with unit current."""
        values, steps = np.ascontiguousarray(encoded(layer, x)), self._grid[layer.name]
        times = np.empty(values.shape, step_dtype(steps))
        encode_step_by_step(values, self._lead, steps, times)
        return times

    def _live(self, layer: Spiking | Readout, times: Mapping[str, np.ndarray], analog: Mapping[str, np.ndarray]) -> np.ndarray:
        """The windows of a layer's inputs, side by side, each by its own clock; then the layer's own."""
        neurons, charged = self._ready(layer), self._charged(layer, times, analog, self._grid[layer.name])
        steps = self._grid[layer.name] if isinstance(layer, Spiking) else None
        out = np.empty((len(charged), self._sizes[layer.name]), step_dtype(steps))
        arrivals = self._arrivals(layer, times, len(charged))
        run_windows(neurons.rows, neurons.fields, neurons.clocks, neurons.closing, neurons.window, arrivals, self._lead, steps or 0, charged, out)
        return out.reshape(len(out), *layer.shape)

    def _made_ready(self, layer: Spiking | Readout) -> Neurons:
        clocks = [self._grid[connection.source] for connection in self._spiking(layer)]
        lengths = sorted(set(clocks))
        falling = None
        if isinstance(layer, Spiking) and layer.activation is not None:
            falling = thresholds(layer.activation, layer.lo, layer.hi, self._grid[layer.name], self.network.half).T
        return self._neurons(layer, falling, [lengths.index(clock) for clock in clocks], np.cumsum([0, *lengths]).tolist())

    @property
    def _lead(self) -> float:
        """How long after a step a crossing still counts as on it, in steps."""
        return self.network.half + TIE
