"""Engine `exact`: every layer at once, from its window's opening: V0 by event-driven sums, then the crossing in closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..ir import (
    AveragePool,
    Concat,
    Connection,
    Conv,
    Dense,
    Input,
    MaxPool,
    Network,
    Readout,
    Reorder,
    Scale,
    Spiking,
    Spread,
)
from ..kernels._jit import CALLER
from ..kernels.conv import conv, conv_times
from ..kernels.dense import dense
from ..kernels.layout import Weights
from ..kernels.pool import add_decoded, average_pool, average_pool_decoded, average_pool_steps, max_pool
from ..kernels.threshold import encode, fire
from .layout import Paths, Plan, divisor, geometry, plans, weights, wide


@dataclass(frozen=True)
class Recording:
    """What one batch did. spike_times: per layer (n, *shape): steps (unsigned integers, N silent) or tau in [0, 1] (float32, 1 silent);
    a direct input sends none.

    readouts: per ONNX tensor that a readout stands for, its potentials (n, *shape of the tensor) float32. steps: N, None in continuous
    time.
    """

    spike_times: dict[str, np.ndarray]
    readouts: dict[str, np.ndarray]
    steps: int | None

    @property
    def potentials(self) -> np.ndarray:
        """Of the only readout, or the first one."""
        return next(iter(self.readouts.values()))

    def activations(self, name: str) -> np.ndarray:
        """Decoded spike times of layer `name`: a = 1 - tau, float32 in [0, 1]."""
        return decode(self.spike_times[name], self.steps)

    def silent(self, name: str) -> np.ndarray:
        """Where layer `name` has a = 0."""
        return self.spike_times[name] == (self.steps or 1)


def decode(times: np.ndarray, steps: int | None) -> np.ndarray:
    """a = 1 - tau as float32; on a grid a = (N - k) / N, correctly rounded."""
    if steps is None:
        return np.float32(1) - times
    return np.take((1 - np.arange(steps + 1) / steps).astype(np.float32), times, mode="clip")


class Simulator:
    """Runs batches on one network, whose weights are laid out for the kernels once."""

    def __init__(self, network: Network):
        self.network = network
        self._weights, self._plans = weights(network), plans(network)
        self._paths = Paths(self._weights)

    def __call__(self, x: np.ndarray | Mapping[str, np.ndarray]) -> Recording:
        """As `simulate`."""
        network, readouts = self.network, {}
        entries = x if isinstance(x, Mapping) else {network.inputs[0].onnx_name: x}
        images = len(entries[network.inputs[0].onnx_name])
        state = _State(network, self._weights, images, entries, {}, {}, self._plans, self._paths)
        with CALLER:
            for layer in network.layers:
                if isinstance(layer, Readout):
                    potentials = _potential(state, layer).reshape(images, -1)
                    readouts[layer.tensor] = potentials[:, layer.index].reshape(images, *layer.onnx_shape)
                elif isinstance(layer, Input) and layer.coding == "direct":
                    state.decoded[layer.name] = _channels_last(layer, entries[layer.onnx_name])
                else:
                    state.times[layer.name] = SPIKE_TIMES[layer.kind](state, layer)
        return Recording(state.times, readouts, network.steps)


def simulate(network: Network, x: np.ndarray | Mapping[str, np.ndarray]) -> Recording:
    """Run `network` on `x`: (n, *shape of what the input population encodes) float32 within its range, in the model's own layout; for
    several of them a mapping from ONNX tensors.

    Batches are independent: splitting one changes no bit of the result; for many of them keep a `Simulator`. Calls from several threads
    wait for each other. Raises DataError for an `x` that is missing, of another shape or with values outside the range.
    """
    entries = x if isinstance(x, Mapping) else {network.inputs[0].onnx_name: x}
    images = {len(_checked(layer, entries.get(layer.onnx_name))) for layer in network.inputs}
    if len(images) > 1:
        raise DataError("x", f"inputs of {sorted(images)} images", "as many of each")
    return Simulator(network)(entries)


def _checked(layer: Input, x: np.ndarray | None) -> np.ndarray:
    """`x`, if it is what `layer` can encode."""
    where, expected = f"x for {layer.onnx_name!r}", layer.onnx_shape
    if x is None or x.ndim != len(expected) + 1 or x.shape[1:] != expected or not len(x):
        raise DataError(where, "nothing" if x is None else f"shape {x.shape}", f"(n, {', '.join(map(str, expected))}), n at least 1")
    lo, hi = layer.bounds or (-np.inf, np.inf)
    inside = np.isfinite(x).all() and x.min() >= lo and x.max() <= hi
    if inside and layer.bounds and (np.ptp(layer.lo) or np.ptp(layer.hi)):
        values = _channels_last(layer, x)
        inside = (values >= layer.lo).all() and (values <= layer.hi).all()
    if not inside:
        raise DataError(where, f"values from {x.min():g} to {x.max():g}", f"{lo:g} to {hi:g}, or the range of each channel",
                        "scale the inputs, or convert with --input-range")
    return x


@dataclass(frozen=True)
class _State:
    """One batch under way: what is to be encoded, spike times of the layers so far, and their decoded activations where some layer needs
    them."""

    network: Network
    weights: dict[int, Weights]
    images: int
    entries: Mapping[str, np.ndarray]
    times: dict[str, np.ndarray]
    decoded: dict[str, np.ndarray]
    plans: dict[str, Plan]
    paths: Paths

    def activations(self, name: str) -> np.ndarray:
        if name not in self.decoded:
            self.decoded[name] = decode(self.times[name], self.network.steps)
        return self.decoded[name]

    def new_times(self, shape: tuple[int, ...]) -> np.ndarray:
        steps = self.network.steps
        dtype = np.float32 if steps is None else np.uint8 if steps <= 255 else np.uint16
        return np.empty(shape, dtype)


def _channels_last(layer: Input, x: np.ndarray) -> np.ndarray:
    """(n, *shape) float32."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1) if layer.channels_first else x, np.float32).reshape(len(x), *layer.shape)


