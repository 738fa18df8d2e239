"""Plain-NumPy twins of the kernels, written from the equations: slow, obviously right, and without the package."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np


def out_size(size: int, kernel: int, stride: int, dilation: int, pad: int, pad_end: int) -> int:
    return (size + pad + pad_end - dilation * (kernel - 1) - 1) // stride + 1


def window(y, x, kernel, strides, dilations, pads, size):
    """(ky, kx, input y, input x) of every tap of the output position (y, x) that lies inside the image."""
    for ky, kx in product(range(kernel[0]), range(kernel[1])):
        in_y, in_x = y * strides[0] - pads[0] + ky * dilations[0], x * strides[1] - pads[1] + kx * dilations[1]
        if 0 <= in_y < size[0] and 0 <= in_x < size[1]:
            yield ky, kx, in_y, in_x


def conv(activation, weights, groups, kernel, strides, dilations, pads, out):
    """(n, *out, outputs) float64 from activation (n, height, width, channels) and weights (ky, kx, channels / groups, outputs)."""
    n, height, width, channels = activation.shape
    outputs = weights.shape[3]
    potential = np.zeros((n, *out, outputs))
    for y, x in product(*map(range, out)):
        for ky, kx, in_y, in_x in window(y, x, kernel, strides, dilations, pads, (height, width)):
            for o in range(outputs):
                first = o // (outputs // groups) * (channels // groups)
                inputs = activation[:, in_y, in_x, first : first + channels // groups].astype(np.float64)
                potential[:, y, x, o] += inputs @ weights[ky, kx, :, o].astype(np.float64)
    return potential


def dense(activation, weights):
    return np.einsum("ni,io->no", activation.astype(np.float64), weights.astype(np.float64))


def window_size(size, kernel, strides, dilations, pads, pads_end, out, include_pad):
    """(out height, out width): how many taps each average counts."""
    counts = np.zeros(out, np.int64)
    for y, x in product(*map(range, out)):
        for ky, kx in product(range(kernel[0]), range(kernel[1])):
            at = y * strides[0] - pads[0] + ky * dilations[0], x * strides[1] - pads[1] + kx * dilations[1]
            inside = all(0 <= at[axis] < size[axis] for axis in (0, 1))
            padded = all(-pads[axis] <= at[axis] < size[axis] + pads_end[axis] for axis in (0, 1))
            counts[y, x] += inside or (include_pad and padded)
    return counts


def average_pool(activation, counts, kernel, strides, dilations, pads):
    out = counts.shape
    mean = np.zeros((len(activation), *out, activation.shape[3]))
    for y, x in product(*map(range, out)):
        for _, _, in_y, in_x in window(y, x, kernel, strides, dilations, pads, activation.shape[1:3]):
            mean[:, y, x] += activation[:, in_y, in_x].astype(np.float64) / counts[y, x]
    return mean


def sparse(activation, indptr, indices, weights):
    """(n, rows, channels) float64 from activation (n, positions, channels)."""
    out = np.zeros((len(activation), len(indptr) - 1, activation.shape[2]))
    for row in range(len(indptr) - 1):
        for synapse in range(indptr[row], indptr[row + 1]):
            out[:, row] += weights[synapse].astype(np.float64) * activation[:, indices[synapse]]
    return out


def max_pool(times, silent, kernel, strides, dilations, pads, out):
    """The earliest of the window's spike times; a window without spikes is silent."""
    earliest = np.full((len(times), *out, times.shape[3]), silent, times.dtype)
    for y, x in product(*map(range, out)):
        for _, _, in_y, in_x in window(y, x, kernel, strides, dilations, pads, times.shape[1:3]):
            earliest[:, y, x] = np.minimum(earliest[:, y, x], times[:, in_y, in_x])
    return earliest


def crossing_time(potential: float, slope: float) -> float:
    """First tau in [0, 1] at which potential + slope tau has reached 1; 1 if it never does."""
    if potential >= 1:
        return 0.0
    if slope <= 0 or potential + slope < 1:
        return 1.0
    return (1 - potential) / slope


def time_step(tau: Fraction | float, steps: int, half: Fraction | float) -> int:
    """k = clip(ceil(N tau - h - 1e-4), 0, N) without rounding errors."""
    return min(max(math.ceil(steps * Fraction(tau) - Fraction(half) - Fraction(1, 10000)), 0), steps)


def fire(potential, slope, steps, half):
    times = np.empty(potential.shape)
    for r, i in np.ndindex(*potential.shape):
        tau = crossing_time(float(potential[r, i]), float(slope[i]))
        times[r, i] = time_step(tau, steps, half) if steps else tau
    return times


def encode(activation, steps, half):
    times = np.empty(activation.shape)
    for r, i in np.ndindex(*activation.shape):
        tau = 1 - Fraction(float(activation[r, i]))
        times[r, i] = time_step(tau, steps, half) if steps else tau
    return times


def average_pool_steps(times, counts, kernel, strides, dilations, pads, steps, half):
    """Average of the activations 1 - k/N as a spike step; padded taps that count have activation 0."""
    out = counts.shape
    spikes = np.empty((len(times), *out, times.shape[3]), np.int64)
    for n, y, x, c in np.ndindex(*spikes.shape):
        taps = window(y, x, kernel, strides, dilations, pads, times.shape[1:3])
        mean = sum(1 - Fraction(int(times[n, in_y, in_x, c]), steps) for _, _, in_y, in_x in taps) / Fraction(int(counts[y, x]))
        spikes[n, y, x, c] = time_step(1 - mean, steps, half)
    return spikes


def fire_under(potential, thresholds):
    """The first step at which a potential is at least its channel's threshold, else N."""
    channels, steps = thresholds.shape
    times = np.empty(potential.shape, np.int64)
    for r, i in np.ndindex(*potential.shape):
        reached = [k for k in range(steps) if float(potential[r, i]) >= thresholds[i % channels, k]]
        times[r, i] = reached[0] if reached else steps
    return times
