"""Activations as the kernels take them: (images, height, width, channels), whatever axes a layer has."""

from __future__ import annotations

import functools
import math

import numpy as np

from .average_pool import AveragePool
from .convolution import Conv
from .sliding import Sliding


def image(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A view (images, height, width, channels) of (n, *shape); one-dimensional positions become one row of an image."""
    return array.reshape(wide_batch(array.size // math.prod(shape), shape))


def wide(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(images, height, width, channels) of one sample: one-dimensional positions are one row of an image, features one pixel."""
    return (1,) * (4 - len(shape)) + shape


def wide_batch(samples: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """As `wide`, of all images of `samples` together."""
    images, *image = wide(shape)
    return samples * images, *image


def geometry(step: Sliding) -> tuple[tuple[int, int], ...]:
    """kernel, strides, dilations, pads as (y, x) pairs, as the kernels take them."""
    neutral = (1, 1, 1, 0)
    return tuple((value,) * (2 - len(axes)) + axes[-2:] for axes, value in zip((step.kernel, step.strides, step.dilations, step.pads), neutral))


def row_geometry(step: Conv) -> tuple[int, int, int]:
    """Kernel width, stride and dilation along a row."""
    return tuple(axis[1] for axis in geometry(step)[:3])


@functools.lru_cache(maxsize=1024)
def divisor(pool: AveragePool) -> np.ndarray:
    """(out height, out width) float32: taps per window, the same in every image."""
    return pool.divisor.reshape(wide(pool.out_shape)[:3])[0]
