"""Spikes as events: for each pixel and group of channels, the list of channels that are not silent and their activations."""

import numba as nb
import numpy as np

from ._jit import jit


@jit(parallel=True)
def compress(activation, channel, value, count):
    """Write the events of each row: `channel[r, :count[r]]` ascending and `value[r, :count[r]]` the activations that are not 0.

    activation: (rows, channels) float32. channel: (rows, channels + 1) int32. value: (rows, channels + 1) float32. count: (rows,) int64.
    The spare column lets the loop write without asking first: whether a neuron is silent cannot be predicted.
    """
    for r in nb.prange(activation.shape[0]):
        k = 0
        for c in range(activation.shape[1]):
            channel[r, k] = c
            value[r, k] = activation[r, c]
            k += activation[r, c] != 0
        count[r] = k


def events(activation: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`compress` of a float32 array of any shape, in rows of `channels`."""
    rows = activation.reshape(-1, channels)
    channel = np.empty((len(rows), channels + 1), np.int32)
    value = np.empty((len(rows), channels + 1), np.float32)
    count = np.empty(len(rows), np.int64)
    compress(rows, channel, value, count)
    return channel, value, count
