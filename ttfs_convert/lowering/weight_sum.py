"""The paper's weight sum of a neuron: all its weights over a connection, padded taps included. Slope `fan_in` ramps with it."""

from __future__ import annotations

import numpy as np

from ..synapses import AveragePool, Connection, Conv, Dense, Scale, Shape, Spread
from .linear import APPLY
from .values import compact


def _conv(step: Conv, incoming: np.ndarray) -> np.ndarray:
    per_tap = step.weights.sum(axis=tuple(range(len(step.kernel))), dtype=np.float64)  # (channels in / groups, channels out)
    outputs = per_tap.shape[1] // step.groups
    return np.concatenate([incoming[g * per_tap.shape[0]:(g + 1) * per_tap.shape[0]] @ per_tap[:, g * outputs:(g + 1) * outputs]
                           for g in range(step.groups)])


def _dense(step: Dense, incoming: np.ndarray) -> np.ndarray:
    return np.tile(incoming.reshape(-1), step.in_shape[0] // incoming.size) @ step.weights.astype(np.float64)


def _average_pool(step: AveragePool, incoming: np.ndarray) -> np.ndarray:
    return incoming  # weights 1/n, n of them: with padded taps counted in n those are there, otherwise they do not exist


def _scale(step: Scale, incoming: np.ndarray) -> np.ndarray:
    return incoming * step.weights


WEIGHT_SUMS = {"conv": _conv, "dense": _dense, "average_pool": _average_pool, "scale": _scale}


def weight_sums(connection: Connection, shape: Shape) -> np.ndarray:
    """Sum of the weights from `connection`'s source to each neuron of `shape`: (channels,) float64, or whole behind a whole Scale
    or a Spread."""
    if any(isinstance(step, Spread) for step in connection.path):  # each output sees its own part of the kernel, and no padding
        image = np.ones(connection.path[0].in_shape)
        for step in connection.path:
            image = APPLY[step.kind](step, image)
        return compact(image)
    first = connection.path[0].in_shape[-1] if connection.path else shape[-1]
    sums = np.ones(first)
    for step in connection.path:
        sums = WEIGHT_SUMS[step.kind](step, sums)
    return sums
