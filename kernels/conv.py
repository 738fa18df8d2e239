"""Membrane potentials of a convolutional layer, from events: 1-D, 2-D, strided, dilated and grouped on one path."""

import numba as nb
import numpy as np

from ._jit import jit
from .events import events
from .vector import LANES, accumulate


def conv(activation: np.ndarray, weights: np.ndarray, kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int],
         pads: tuple[int, int], potential: np.ndarray) -> None:
    """potential[n, y, x, o] += sum over taps and channels of activation[n, y s - p + ky d, x s - p + kx d, c] weights[ky, kx, c, o].

    activation: (n, height, width, channels) float32. weights: as `vector.blocked` gives them, (groups, blocks, taps, channels / groups,
    block) float32. kernel, strides, dilations, pads: (y, x) integers; pads are those before the first row and column, and padded taps
    add nothing. potential: (n, out height, out width, outputs) float32, added to in place.
    """
    _conv(activation.shape[1:3], events(activation, weights.shape[3]), weights, kernel, strides, dilations, pads, potential)


@jit(parallel=True)
def _conv(size, pixels, weights, kernel, strides, dilations, pads, potential):
    height, width = size
    channel, value, count = pixels
    groups, blocks, block = weights.shape[0], weights.shape[1], weights.shape[4]
    vectors = block // LANES
    out_height, out_width, outputs = potential.shape[1], potential.shape[2], potential.shape[3] // groups
    for row in nb.prange(potential.shape[0] * out_height):
        n, y = row // out_height, row % out_height
        sums = np.empty((out_width, block), np.float32)  # one row of a block: stays in the cache over all taps
        for g in range(groups):
            for b in range(blocks):
                sums[:] = 0
                for ky in range(kernel[0]):
                    in_y = y * strides[0] - pads[0] + ky * dilations[0]
                    if 0 <= in_y < height:
                        for kx in range(kernel[1]):
                            tap = weights[g, b, ky * kernel[1] + kx]
                            for x in range(out_width):
                                in_x = x * strides[1] - pads[1] + kx * dilations[1]
                                if 0 <= in_x < width:
                                    p = ((n * height + in_y) * width + in_x) * groups + g
                                    accumulate(vectors, sums[x], tap, channel[p], value[p], count[p])
                lo = g * outputs + b * block
                for x in range(out_width):
                    for o in range(min(block, (g + 1) * outputs - lo)):
                        potential[n, y, x, lo + o] += sums[x, o]