def _encode(state: _State, layer: Input) -> np.ndarray:
    """tau = 1 - (x - lo) / (hi - lo)."""
    values = (_channels_last(layer, state.entries[layer.onnx_name]) - layer.lo) / (layer.hi - layer.lo)
    times = state.new_times(values.shape)
    encode(values.reshape(state.images, -1), state.network.steps or 0, state.network.half, times.reshape(state.images, -1))
    return times


def _fire(state: _State, layer: Spiking) -> np.ndarray:
    times = state.new_times((state.images, *layer.shape))
    if layer.name in state.plans:
        _fire_from_sums(state, state.plans[layer.name], times)
        return times
    pool = _single_pool(layer)
    if pool is not None and state.network.steps is not None and layer.connections[0].source in state.times:
        source = image(state.times[layer.connections[0].source], pool.in_shape)
        average_pool_steps(source, divisor(pool), *geometry(pool), state.network.steps, state.network.half, image(times, pool.out_shape))
        return times
    potential = _potential(state, layer)
    slopes = layer.weight_sums if layer.slope == "fan_in" else np.ones(1, np.float32)
    slopes = np.broadcast_to(slopes, layer.shape if slopes.ndim > 1 else layer.shape[-1:]).reshape(-1)
    fire(potential.reshape(-1, slopes.size), slopes, state.network.steps or 0, state.network.half, times.reshape(-1, slopes.size))
    return times


def _fire_from_sums(state: _State, plan: Plan, times: np.ndarray) -> None:
    """Potentials that never reach memory, but those of other connections."""
    last, steps, start = plan.last.path[-1], state.network.steps, plan.start
    if plan.others:
        start = np.empty((len(times), *plan.out_shape), np.float32)
        start.reshape(-1, *plan.start.shape)[:] = plan.start
        for connection in plan.others:
            _integrate(state, connection, start)
    inputs = _through(state, plan.last).reshape(len(times), *plan.in_shape)
    times = times.reshape(len(times), *plan.out_shape)
    dense = last.kind == "conv" and state.paths.dense(last, inputs, steps if inputs.dtype == np.uint8 else 0)
    conv_times(inputs, steps, state.weights[id(last)], *plan.geometry, start.reshape(-1, plan.out_shape[-1]), plan.ramp, steps, times, dense)


def _through(state: _State, connection: Connection) -> np.ndarray:
    """What the last step of a connection reads: spike steps of eight bits, or activations."""
    source, path = state.times.get(connection.source), connection.path
    if len(path) == 1 and source is not None and source.dtype == np.uint8:
        return source
    return _before_last(state, connection)


