"""Engine `clock`: every layer, every time step. Spikes switch synaptic currents on, currents charge potentials, potentials are compared
with the threshold, which is 1 or falls from step to step. It knows neither V0 = sum w a nor the slope: both come out.

    I_i(t) = sum of w_ij over the spikes that have arrived;  V_i(t + 1/N) = V_i(t) + I_i(t) / N;  fire at the first V_i >= threshold

Rounding: a step k also counts what the ramp reaches h + 1e-4 of a step later, which is the rule of `kernels/rounding.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..kernels._threads import CALLER
from ..kernels.rounding import TIE
from ..kernels.tick import UNFIRED, tick, tick_under
from ..network.activations.threshold_shape import thresholds
from ..network.network import Network
from ..network.per_channel import per_neuron
from ..network.populations import Analog, Input, Readout, Spiking, ramp_slope
from ..network.synapses.connection import Connection
from ..network.tensor_order import as_read
from .analog_parts import AnalogParts
from .encoded_inputs import channels_last, encoded, given
from .integrator import Integrator
from .recording import Recording, step_dtype
from .run_size import check_run
from .wiring import WIRING

OPEN, NEVER, AT_ONCE = 1.0, np.inf, -np.inf  # the threshold: in its window, before it, at its end


class ClockSimulator:
    """Runs batches step by step. fixed: the threshold is 1 at all times, so that neurons fire before or after their window or not at all;
    every layer then lives through all steps of the run. Needs a network with `steps`; for a fixed threshold the same for every layer."""

    def __init__(self, network: Network, fixed: bool = False):
        check_run(network)
        self.network, self.fixed, self._grid = network, fixed, network.grid()
        self._integrator, self._analog = Integrator(network), AnalogParts(network)
        self._tables: dict[str, np.ndarray] = {}  # of falling thresholds

    def __call__(self, entries: Mapping[str, np.ndarray]) -> Recording:
        """Spike times and potentials of one batch. entries: arrays by ONNX tensor of what the input populations encode."""
        times: dict[str, np.ndarray] = {}
        analog: dict[str, np.ndarray] = {}
        readouts = {}
        images = given(self.network, entries)
        with CALLER:
            for layer in self.network.layers:
                if isinstance(layer, Input) and layer.coding == "direct":
                    analog[layer.name] = channels_last(layer, entries[layer.onnx_name])
                elif isinstance(layer, Analog):
                    entries = {**entries, **self._analog.entries(layer, readouts, entries)}
                elif isinstance(layer, Input):
                    times[layer.name] = self._encode(layer, entries[layer.onnx_name])
                elif isinstance(layer, (Spiking, Readout)):
                    neurons = _Neurons.at_rest(images, layer.shape)
                    life = self._live_with_fixed_threshold if self.fixed else self._live
                    life(layer, neurons, times, analog)
                    if isinstance(layer, Readout):
                        readouts[layer.tensor] = as_read(neurons.potential, layer).astype(np.float32)
                    else:
                        times[layer.name] = neurons.times.reshape(images, *layer.shape)
                else:
                    silent = UNFIRED if self.fixed else self._grid[layer.name]
                    times[layer.name] = WIRING[layer.kind](layer, times, silent)
        readouts, steps_per_layer = self._analog.outer_first(readouts), self.network.steps_per_layer()
        if self.fixed:
            return Recording({name: _tau(steps, self._grid[name]) for name, steps in times.items()}, readouts, dict.fromkeys(steps_per_layer))
        return Recording({name: steps.astype(step_dtype(self._grid[name])) for name, steps in times.items()}, readouts, steps_per_layer)

    def _encode(self, layer: Input, x: np.ndarray) -> np.ndarray:
        """An encoder charges to a at once and ramps with unit current."""
        values = encoded(layer, x)
        neurons = _Neurons.at_rest(len(x), layer.shape)
        neurons.potential += values.reshape(len(x), -1)
        neurons.current += 1
        self._window(neurons, self._grid[layer.name])
        return neurons.times.reshape(values.shape)

    def _live(self, layer: Spiking | Readout, neurons: _Neurons, times: Mapping[str, np.ndarray], analog: Mapping[str, np.ndarray]) -> None:
        """The windows of a layer's inputs, side by side, each by its own clock; then the layer's own window."""
        for connection in layer.connections:
            flowing = np.zeros_like(neurons.current)
            if connection.source in analog:
                flowing += self._arriving(connection, analog[connection.source], neurons)
                for _ in range(self._grid[layer.name]):
                    neurons.flow(flowing, 1 / self._grid[layer.name])
                continue
            steps = self._grid[connection.source]
            for k in range(steps):
                spikes = times[connection.source] == k
                if spikes.any():
                    flowing += self._arriving(connection, spikes, neurons)
                neurons.flow(flowing, 1 / steps)
            if _slope(layer) != "gated":  # silent neurons and padded taps spike as the window closes
                neurons.current += flowing + self._arriving(connection, times[connection.source] == steps, neurons, padding=1)
        if layer.bias is not None:
            neurons.potential += per_neuron(layer.bias, layer.shape)
        if isinstance(layer, Readout):
            return
        if layer.slope == "gated":
            neurons.current[:] = ramp_slope(layer)
        elif layer.slope == "reference":
            neurons.current += ramp_slope(layer) - per_neuron(layer.weight_sums, layer.shape)
        if layer.activation is None:
            self._window(neurons, self._grid[layer.name])
        else:
            if layer.name not in self._tables:
                self._tables[layer.name] = thresholds(layer.activation, layer.lo, layer.hi, self._grid[layer.name], self.network.half)
            self._falling_window(neurons, self._tables[layer.name])

    def _falling_window(self, neurons: _Neurons, table: np.ndarray) -> None:
        """table: (channels, N) float64; its rounding is in it."""
        steps = table.shape[1]
        for k in range(steps):
            tick_under(neurons.potential, neurons.current, np.ascontiguousarray(table[:, k]), 1 / steps, k, neurons.times)
        neurons.tick(AT_ONCE, 0, 0, steps)

    def _window(self, neurons: _Neurons, steps: int) -> None:
        for k in range(steps):
            neurons.tick(OPEN, self._lead / steps, 1 / steps, k)
        neurons.tick(AT_ONCE, 0, 0, steps)

    def _live_with_fixed_threshold(
        self, layer: Spiking | Readout, neurons: _Neurons, times: Mapping[str, np.ndarray], analog: Mapping[str, np.ndarray]
    ) -> None:
        """All steps of the run, counted from the opening of the inputs' window; spikes of earlier windows come out of a delay line."""
        steps, first = self._grid[layer.name], layer.window - 1
        bias = 0 if layer.bias is None else per_neuron(layer.bias, layer.shape)
        threshold = NEVER if isinstance(layer, Readout) else OPEN
        end = layer.window if isinstance(layer, Readout) else self.network.windows
        for k in range(-first * steps, (end - first) * steps):
            if k == 0:
                neurons.current += bias
            if k == steps:
                neurons.current -= bias
                if isinstance(layer, Spiking) and layer.slope == "reference":
                    neurons.current += 1 - per_neuron(layer.weight_sums, layer.shape)
            for connection in layer.connections:
                spikes = times[connection.source] == k
                if k == steps or spikes.any():
                    neurons.current += self._arriving(connection, spikes, neurons, padding=int(k == steps))
            neurons.tick(threshold, self._lead / steps, 1 / steps, k - steps)
        neurons.tick(threshold, 0, 0, (end - layer.window) * steps)

    @property
    def _lead(self) -> float:
        return self.network.half + TIE

    def _arriving(self, connection: Connection, values: np.ndarray, neurons: _Neurons, padding: int = 0) -> np.ndarray:
        """The current that `values` of the source switch on, (n, m) float32; padded taps send `padding`."""
        current = np.zeros((len(values), neurons.current.shape[1]), np.float32)
        self._integrator.add(connection, values.astype(np.float32), current, padding)
        return current


@dataclass
class _Neurons:
    """potential, current: (n, m) float64. times: steps, (n, m) int32."""

    potential: np.ndarray
    current: np.ndarray
    times: np.ndarray

    @classmethod
    def at_rest(cls, images: int, shape: tuple[int, ...]) -> _Neurons:
        size = (images, math.prod(shape))
        return cls(np.zeros(size), np.zeros(size), np.full(size, UNFIRED))

    def tick(self, threshold: float, lead: float, dt: float, step: int) -> None:
        tick(self.potential, self.current, threshold, lead, dt, step, self.times)

    def flow(self, current: np.ndarray, dt: float) -> None:
        """One step before the window opens: the threshold is infinite."""
        tick(self.potential, current, NEVER, 0.0, dt, 0, self.times)


def _slope(layer: Spiking | Readout) -> str:
    return layer.slope if isinstance(layer, Spiking) else "gated"  # a readout is over when its window would open


def _tau(times: np.ndarray, steps: int) -> np.ndarray:
    return np.where(times == UNFIRED, np.nan, times / steps).astype(np.float32)
