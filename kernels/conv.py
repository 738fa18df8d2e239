"""Convolutional layers: 1-D, 2-D, strided, dilated and grouped on one path, from events or densely."""

from functools import lru_cache

import numba as nb
import numpy as np

from ._threads import in_parallel
from .integrate import integrate_shared
from .layout import CHANNELWISE_SUMS, SERIAL_MACS, Slide, Weights, columns, tiling
from .vector import LANES

_NO_TIMES, _NO_VALUES, _NO_RAMP = np.empty((0, 0, 0, 0), np.uint8), np.empty((0, 0, 0, 0), np.float32), np.empty((2, 0, 0))


def conv(activation: np.ndarray, weights: Weights, kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int],
         pads: tuple[int, int], potential: np.ndarray, dense: bool = False) -> None:
    """potential[n, y, x, o] += sum over taps and channels of activation[n, y s - p + ky d, x s - p + kx d, c] weights[ky, kx, c, o].

    activation: (n, height, width, channels) float32. weights: as `layout.pack` gives them. kernel, strides, dilations, pads: (y, x) integers;
    pads are those before the first row and column, and padded taps add nothing. potential: (n, out height, out width, outputs) float32,
    contiguous, added to in place. dense: whether to use silent inputs like the others, which is faster where there are few.
    """
    start = potential.reshape(-1, potential.shape[3])
    _run(_own(activation), 0, weights, (strides, dilations, pads, dense), start, _NO_RAMP, 0, potential)


def conv_times(inputs: np.ndarray, in_steps: int, weights: Weights, kernel: tuple[int, int], strides: tuple[int, int],
               dilations: tuple[int, int], pads: tuple[int, int], start: np.ndarray, ramp: np.ndarray, steps: int, times: np.ndarray,
               dense: bool = False) -> None:
    """The spike times of neurons that `conv` feeds, without a trip of their potentials to memory.

    inputs: uint8 steps of which `in_steps` is silent, or float32 activations, (n, height, width, channels). start: (m, outputs) float32, what
    the potentials start from, for output positions modulo m. ramp: (2, m', outputs) float64, of `threshold.ramp` for N = steps <= 255.
    times: (n, out height, out width, outputs) uint8. The others: as for `conv`.
    """
    _run(_own(inputs), in_steps if inputs.dtype == np.uint8 else 0, weights, (strides, dilations, pads, dense), start, ramp, steps, times)


def _own(array):
    """A contiguous and writeable array: others would be compiled for anew."""
    return array if array.flags.carray else np.require(array, requirements=("C", "W"))


def _run(inputs, in_steps, weights, geometry, start, ramp, steps, out):
    integers, source, first, macs = _prepared(weights[1:], geometry, inputs.shape[1:3], out.shape[1:3], in_steps, steps)
    alone = macs * len(inputs) < SERIAL_MACS
    sums = weights.vectors // CHANNELWISE_SUMS or 1 if weights.channelwise else weights.vectors
    cut, tiles = tiling(len(inputs), *out.shape[1:3], weights.groups * weights.blocks, sums, 1 if alone else nb.get_num_threads())
    in_parallel(integrate_shared, tiles, (inputs if in_steps else _NO_TIMES, _NO_VALUES if in_steps else inputs, weights.values, integers, source,
                                   first, cut, start, ramp, _NO_VALUES if steps else out, out if steps else _NO_TIMES), alone)


@lru_cache(maxsize=4096)
def _prepared(sizes, geometry, in_size, out_size, in_steps, steps):
    """What `integrate` needs to know of a layer, integers and columns, and the multiply-adds of one image."""
    strides, dilations, pads, dense = geometry
    groups, blocks, _, _, vectors, channels, _, height, width, _ = sizes
    slide = Slide(*in_size, *out_size, strides[0], dilations[0], pads[0], in_steps, steps, int(dense))
    taps = columns(in_size[1], width, strides[1], dilations[1], pads[1], out_size[1])
    return np.array([*sizes, *slide], np.int64), *taps, out_size[0] * out_size[1] * groups * blocks * vectors * LANES * height * width * channels
