"""Membrane potentials of a fully connected layer, from events."""

import numba as nb
import numpy as np

from ._jit import jit
from .events import events
from .vector import LANES, accumulate

CHUNK = 256  # inputs whose weights (a block of at most 64 outputs: 64 KiB) stay in the cache while several images use them
IMAGES = 8


def dense(activation: np.ndarray, weights: np.ndarray, potential: np.ndarray) -> None:
    """potential[n, o] += sum_i activation[n, i] weights[i, o].

    activation: (n, inputs) float32. weights: (chunks, blocks, CHUNK, block) float32, see `chunked`. potential: (n, outputs) float32,
    added to in place.
    """
    chunks = weights.shape[0]
    padded = np.zeros((len(activation), chunks * CHUNK), np.float32)
    padded[:, :activation.shape[1]] = activation
    _dense(events(padded, CHUNK), weights, potential)


def chunked(blocks: np.ndarray) -> np.ndarray:
    """`vector.blocked` weights of a layer with one group and one tap, (1, blocks, 1, inputs, block), as (chunks, blocks, CHUNK, block)."""
    inputs, block = blocks.shape[3:]
    chunks = -(-inputs // CHUNK)
    padded = np.zeros((blocks.shape[1], chunks * CHUNK, block), np.float32)
    padded[:, :inputs] = blocks[0, :, 0]
    return np.ascontiguousarray(padded.reshape(-1, chunks, CHUNK, block).transpose(1, 0, 2, 3))


@jit(parallel=True)
def _dense(inputs, weights, potential):
    channel, value, count = inputs
    images, outputs = potential.shape
    chunks, blocks, block = weights.shape[0], weights.shape[1], weights.shape[3]
    vectors = block // LANES
    tiles = (images + IMAGES - 1) // IMAGES
    for item in nb.prange(tiles * blocks):
        tile, b = item // blocks, item % blocks
        first, past = tile * IMAGES, min((tile + 1) * IMAGES, images)
        sums = np.zeros((IMAGES, block), np.float32)
        for chunk in range(chunks):
            for n in range(first, past):
                r = n * chunks + chunk
                accumulate(vectors, sums[n - first], weights[chunk, b], channel[r], value[r], count[r])
        for n in range(first, past):
            for o in range(min(block, outputs - b * block)):
                potential[n, b * block + o] += sums[n - first, o]
