"""Fully connected layers: a convolution of images with one pixel."""

import numpy as np

from .blocking import Weights
from .convolve import conv


def dense(activation: np.ndarray, weights: Weights, potential: np.ndarray) -> None:
    """potential[n, o] += sum_i activation[n, i] weights[i, o].

    activation: (n, inputs) float32. weights: `layout.pack` of (1, 1, inputs, outputs). potential: (n, outputs) float32, contiguous, added to
    in place.
    """
    conv(activation[:, None, None], weights, (1, 1), (1, 1), (1, 1), (0, 0), potential[:, None, None])
