"""The interval of a mean over samples."""

from __future__ import annotations

import math

import numpy as np

from .accuracy_drift import Z95

MANY = 60  # degrees of freedom from which on the series below is right to 8 digits
SERIES = (  # Abramowitz and Stegun, 26.7.5: by powers of 1 / n, what n it is divided by, and coefficients of z, z^3, z^5, ...
    (4, (1, 1)),
    (96, (3, 16, 5)),
    (384, (-15, 17, 19, 3)),
    (92160, (-945, -1920, 1482, 776, 79)),
)
FEWEST = 10  # samples; of fewer the shares say too little of how much counts vary


def mean_interval(values: np.ndarray) -> tuple[float, float] | None:
    """95 % interval of the mean of what `values` (n,) are drawn from: mean -+ t s / sqrt(n), with Student's t of n - 1 degrees of freedom. None for
    fewer than two values, and where one is not finite."""
    n = len(values)
    if n < 2 or not np.isfinite(values).all():
        return None
    mean, half = float(values.mean()), float(_students(n - 1) * values.std(ddof=1) / math.sqrt(n))
    return mean - half, mean + half


def _students(freedom: int) -> float:
    """The 0.975 quantile of Student's t. Of many degrees of freedom by a series: SciPy's functions take a quarter of a second to import."""
    if freedom < MANY:
        from scipy.special import stdtrit

        return float(stdtrit(freedom, 0.975))
    terms = (
        sum(c * Z95 ** (2 * k + 1) for k, c in enumerate(coefficients)) / (divisor * freedom**power)
        for power, (divisor, coefficients) in enumerate(SERIES, 1)
    )
    return Z95 + sum(terms)


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
