"""The paper's weight sum of a neuron: all its weights over a connection, padded taps included. Slope `fan_in` ramps with it."""

from __future__ import annotations

import numpy as np

from ..synapses import AveragePool, Connection, Conv, Dense, Scale, Shape, Sparse, Spread, Synapses, has_virtual_neurons
from .linear import APPLY
from .values import compact


def _conv(step: Conv, incoming: np.ndarray) -> np.ndarray:
    per_tap = step.weights.sum(axis=tuple(range(len(step.kernel))), dtype=np.float64)  # (channels in / groups, channels out)
    outputs = per_tap.shape[1] // step.groups
    return np.concatenate([incoming[g * per_tap.shape[0]:(g + 1) * per_tap.shape[0]] @ per_tap[:, g * outputs:(g + 1) * outputs]
                           for g in range(step.groups)])


def _dense(step: Dense, incoming: np.ndarray) -> np.ndarray:
    return np.tile(incoming, step.in_shape[0] // incoming.size) @ step.weights.astype(np.float64)


def _average_pool(step: AveragePool, incoming: np.ndarray) -> np.ndarray:
    return incoming  # weights 1/n, n of them: with padded taps counted in n those are there, otherwise they do not exist


def _scale(step: Scale, incoming: np.ndarray) -> np.ndarray:
    return incoming * step.weights


PER_CHANNEL = {"conv": _conv, "dense": _dense, "average_pool": _average_pool, "scale": _scale}  # of sums that do not differ by position


def _whole(step: Synapses, before: Synapses | None, incoming: np.ndarray) -> np.ndarray:
    """Of sums that differ by position. A virtual neuron's is 1: what it adds is what is missing where the inputs less 1 are padded with 0."""
    if not has_virtual_neurons(step, before):
        return APPLY[step.kind](step, incoming)
    return APPLY[step.kind](step, incoming - 1) + PER_CHANNEL[step.kind](step, np.ones(step.in_shape[-1]))


def _borders_differ(step: Synapses, before: Synapses | None, incoming: np.ndarray) -> bool:
    """Whether what `step` adds up at its borders is not what it adds up inside. incoming: per channel."""
    if isinstance(before, Spread):
        return True
    return has_virtual_neurons(step, before) and (any(step.pads) or any(step.pads_end)) and bool((incoming != 1).any())


def weight_sums(connection: Connection, shape: Shape) -> np.ndarray:
    """Sum of the weights from `connection`'s source to each neuron of `shape`: per channel where positions do not differ, else whole;
    float64."""
    here, before = connection.path[0].in_shape if connection.path else shape, None
    sums = np.ones(here[-1])
    for step in connection.path:
        sums = compact(np.broadcast_to(sums, here).reshape(step.in_shape)) if here[-1] != step.in_shape[-1] or sums.ndim > 1 else sums
        if isinstance(step, (Sparse, Spread)) or sums.ndim > 1 or _borders_differ(step, before, sums):
            sums = compact(_whole(step, before, np.broadcast_to(sums, step.in_shape)))
        else:
            sums = PER_CHANNEL[step.kind](step, sums)
        here, before = step.out_shape, step
    return sums if here == shape else compact(np.broadcast_to(sums, here).reshape(shape))
