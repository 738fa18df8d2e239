"""Engine `exact`: every layer at once, from its window's opening: V0 by event-driven sums, then the crossing in closed form."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..ir import Coded, Concat, Input, Network, Readout, Reorder, Spiking, sources
from ..kernels._jit import CALLER
from ..kernels.pool import average_pool_steps
from ..kernels.threshold import encode, fire
from ..recording import Recording, decode
from ..synapses import AveragePool
from .entries import channels_last, encoded
from .integration import Integrator, divisor, geometry, image
from .wiring import WIRING


class Disturbance(Protocol):
    """What noise does to the spikes of one population on their way out."""

    def __call__(self, layer: Input | Spiking, times: np.ndarray, steps: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Spike times as other layers receive them, of the same shape and dtype; and where a spike is lost (its time says silent), None
        where none is."""


class Simulator:
    """Runs batches on one network, whose weights are laid out for the kernels once. disturb: noise on the spikes of every population."""

    def __init__(self, network: Network, disturb: Disturbance | None = None):
        self.network, self.steps, self._disturb = network, network.steps_per_layer(), disturb
        self._integrator = Integrator(network)

    def __call__(self, x: np.ndarray | Mapping[str, np.ndarray]) -> Recording:
        """As `simulate`."""
        state, readouts = self._state(x), {}
        with CALLER:
            for layer in self.network.layers:
                if isinstance(layer, Readout):
                    potentials = potential(state, layer).reshape(state.images, -1)
                    readouts[layer.tensor] = potentials[:, layer.index].reshape(state.images, *layer.onnx_shape)
                elif isinstance(layer, Input) and layer.coding == "direct":
                    state.decoded[layer.name] = channels_last(layer, state.entries[layer.onnx_name])
                else:
                    self._spike(state, layer)
        return Recording(state.times, readouts, self.steps)

    def again(self, recording: Recording, x: np.ndarray | Mapping[str, np.ndarray]
              ) -> Iterator[tuple[Input | Spiking, np.ndarray, Callable[[], np.ndarray]]]:
        """What this engine makes of another one's spikes: for every encoder and layer of neurons its spike times if its sources fired as
        `recording` says, so that each layer is judged alone; and a function that gives them before they are rounded, tau."""
        state = self._state(x)
        for layer in self.network.layers:
            if isinstance(layer, Input) and layer.coding == "direct":
                state.decoded[layer.name] = channels_last(layer, state.entries[layer.onnx_name])
            elif isinstance(layer, (Input, Spiking)):
                with CALLER:
                    times = SPIKE_TIMES[layer.kind](state, layer, self.steps[layer.name])
                yield layer, times, functools.partial(SPIKE_TIMES[layer.kind], state, layer, None)
            state.times[layer.name] = recording.spike_times.get(layer.name)

    def _state(self, x: np.ndarray | Mapping[str, np.ndarray]) -> _State:
        entries = x if isinstance(x, Mapping) else {self.network.inputs[0].onnx_name: x}
        images = len(entries[self.network.inputs[0].onnx_name])
        return _State(self.steps, self.network.half, self._integrator, images, entries, {}, {}, {})

    def _spike(self, state: _State, layer: Coded | Reorder | Concat) -> None:
        if layer.kind not in WIRING:
            times = SPIKE_TIMES[layer.kind](state, layer, self.steps[layer.name])
            state.times[layer.name] = times
            if self._disturb is not None:
                state.times[layer.name], lost = self._disturb(layer, times, self.steps[layer.name])
                if lost is not None:
                    state.lost[layer.name] = lost.astype(np.uint8)
            return
        state.times[layer.name] = WIRING[layer.kind](layer, state.times, self.steps[layer.name] or 1)
        if any(source in state.lost for source in sources(layer)):  # of a pool's window all spikes must be lost
            whole = {source: state.lost.get(source, np.zeros(state.times[source].shape, np.uint8)) for source in sources(layer)}
            state.lost[layer.name] = WIRING[layer.kind](layer, whole, 1)


@dataclass(frozen=True)
class _State:
    """One batch under way: what is to be encoded, spike times of the layers so far, their decoded activations where some layer needs them,
    and which spikes noise has lost."""

    steps: Mapping[str, int | None]
    half: float
    integrator: Integrator
    images: int
    entries: Mapping[str, np.ndarray]
    times: dict[str, np.ndarray]
    decoded: dict[str, np.ndarray]
    lost: dict[str, np.ndarray]

    def activations(self, name: str) -> np.ndarray:
        if name not in self.decoded:
            self.decoded[name] = decode(self.times[name], self.steps[name])
        return self.decoded[name]

    def new_times(self, layer: Input | Spiking, steps: int | None) -> np.ndarray:
        return np.empty((self.images, *layer.shape), np.float32 if steps is None else np.uint8 if steps <= 255 else np.uint16)


def _encode(state: _State, layer: Input, steps: int | None) -> np.ndarray:
    times = state.new_times(layer, steps)
    values = encoded(layer, state.entries[layer.onnx_name])
    encode(values.reshape(state.images, -1), steps or 0, state.half, times.reshape(state.images, -1))
    return times


def _fire(state: _State, layer: Spiking, steps: int | None) -> np.ndarray:
    times = state.new_times(layer, steps)
    pool = _single_pool(layer)
    source = layer.connections[0].source
    if pool is not None and steps is not None and source in state.times and source not in state.lost:
        average_pool_steps(image(state.times[source], pool.in_shape), state.steps[source], divisor(pool), *geometry(pool), steps, state.half,
                           image(times, pool.out_shape))
        return times
    slopes = _slopes(state, layer)
    fire(potential(state, layer).reshape(-1, slopes.size), slopes, steps or 0, state.half, times.reshape(-1, slopes.size))
    return times


def _single_pool(layer: Spiking) -> AveragePool | None:
    path = layer.connections[0].path
    alone = len(layer.connections) == 1 and len(path) == 1 and layer.bias is None
    return path[0] if alone and isinstance(path[0], AveragePool) else None


def _slopes(state: _State, layer: Spiking) -> np.ndarray:
    """S of each channel or neuron, flat float32; of each image's neurons where lost spikes take their weights out of it."""
    sums = layer.weight_sums if layer.slope == "fan_in" else np.ones(1, np.float32)
    slopes = np.broadcast_to(sums, layer.shape if sums.ndim > 1 else layer.shape[-1:])
    lossy = [connection for connection in layer.connections if connection.source in state.lost]
    if layer.slope != "gated" and lossy:
        missing = np.zeros((state.images, *layer.shape), np.float32)
        for connection in lossy:
            state.integrator.add(connection, state.lost[connection.source].astype(np.float32), missing)
        slopes = slopes - missing
    return slopes.reshape(-1)


SPIKE_TIMES: dict[str, Callable] = {"input": _encode, "spiking": _fire}


def potential(state: _State, layer: Spiking | Readout) -> np.ndarray:
    """V0 = bias + every connection, (n, *shape) float32."""
    result = np.zeros((state.images, *layer.shape), np.float32)
    if layer.bias is not None:
        result += layer.bias
    for connection in layer.connections:
        state.integrator.add(connection, state.activations(connection.source), result)
    return result
