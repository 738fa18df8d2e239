"""The paper's weight sum of a neuron: all its weights over a connection, padded taps included. Slope `fan_in` ramps with it."""

from __future__ import annotations

import numpy as np

from ..per_channel import compact
from ..records import Shape
from .average_pool import AveragePool
from .chains import APPLY
from .connection import Connection, Synapses, has_virtual_neurons
from .convolution import Conv
from .dense import Dense
from .scale import Scale
from .sparse import Sparse
from .spread import Spread


def _conv(step: Conv, incoming: np.ndarray) -> np.ndarray:
    per_tap = step.weights.sum(axis=tuple(range(len(step.kernel))), dtype=np.float64)  # (channels in / groups, channels out)
    outputs = per_tap.shape[1] // step.groups
    return np.concatenate(
        [incoming[g * per_tap.shape[0] : (g + 1) * per_tap.shape[0]] @ per_tap[:, g * outputs : (g + 1) * outputs] for g in range(step.groups)]
    )


def _dense(step: Dense, incoming: np.ndarray) -> np.ndarray:
    return np.tile(incoming, step.in_shape[0] // incoming.size) @ step.weights.astype(np.float64)


def _average_pool(step: AveragePool, incoming: np.ndarray) -> np.ndarray:
    return incoming  # weights 1/n, n of them: with padded taps counted in n those are there, otherwise they do not exist


def _scale(step: Scale, incoming: np.ndarray) -> np.ndarray:
    return incoming * step.weights


PER_CHANNEL = {"conv": _conv, "dense": _dense, "average_pool": _average_pool, "scale": _scale}  # of sums that do not differ by position


def _by_position(step: Synapses, before: Synapses | None, incoming: np.ndarray) -> np.ndarray:
    """Of sums that differ by position, (*spatial, channels), or (*spatial, 1) where they are the same for all channels. A virtual neuron's
    is 1: what it adds is what is missing where the inputs less 1 are padded with 0."""
    if isinstance(step, (Dense, Scale)):
        return APPLY[step.kind](step, np.broadcast_to(incoming, step.in_shape))
    step = _of_one_channel(step) if incoming.shape[-1] < step.in_shape[-1] else step
    if not has_virtual_neurons(step, before):
        return APPLY[step.kind](step, incoming)
    return APPLY[step.kind](step, incoming - 1) + PER_CHANNEL[step.kind](step, np.ones(step.in_shape[-1]))


def _of_one_channel(step: Synapses) -> Synapses:
    """What `step` makes of channels that are all alike, one of which it is given."""
    one = {"in_shape": (*step.in_shape[:-1], 1)}
    if isinstance(step, Conv):
        return step.model_copy(update=one | {"weights": step.weights.sum(-2, np.float64, keepdims=True), "groups": 1})
    return step.model_copy(update=one | {"out_shape": (*step.out_shape[:-1], 1)})


def _differs_by_position(step: Synapses, before: Synapses | None, incoming: np.ndarray) -> bool:
    """Whether the sums behind `step` are not those per channel. incoming: in front of it."""
    if incoming.ndim > 1 or isinstance(step, (Sparse, Spread)) or isinstance(before, Spread):  # a transposed convolution has no padding
        return True
    return has_virtual_neurons(step, before) and (any(step.pads) or any(step.pads_end)) and bool((incoming != 1).any())


def weight_sums(connection: Connection, shape: Shape) -> np.ndarray:
    """Sum of the weights from `connection`'s source to each neuron of `shape`: per channel where positions do not differ, else whole;
    float64."""
    here, before = connection.path[0].in_shape if connection.path else shape, None
    sums = np.ones(here[-1])
    for step in connection.path:
        sums = _seen_as(sums, here, step.in_shape)
        if _differs_by_position(step, before, sums):
            if sums.ndim == 1:
                channels = 1 if (sums == sums[0]).all() and not isinstance(step, (Dense, Scale)) else step.in_shape[-1]
                sums = np.broadcast_to(sums[:channels], (*step.in_shape[:-1], channels))
            sums = _by_position(step, before, sums)
        else:
            sums = PER_CHANNEL[step.kind](step, sums)
        here, before = step.out_shape, step
    sums = _seen_as(sums, here, shape)
    return sums if sums.ndim == 1 else np.broadcast_to(sums, shape)


def _seen_as(sums: np.ndarray, here: Shape, shape: Shape) -> np.ndarray:
    """The sums of neurons in the shape `here`, per channel or by position, in another one."""
    if sums.ndim > 1 and sums.shape[-1] < here[-1] == shape[-1]:
        sums = sums.reshape(*shape[:-1], 1)
        return np.repeat(sums.reshape(-1)[:1], shape[-1]) if (sums == sums.flat[0]).all() else sums
    if sums.ndim == 1 and here[-1] == shape[-1]:
        return sums
    return compact(np.broadcast_to(sums, here).reshape(shape))
