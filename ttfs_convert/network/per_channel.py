"""Arrays with one value per channel, or one per neuron."""

from __future__ import annotations

import numpy as np

from .records import Shape


def compact(values: np.ndarray) -> np.ndarray:
    """Per channel if all positions agree, else as it is. values: (*spatial, channels) or (channels,)."""
    rows = values.reshape(-1, values.shape[-1])
    return np.ascontiguousarray(rows[0]) if (rows == rows[0]).all() else values


def per_neuron(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(neurons,) float64: what `values`, (channels,) or of `shape`, say of every neuron of a population of `shape`."""
    return np.broadcast_to(values, shape).reshape(-1).astype(np.float64)


def seen_as(values: np.ndarray, shape: Shape, as_shape: Shape) -> np.ndarray:
    """Values of neurons in `shape`, per channel or whole, where the same neurons are in `as_shape`; likewise."""
    if values.shape == as_shape[-1:] and shape[-1] == as_shape[-1]:
        return values
    return compact(np.broadcast_to(values, shape).reshape(as_shape))
