"""The same network with rate-coded neurons instead of first spikes: integrate-and-fire, reset by subtraction, simulated step by step.

    V(t) = V(t-1) + sum_j w_ij theta_j s_j(t) + b_i;   spike if V >= theta_i, then V -= theta_i

Weights and biases are those of the network, in units of its ranges: after T steps a neuron's spikes stand for a = theta (number of spikes) / T,
which tends to clip(V0, 0, theta) where a first spike decodes to clip(V0, 0, 1). theta, the balanced threshold (Diehl et al., IJCNN 2015), is the
largest activation of the whole layer. Inputs are constant currents, as everybody's rate-coded networks have them; a max-pool passes a spike on
where any of its inputs spikes; a readout's potential is its mean charge per step. All layers live through the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..errors import UsageError
from ..kernels._threads import CALLER
from ..kernels.integrate_and_fire import integrate_and_fire
from ..network.network import Network
from ..network.per_channel import per_neuron
from ..network.populations import Input, Layer, Readout, Spiking, has_neurons, sources
from .encoded_inputs import channels_last, encoded
from .integrator import Integrator
from .recording import Recording
from .wiring import WIRING


def balanced_thresholds(network: Network) -> dict[str, np.ndarray]:
    """theta of every layer of neurons, (channels,) or (*shape) float32 in units of each channel's range: the largest of the layer's ranges as the
    calibration data showed them (their margin taken off), or as the activation bounds them."""
    seen = network.calibration
    margin = seen.margin if seen is not None and seen.method == "maximum" else 0.0
    found = {}
    for layer in network.layers:
        if isinstance(layer, Spiking):
            width = layer.hi.astype(np.float64) - layer.lo
            free_ends = (layer.low is None) + (layer.high is None)
            found[layer.name] = np.asarray(width.max() / (1 + margin * free_ends) / width, np.float32)
    return found


@dataclass(frozen=True)
class RateRecording:
    """What a batch did in its first `step` steps. counts: spikes of every population that sends any, (n, neurons) int32; good until the next
    step."""

    step: int
    readouts: dict[str, np.ndarray]
    counts: dict[str, np.ndarray]

    @property
    def recording(self) -> Recording:
        """The readouts alone, as other engines give them."""
        return Recording({}, self.readouts, {})


@dataclass
class _State:
    """Of one batch. analog: values of currents, by population; spikes: of this step, times what each is worth."""

    analog: dict[str, np.ndarray] = field(default_factory=dict)
    spikes: dict[str, np.ndarray] = field(default_factory=dict)
    counts: dict[str, np.ndarray] = field(default_factory=dict)
    potential: dict[str, np.ndarray] = field(default_factory=dict)
    charge: dict[str, np.ndarray] = field(default_factory=dict)


class RateSimulator:
    """Runs batches on one network with rate-coded neurons. start: of every V, as a share of its threshold; 1/2 is best on average over what a neuron
    may receive (Bu et al., AAAI 2022). Raises UsageError for layers whose activation is no clamp, and for analog parts in the middle."""

    def __init__(self, network: Network, start: float = 0.0):
        shaped = [layer.name for layer in network.layers if isinstance(layer, Spiking) and layer.activation is not None]
        if shaped:
            raise UsageError("rate coding", f"other activations than clamps in {', '.join(shaped[:5])}", "ReLUs and clamps, which rates stand for")
        if network.analog:
            raise UsageError("rate coding", "a part in the middle that does not spike", "a network whose layers all spike")
        self.network, self._start, self._integrator = network, start, Integrator()
        thresholds = balanced_thresholds(network)
        self._thresholds = {
            layer.name: np.ascontiguousarray(np.broadcast_to(per_neuron(thresholds[layer.name], layer.shape), math.prod(layer.shape)))
            for layer in network.layers
            if isinstance(layer, Spiking)
        }

    def __call__(self, entries: Mapping[str, np.ndarray], steps: int, stops: Collection[int]) -> Iterator[RateRecording]:
        """Run one batch for so many steps; yield at those of `stops`. entries: arrays by ONNX tensor of what the input populations encode."""
        state = self._at_rest(entries)
        for step in range(1, steps + 1):
            with CALLER:
                for layer in self.network.layers:
                    self._tick(layer, state)
            if step in stops:
                yield RateRecording(step, {layer.tensor: _read(layer, state, step) for layer in self.network.readouts}, state.counts)

    def _at_rest(self, entries: Mapping[str, np.ndarray]) -> _State:
        state, images = _State(), len(entries[self.network.inputs[0].onnx_name])
        for layer in self.network.layers:
            size = (images, math.prod(layer.shape))
            if isinstance(layer, Input):
                x = entries[layer.onnx_name]
                state.analog[layer.name] = channels_last(layer, x) if layer.coding == "direct" else encoded(layer, x)
            elif has_neurons(layer):
                state.charge[layer.name] = self._charge(layer, size, state.analog)
                state.potential[layer.name] = np.zeros(size, np.float32)
                if isinstance(layer, Spiking):
                    state.potential[layer.name] += np.float32(self._start) * self._thresholds[layer.name]
                    state.spikes[layer.name] = np.zeros((images, *layer.shape), np.float32)
                    state.counts[layer.name] = np.zeros(size, np.int32)
            elif _all_analog(layer, state):
                state.analog[layer.name] = _passed_on(layer, state.analog)
            else:
                state.counts[layer.name] = np.zeros(size, np.int32)
        return state

    def _charge(self, layer: Spiking | Readout, size: tuple[int, int], analog: Mapping[str, np.ndarray]) -> np.ndarray:
        """Of every step, (n, neurons) float32: the bias and analog currents."""
        charge = np.zeros(size, np.float32)
        if layer.bias is not None:
            charge += per_neuron(layer.bias, layer.shape)
        with CALLER:
            for connection in layer.connections:
                if connection.source in analog:
                    self._integrator.add(connection, np.ascontiguousarray(analog[connection.source]), charge)
        return charge

    def _tick(self, layer: Layer, state: _State) -> None:
        if layer.name in state.analog:
            return
        if not has_neurons(layer):
            state.spikes[layer.name] = _passed_on(layer, {**state.analog, **state.spikes})
            state.counts[layer.name] += (state.spikes[layer.name] != 0).reshape(state.counts[layer.name].shape)
            return
        potential, charge = state.potential[layer.name], state.charge[layer.name]
        for connection in layer.connections:
            if connection.source in state.spikes:
                self._integrator.add(connection, state.spikes[connection.source], potential)
        if isinstance(layer, Readout):
            potential += charge
        else:
            spikes, counts = state.spikes[layer.name].reshape(potential.shape), state.counts[layer.name]
            integrate_and_fire(potential, charge, self._thresholds[layer.name], spikes, counts)


def _all_analog(layer: Layer, state: _State) -> bool:
    return state.analog.keys() >= set(sources(layer))


def _passed_on(layer: Layer, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """What wiring makes of values where 0 is silent and the largest wins, as of spike times where the earliest does."""
    return -WIRING[layer.kind](layer, {name: -values[name] for name in sources(layer)}, 0)


def _read(layer: Readout, state: _State, step: int) -> np.ndarray:
    flat = state.potential[layer.name][:, layer.index] / np.float32(step)
    return flat.reshape(len(flat), *layer.onnx_shape)
