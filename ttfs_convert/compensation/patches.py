"""What the weights of a convolution or of a fully connected layer read: one row per sample and output position."""

from __future__ import annotations

import math

import numpy as np

from ..network.synapses.connection import Connection
from ..network.synapses.convolution import Conv
from ..network.synapses.dense import Dense


def weighted_step(connection: Connection) -> Conv | Dense | None:
    """The synapses whose weights can be fitted: the last ones of the path, if they have weights of their own."""
    last = connection.path[-1] if connection.path else None
    return last if isinstance(last, (Conv, Dense)) else None


def groups(step: Conv | Dense) -> int:
    """Of a convolution; 1 of other steps."""
    return step.groups if isinstance(step, Conv) else 1


def fan_in(step: Conv | Dense) -> int:
    """How many weights a neuron has, padded taps included."""
    return step.weights.size // step.weights.shape[-1]


def patches(step: Conv | Dense, values: np.ndarray, positions: np.ndarray, padding: float = 0.0) -> np.ndarray:
    """(n p, groups, weights per neuron) float32, in the order of the weights' own axes.

    values: (n, *in_shape) float32. positions: (n, p), which outputs of each sample, flat. padding: what padded taps hold.
    """
    values = values.reshape(len(values), *step.in_shape)
    if isinstance(step, Dense):
        return np.repeat(values[:, None], positions.shape[1], axis=1).reshape(-1, 1, step.in_shape[0])
    room = [
        (out - 1) * stride + dilation * (kernel - 1) + 1 - before - size
        for out, stride, dilation, kernel, before, size in zip(step.out_shape, step.strides, step.dilations, step.kernel, step.pads, step.in_shape)
    ]
    widths = [(before, max(0, after)) for before, after in zip(step.pads, room)]
    padded = np.pad(values, [(0, 0), *widths, (0, 0)], constant_values=padding)
    sizes = padded.shape[1:-1]
    at = np.unravel_index(positions, step.out_shape[:-1])
    first = np.ravel_multi_index([axis * stride for axis, stride in zip(at, step.strides)], sizes)
    taps = np.ravel_multi_index(
        [axis * dilation for axis, dilation in zip(np.indices(step.kernel).reshape(len(step.kernel), -1), step.dilations)], sizes
    )
    first = first + np.arange(len(values))[:, None] * math.prod(sizes)
    rows = np.take(padded.reshape(-1, padded.shape[-1]), first.reshape(-1, 1) + taps, axis=0)  # (n p, taps, channels)
    if step.groups == 1:
        return rows.reshape(len(rows), 1, -1)
    grouped = rows.reshape(len(rows), len(taps), step.groups, -1)
    return np.ascontiguousarray(np.moveaxis(grouped, 2, 1)).reshape(len(rows), step.groups, -1)
