"""Engine `event`: continuous time, every spike on its own, in the order in which they arrive at each neuron; no grid, no sum of w a.

dV_i/dt = I_i(t), I_i(t) = sum of w_ij over the spikes that have arrived; fire at the first V_i >= threshold, which is 1 or falls
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..kernels._threads import CALLER
from ..kernels.arrivals import dynamic, fixed
from ..network.activations.activation_kind import ActivationKind
from ..network.activations.threshold_shape import spike_times, threshold_at
from ..network.network import Network
from ..network.per_channel import per_neuron
from ..network.populations import Analog, Input, Readout, Spiking, ramp_slope
from ..network.tensor_order import as_read
from .analog_parts import AnalogParts
from .encoded_inputs import channels_last, encoded, given
from .integrator import Integrator
from .receptive_fields import ReceptiveFields, receptive_fields
from .recording import Recording
from .run_size import check_run
from .wiring import WIRING

MOMENTS = np.linspace(0, 1, 1025)  # of the window, at which the course of a falling threshold is known
BEFORE_THE_END = np.nextafter(1.0, 0.0)  # a gated neuron that would fire at its window's end, tau = 1, sends nothing


class EventSimulator:
    """Runs batches spike by spike. fixed: the threshold is 1 at all times, so that neurons fire before or after their window or not at
    all. Needs a network in continuous time."""

    def __init__(self, network: Network, fixed: bool = False):
        check_run(network)
        self.network, self.fixed, self._integrator, self._analog = network, fixed, Integrator(network), AnalogParts(network)
        sizes = {layer.name: math.prod(layer.shape) for layer in network.layers}
        self._direct = {layer.name for layer in network.inputs if layer.coding == "direct"}
        self._fields: dict[str, ReceptiveFields] = {}  # of layers that read spikes
        self._courses: dict[str, np.ndarray] = {}  # of falling thresholds
        for layer in network.layers:
            if isinstance(layer, (Spiking, Readout)):
                spiking = tuple(connection for connection in layer.connections if connection.source not in self._direct)
                if spiking:
                    self._fields[layer.name] = receptive_fields(layer.model_copy(update={"connections": spiking}), sizes)

    def __call__(self, entries: Mapping[str, np.ndarray]) -> Recording:
        """Spike times and potentials of one batch. entries: arrays by ONNX tensor of what the input populations encode."""
        times: dict[str, np.ndarray] = {}  # tau, float64
        analog: dict[str, np.ndarray] = {}
        readouts = {}
        images = given(self.network, entries)
        life = self._live_with_fixed_threshold if self.fixed else self._live
        with CALLER:
            for layer in self.network.layers:
                if isinstance(layer, Input) and layer.coding == "direct":
                    analog[layer.name] = channels_last(layer, entries[layer.onnx_name])
                elif isinstance(layer, Analog):
                    entries = {**entries, **self._analog.entries(layer, readouts, entries)}
                elif isinstance(layer, Input):
                    times[layer.name] = np.clip(1 - encoded(layer, entries[layer.onnx_name]).astype(np.float64), 0, 1)
                elif isinstance(layer, (Spiking, Readout)):
                    fired, potential = life(layer, images, times, analog)
                    if isinstance(layer, Readout):
                        readouts[layer.tensor] = as_read(potential, layer).astype(np.float32)
                    else:
                        times[layer.name] = fired.reshape(images, *layer.shape)
                else:
                    times[layer.name] = self._passed_on(layer, times)
        spikes, readouts = {name: tau.astype(np.float32) for name, tau in times.items()}, self._analog.outer_first(readouts)
        return Recording(spikes, readouts, dict.fromkeys(self.network.steps_per_layer()))

    def _passed_on(self, layer, times: Mapping[str, np.ndarray]) -> np.ndarray:
        if not self.fixed:
            return WIRING[layer.kind](layer, times, 1)
        passed = WIRING[layer.kind](layer, {name: np.nan_to_num(tau, nan=np.inf) for name, tau in times.items()}, np.inf)
        return np.where(np.isinf(passed), np.nan, passed)

    def _live(
        self, layer: Spiking | Readout, images: int, times: Mapping[str, np.ndarray], analog: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Spike times in the layer's own window and potentials at its opening, (n, neurons) float64."""
        size = math.prod(layer.shape)
        slope = layer.slope if isinstance(layer, Spiking) else "gated"  # a readout is over when its window would open
        current, potential = np.zeros((images, size)), np.zeros((images, size))
        fields = self._fields.get(layer.name)
        if fields is not None:
            latest = BEFORE_THE_END if slope == "gated" else 1.0
            dynamic(_listed(fields), fields.weights, self._arrivals(layer, images, times), latest, current, potential)
        for connection in layer.connections:
            if connection.source in analog:  # a constant current, for one window
                flowing = np.zeros((images, size), np.float32)
                self._integrator.add(connection, analog[connection.source], flowing)
                potential += flowing
        if layer.bias is not None:
            potential += per_neuron(layer.bias, layer.shape)
        if slope == "gated":
            current[:] = 1
        elif isinstance(layer, Spiking) and slope == "reference":
            current += ramp_slope(layer) - per_neuron(layer.weight_sums, layer.shape)
        if isinstance(layer, Spiking) and layer.activation is not None:
            if layer.name not in self._courses:
                self._courses[layer.name] = threshold_at(layer.activation, layer.lo, layer.hi, MOMENTS)
            return _under_falling_threshold(layer, layer.activation, self._courses[layer.name], potential), potential
        with np.errstate(divide="ignore", invalid="ignore"):
            tau = np.where(potential >= 1, 0, np.where(current > 0, np.minimum((1 - potential) / current, 1), 1))
        return tau, potential

    def _live_with_fixed_threshold(
        self, layer: Spiking | Readout, images: int, times: Mapping[str, np.ndarray], analog: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Spike times in the layer's own window, NaN where missing, and potentials at the end of the run, (n, neurons) float64. Time runs
        on the clock of the inputs' window: spikes of earlier windows come out of a delay line."""
        size, first = math.prod(layer.shape), layer.window - 1
        fired, potential = np.empty((images, size)), np.empty((images, size))
        bias = np.zeros(size) if layer.bias is None else per_neuron(layer.bias, layer.shape)
        reference = 1 - per_neuron(layer.weight_sums, layer.shape) if isinstance(layer, Spiking) and layer.slope == "reference" else np.zeros(size)
        end, threshold = (layer.window, np.inf) if isinstance(layer, Readout) else (self.network.windows, 1.0)
        fields = self._fields[layer.name]
        fixed(
            _listed(fields),
            fields.weights,
            self._arrivals(layer, images, times),
            float(-first),
            float(end - first),
            bias,
            reference,
            threshold,
            fired,
            potential,
        )
        return fired - 1, potential

    def _arrivals(self, layer: Spiking | Readout, images: int, times: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.concatenate(
            [times[connection.source].reshape(images, -1) for connection in layer.connections if connection.source not in self._direct], axis=1
        )


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


def _listed(fields: ReceptiveFields) -> tuple[np.ndarray, ...]:
    relays = fields.relays
    return relays.start, relays.source, relays.factor, fields.first, fields.relay, fields.row, fields.channels
