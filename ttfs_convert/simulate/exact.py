"""Engine `exact`: every layer at once, from its window's opening: V0 by event-driven sums, then the crossing in closed form."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ..ir import Coded, Concat, Input, Network, Readout, Reorder, Spiking, sources
from ..kernels._jit import CALLER
from ..kernels.conv import conv_times
from ..kernels.pool import add_decoded, average_pool_decoded, average_pool_steps
from ..kernels.threshold import encode, fire
from ..recording import Recording, decode
from ..synapses import AveragePool, Connection, Conv
from .entries import channels_last, encoded
from .integration import Integrator, image
from .layout import Plan, divisor, geometry, plans
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
        self._integrator, self._plans = Integrator(network), plans(network)

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

    def potentials(self, recording: Recording, x: np.ndarray | Mapping[str, np.ndarray]) -> Iterator[tuple[Spiking, np.ndarray]]:
        """V0 of every layer of neurons as its window opens, (n, *shape) float32, if its sources fired as `recording`, of any engine, says:
        sum_j w_ij max(0, 1 - tau_j) + b_i. With a fixed threshold a spike that is late or missing adds nothing by then."""
        state = replace(self._state(x), steps=recording.steps)
        for layer in self.network.layers:
            if isinstance(layer, Input) and layer.coding == "direct":
                state.decoded[layer.name] = channels_last(layer, state.entries[layer.onnx_name])
                continue
            if isinstance(layer, Spiking):
                with CALLER:
                    found = potential(state, layer)
                yield layer, found
            for name in state.decoded.keys() & state.times.keys():  # one layer's at a time
                del state.decoded[name]
            if layer.name in recording.spike_times:
                times = recording.spike_times[layer.name]
                state.times[layer.name] = times if times.dtype.kind == "u" else np.fmin(times, np.float32(1))

    def _state(self, x: np.ndarray | Mapping[str, np.ndarray]) -> _State:
        entries = x if isinstance(x, Mapping) else {self.network.inputs[0].onnx_name: x}
        images = len(entries[self.network.inputs[0].onnx_name])
        return _State(self.steps, self.network.half, self._integrator, self._plans, images, entries, {}, {}, {})

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
    plans: Mapping[str, Plan]
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
    if steps is not None and layer.name in state.plans and not any(connection.source in state.lost for connection in layer.connections):
        _fire_from_sums(state, state.plans[layer.name], steps, times)
        return times
    pool = _single_pool(layer)
    source = layer.connections[0].source
    if pool is not None and steps is not None and source in state.times and source not in state.lost:
        average_pool_steps(image(state.times[source], pool.in_shape), state.steps[source], divisor(pool), *geometry(pool), steps, state.half,
                           image(times, pool.out_shape))
        return times
    slopes = _slopes(state, layer)
    fire(potential(state, layer).reshape(-1, slopes.size), slopes, steps or 0, state.half, times.reshape(-1, slopes.size))
    return times


def _fire_from_sums(state: _State, plan: Plan, steps: int, times: np.ndarray) -> None:
    """Spike steps from potentials that never reach memory, but those of other connections."""
    last, start = plan.last.path[-1], plan.start
    if plan.others:
        start = np.empty((len(times), *plan.out_shape), np.float32)
        start.reshape(-1, *plan.start.shape)[:] = plan.start
        for connection in plan.others:
            _add(state, connection, start)
    inputs, silent = _read_by_last(state, plan.last)
    inputs, out = inputs.reshape(len(times), *plan.in_shape), times.reshape(len(times), *plan.out_shape)
    dense = isinstance(last, Conv) and state.integrator.paths.dense(last, inputs, silent)
    conv_times(inputs, silent, state.integrator.weights[id(last)], *plan.geometry, start.reshape(-1, plan.out_shape[-1]), plan.ramp, steps, out,
               dense)


def _read_by_last(state: _State, connection: Connection) -> tuple[np.ndarray, int]:
    """What the last step of a connection reads, and what of it is silent: spike steps of eight bits and N, or activations and 0."""
    times = state.times.get(connection.source)
    if len(connection.path) == 1 and times is not None and times.dtype == np.uint8:
        return times, state.steps[connection.source]
    return _before_last(state, connection), 0


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
        _add(state, connection, result)
    return result


def _add(state: _State, connection: Connection, result: np.ndarray) -> None:
    """Add what a connection contributes to V0, (n, ...) float32."""
    times = state.times.get(connection.source)
    if connection.path:
        state.integrator.add_step(connection.path[-1], _before_last(state, connection), result)
    elif times is not None and times.dtype.kind == "u":
        add_decoded(times.reshape(state.images, -1), state.steps[connection.source], result.reshape(state.images, -1))
    else:
        result += state.activations(connection.source).reshape(result.shape)


def _before_last(state: _State, connection: Connection) -> np.ndarray:
    """Activations behind all steps of the connection's path but the last."""
    times, path = state.times.get(connection.source), connection.path
    if len(path) > 1 and isinstance(path[0], AveragePool) and times is not None and times.dtype.kind == "u":
        values = np.zeros((state.images, *path[0].out_shape), np.float32)
        average_pool_decoded(image(times, path[0].in_shape), state.steps[connection.source], divisor(path[0]), *geometry(path[0]),
                             image(values, path[0].out_shape))
        path = path[1:]
    else:
        values = state.activations(connection.source)
    for step in path[:-1]:
        behind = np.zeros((state.images, *step.out_shape), np.float32)
        state.integrator.add_step(step, values, behind)
        values = behind
    return values
