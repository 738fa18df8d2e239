"""The interval of a mean over samples."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtrit

from .accuracy_drift import Z95

FEWEST = 10  # samples; of fewer the shares say too little of how much counts vary


def mean_interval(values: np.ndarray) -> tuple[float, float] | None:
    """95 % interval of the mean of what `values` (n,) are drawn from: mean -+ t s / sqrt(n), with Student's t of n - 1 degrees of freedom. None for
    fewer than two values, and where one is not finite."""
    n = len(values)
    if n < 2 or not np.isfinite(values).all():
        return None
    mean, half = float(values.mean()), float(stdtrit(n - 1, 0.975) * values.std(ddof=1) / math.sqrt(n))
    return mean - half, mean + half


def interval_of_sum(mean: float, spread: float | None, samples: int) -> tuple[float, float] | None:
    """95 % interval of the mean of a sum of counts of which only every count's standard deviation is known: mean -+ 1.96 spread / sqrt(n - 1).

    spread: the sum of these standard deviations, each sqrt(p (1 - p)) times its weight. That of the sum is at most as large, whatever the
    correlation (triangle inequality), so that the interval is wide rather than wrong. None for fewer than ten samples. spread None: the sum is the
    same for every sample, and its interval a point.
    """
    if spread is None:
        return mean, mean
    if samples < FEWEST:
        return None
    half = Z95 * spread / math.sqrt(samples - 1)
    return mean - half, mean + half
