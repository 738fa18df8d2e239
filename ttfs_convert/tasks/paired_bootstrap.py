"""Intervals of differences between two networks on the same samples, by resampling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

RESAMPLES = 2000
FEWEST = 10  # samples; of fewer a resample says too little about others
TOGETHER = 100  # resamples


def paired_interval(value: Callable[[np.ndarray], np.ndarray], ann: np.ndarray, snn: np.ndarray, seed: int = 0) -> tuple[float, float] | None:
    """95 % interval of value(mean of snn) - value(mean of ann): percentiles of the paired bootstrap, 2,000 resamples of the samples.

    B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. ann, snn: (n, k) float64, of the same samples; value:
    as `Measure.value`. seed: of the resamples; equal seeds give equal intervals. None for fewer than ten samples, and where no resample has
    a figure.
    """
    samples = len(ann)
    if samples < FEWEST:
        return None
    rng, found = np.random.default_rng(seed), []
    for _ in range(RESAMPLES // TOGETHER):
        chosen = rng.integers(samples, size=(TOGETHER, samples))
        weights = np.stack([np.bincount(each, minlength=samples) for each in chosen]) / samples
        found.append(value(weights @ snn) - value(weights @ ann))
    drifts = np.concatenate(found)
    drifts = drifts[np.isfinite(drifts)]
    if not drifts.size:
        return None
    low, high = np.percentile(drifts, (2.5, 97.5))
    return float(low), float(high)
