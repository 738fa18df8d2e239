"""Activations as the kernels take them: (images, height, width, channels), whatever axes a layer has."""

from __future__ import annotations

import math

import numpy as np


def wide(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(images, height, width, channels) of one sample: one-dimensional positions are one row of an image, features one pixel."""
    images, height, width, channels = (1,) * (4 - len(shape)) + shape
    return images, height, width, channels


def wide_batch(samples: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """As `wide`, of all images of `samples` together."""
    images, height, width, channels = wide(shape)
    return samples * images, height, width, channels


def image(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A view (images, height, width, channels) of (n, *shape); one-dimensional positions become one row of an image."""
    return array.reshape(wide_batch(array.size // math.prod(shape), shape))
