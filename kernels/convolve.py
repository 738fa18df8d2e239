"""Convolutional layers: 1-D, 2-D, strided, dilated and grouped on one path, from events or densely. Fully connected ones are those of one pixel."""

from functools import lru_cache

import numpy as np

from ._threads import in_parallel, threads
from .blocking import CHANNELWISE_SUMS, SERIAL_MACS, Slide, Weights, columns, tiling
from .integrate import integrate_shared
from .threshold import Ramp
from .vector import LANES

NO_TIMES, _NO_VALUES = np.empty((0, 0, 0, 0), np.uint8), np.empty((0, 0, 0, 0), np.float32)
NO_RAMP = Ramp(np.empty((2, 0, 0)), np.empty((3, 0, 0), np.float32))


class Convolution:
    """A layer at one batch size, with all that stays the same from batch to batch made ready: for a small one that takes longer than its sums.

    weights: as `blocking.pack` or `blocking.in_long_rows` give them. kernel, strides, dilations, pads: (y, x) integers; pads are those before the
    first row and column, and padded taps add nothing. in_shape, out_shape: (n, height, width, channels). in_steps: N of inputs that are
    spike steps, 0 for activations. steps: N of outputs that are spike steps, 0 for potentials. dense: whether to use silent inputs like
    the others, which is faster where there are few. shortcut_steps: N of the shortcut's spikes, 0 where there is none.
    """

    def __init__(
        self,
        weights: Weights,
        kernel: tuple[int, int],
        strides: tuple[int, int],
        dilations: tuple[int, int],
        pads: tuple[int, int],
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        in_steps: int = 0,
        steps: int = 0,
        dense: bool = False,
        shortcut_steps: int = 0,
    ):
        geometry, outputs = (strides, dilations, pads), (steps, int(dense), shortcut_steps)
        integers, source, order, first, macs = _prepared(weights[1:], geometry, in_shape[1:3], out_shape[1:3], in_steps, outputs)
        self._alone = macs * in_shape[0] < SERIAL_MACS
        sums = weights.vectors // CHANNELWISE_SUMS or 1 if weights.channelwise else weights.vectors
        cut, self._tiles = tiling(in_shape[0], *out_shape[1:3], weights.groups * weights.blocks, sums, 1 if self._alone else threads())
        self._layer = weights.values, integers, source, order, first, tuple(cut)
        self._coded, self._fires = in_steps > 0, steps > 0

    def __call__(self, inputs: np.ndarray, start: np.ndarray, out: np.ndarray, ramp: Ramp = NO_RAMP, shortcut: np.ndarray = NO_TIMES) -> None:
        """Write to `out` the potentials start + sum over taps and channels of a[n, y s - p + ky d, x s - p + kx d, c] weights[ky, kx, c, o], or
        when they fire.

        inputs: of in_shape, uint8 steps or float32 activations a, contiguous. start: (m, outputs) float32, of output positions modulo m. out:
        of out_shape, uint8 steps or float32 potentials, contiguous. ramp: `threshold.ramp` of slopes (m', outputs) for N = steps <= 255.
        shortcut: of out_shape, uint8 steps, whose activations the sums begin with.
        """
        if not inputs.flags.carray:
            inputs = np.require(inputs, requirements=("C", "W"))  # others would be compiled for anew
        times, values = (inputs, _NO_VALUES) if self._coded else (NO_TIMES, inputs)
        potential, spikes = (_NO_VALUES, out) if self._fires else (out, NO_TIMES)
        in_parallel(integrate_shared, self._tiles, (times, values, *self._layer, start, shortcut, *ramp, potential, spikes), self._alone)


def conv(
    activation: np.ndarray,
    weights: Weights,
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    pads: tuple[int, int],
    potential: np.ndarray,
    dense: bool = False,
) -> None:
    """Add to `potential`, (n, out height, out width, outputs) float32, contiguous, what a `Convolution` makes of `activation`, (n, height,
    width, channels) float32."""
    layer = Convolution(weights, kernel, strides, dilations, pads, activation.shape, potential.shape, dense=dense)
    layer(activation, potential.reshape(-1, potential.shape[3]), potential)


@lru_cache(maxsize=4096)
def _prepared(
    sizes: tuple[int, ...],
    geometry: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    in_size: tuple[int, ...],
    out_size: tuple[int, ...],
    in_steps: int,
    outputs: tuple[int, int, int],
):
    """What `integrate` needs to know of a layer, integers and columns, and the multiply-adds of one image."""
    strides, dilations, pads = geometry
    groups, blocks, _, _, vectors, channels, _, height, width, _ = sizes
    slide = Slide(in_size[0], out_size[0], out_size[1], strides[0], dilations[0], pads[0], in_steps, *outputs)
    taps = columns(in_size[1], width, strides[1], dilations[1], pads[1], out_size[1])
    return np.array([*sizes, *slide], np.int64), *taps, out_size[0] * out_size[1] * groups * blocks * vectors * LANES * height * width * channels
