"""Convolutional layers: 1-D, 2-D, strided, dilated and grouped on one path, from events or densely."""

import numba as nb
import numpy as np

from .integrate import integrate
from .layout import Weights, columns, tiling

_NO_TIMES, _NO_VALUES, _NO_RAMP = np.empty((0, 0, 0, 0), np.uint8), np.empty((0, 0, 0, 0), np.float32), (np.empty((2, 0, 0)), 0)


def conv(activation: np.ndarray, weights: Weights, kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int],
         pads: tuple[int, int], potential: np.ndarray, dense: bool = False) -> None:
    """potential[n, y, x, o] += sum over taps and channels of activation[n, y s - p + ky d, x s - p + kx d, c] weights[ky, kx, c, o].

    activation: (n, height, width, channels) float32. weights: as `layout.pack` gives them. kernel, strides, dilations, pads: (y, x) integers;
    pads are those before the first row and column, and padded taps add nothing. potential: (n, out height, out width, outputs) float32,
    contiguous, added to in place. dense: whether to use silent inputs like the others, which is faster where there are few.
    """
    start = potential.reshape(-1, potential.shape[3])
    _run((_NO_TIMES, 0, _own(activation)), weights, (strides, dilations, pads), dense, start, _NO_RAMP, potential, _NO_TIMES)


def conv_times(inputs: np.ndarray, in_steps: int, weights: Weights, kernel: tuple[int, int], strides: tuple[int, int],
               dilations: tuple[int, int], pads: tuple[int, int], start: np.ndarray, ramp: np.ndarray, steps: int, times: np.ndarray,
               dense: bool = False) -> None:
    """The spike times of neurons that `conv` feeds, without a trip of their potentials to memory.

    inputs: uint8 steps of which `in_steps` is silent, or float32 activations, (n, height, width, channels). start: (m, outputs) float32, what
    the potentials start from, for output positions modulo m. ramp: (2, m', outputs) float64, of `threshold.ramp` for N = steps <= 255.
    times: (n, out height, out width, outputs) uint8. The others: as for `conv`.
    """
    _run(_either(inputs, in_steps), weights, (strides, dilations, pads), dense, start, (ramp, steps), _NO_VALUES, times)


def _either(inputs, steps):
    return (_own(inputs), steps, _NO_VALUES) if inputs.dtype == np.uint8 else (_NO_TIMES, 0, _own(inputs))


def _own(array):
    """A contiguous and writeable array: others would be compiled for anew."""
    return np.require(array, requirements=("C", "W"))


def _run(inputs, weights, geometry, is_dense, start, ramp, potential, times):
    strides, dilations, pads = geometry
    width = max(inputs[0].shape[2], inputs[2].shape[2])
    n, out_height, out_width, _ = potential.shape if times.size == 0 else times.shape
    cut = tiling(n, out_height, out_width, weights.groups * weights.blocks, weights.vectors, nb.get_num_threads())
    integrate(inputs, weights, columns(width, weights.kernel_width, strides[1], dilations[1], pads[1], out_width),
              (strides[0], dilations[0], pads[0]), cut, is_dense, start, ramp, potential, times)