def _single_pool(layer: Spiking) -> AveragePool | None:
    path = layer.connections[0].path
    alone = len(layer.connections) == 1 and len(path) == 1 and layer.bias is None
    return path[0] if alone and isinstance(path[0], AveragePool) else None


def _max_pool(state: _State, layer: MaxPool) -> np.ndarray:
    times = state.new_times((state.images, *layer.shape))
    source = image(state.times[layer.source], layer.in_shape)
    max_pool(source, source.dtype.type(state.network.steps or 1), *geometry(layer), image(times, layer.out_shape))
    return times


def _reorder(state: _State, layer: Reorder) -> np.ndarray:
    return state.times[layer.source].reshape(state.images, -1)[:, layer.index].reshape(state.images, *layer.shape)


def _concat(state: _State, layer: Concat) -> np.ndarray:
    positions = layer.shape[:-1]
    parts = [state.times[source].reshape(state.images, *positions, -1) for source in layer.joined]
    return np.concatenate(parts, axis=-1)


SPIKE_TIMES: dict[str, Callable] = {"input": _encode, "spiking": _fire, "max_pool": _max_pool, "reorder": _reorder, "concat": _concat}


def _potential(state: _State, layer: Spiking | Readout) -> np.ndarray:
    """V0 = bias + every connection, (n, *shape) float32."""
    potential = np.zeros((state.images, *layer.shape), np.float32)
    if layer.bias is not None:
        potential += layer.bias
    for connection in layer.connections:
        _integrate(state, connection, potential)
    return potential


def _integrate(state: _State, connection: Connection, potential: np.ndarray) -> None:
    source = state.times.get(connection.source)
    if not connection.path and state.network.steps is not None and source is not None:
        add_decoded(source.reshape(state.images, -1), state.network.steps, potential.reshape(state.images, -1))
    elif not connection.path:
        potential += state.activations(connection.source).reshape(potential.shape)
    else:
        last, values = connection.path[-1], _before_last(state, connection)
        options = {"dense": state.paths.dense(last, values, 0)} if isinstance(last, Conv) else {}
        SYNAPSES[last.kind](state, last, values.reshape(state.images, *last.in_shape), potential, **options)


def _before_last(state: _State, connection: Connection) -> np.ndarray:
    """Activations through all steps of the connection's path but the last."""
    source, path, steps = state.times.get(connection.source), connection.path, state.network.steps
    if len(path) > 1 and isinstance(path[0], AveragePool) and steps is not None and source is not None:
        values = np.zeros((state.images, *path[0].out_shape), np.float32)
        average_pool_decoded(image(source, path[0].in_shape), steps, divisor(path[0]), *geometry(path[0]), image(values, path[0].out_shape))
        path = path[1:]
    else:
        values = state.activations(connection.source)
    for step in path[:-1]:
        between = np.zeros((state.images, *step.out_shape), np.float32)
        SYNAPSES[step.kind](state, step, values.reshape(state.images, *step.in_shape), between)
        values = between
    return values


def _conv(state: _State, step: Conv, activation: np.ndarray, potential: np.ndarray, dense: bool = False) -> None:
    conv(image(activation, step.in_shape), state.weights[id(step)], *geometry(step), image(potential, step.out_shape),
         dense)


def _dense(state: _State, step: Dense, activation: np.ndarray, potential: np.ndarray) -> None:
    dense(activation, state.weights[id(step)], potential)


def _average(state: _State, step: AveragePool, activation: np.ndarray, potential: np.ndarray) -> None:
    average_pool(image(activation, step.in_shape), divisor(step), *geometry(step), image(potential, step.out_shape))


def _scale(state: _State, step: Scale, activation: np.ndarray, potential: np.ndarray) -> None:
    potential += (activation * step.weights).reshape(potential.shape)


def _spread(state: _State, step: Spread, activation: np.ndarray, potential: np.ndarray) -> None:
    wide = potential.reshape(len(potential), *step.out_shape)
    wide[(slice(None), *(slice(None, None, stride) for stride in step.strides))] += activation


SYNAPSES: dict[str, Callable] = {"conv": _conv, "dense": _dense, "average_pool": _average, "scale": _scale, "spread": _spread}


def image(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A view (n, height, width, channels) of (n, *shape); one-dimensional positions become one row of an image."""
    return array.reshape(len(array), *wide(shape))
