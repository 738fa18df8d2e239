"""Drift of the accuracy with a paired interval, and what a sample of its size can decide."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

Z95 = 1.959963984540054  # 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class PairedOutcomes:
    """How many samples both networks got right, the original alone, the spiking one alone, and neither."""

    both: float
    ann_only: float
    snn_only: float
    neither: float

    @classmethod
    def of(cls, ann: np.ndarray, snn: np.ndarray, truth: np.ndarray) -> PairedOutcomes:
        """Counts of predicted labels beside the true ones, all (n,)."""
        return cls.of_right(ann == truth, snn == truth)

    @classmethod
    def of_right(cls, ann_right: np.ndarray, snn_right: np.ndarray) -> PairedOutcomes:
        """Counts of samples that each network predicts rightly, both (n,) of booleans."""
        return cls(
            *(
                int(np.count_nonzero(which))
                for which in (ann_right & snn_right, ann_right & ~snn_right, ~ann_right & snn_right, ~ann_right & ~snn_right)
            )
        )

    def __add__(self, other: PairedOutcomes) -> PairedOutcomes:
        return PairedOutcomes(self.both + other.both, self.ann_only + other.ann_only, self.snn_only + other.snn_only, self.neither + other.neither)

    @property
    def samples(self) -> float:
        """How many were judged."""
        return self.both + self.ann_only + self.snn_only + self.neither

    @property
    def ann_accuracy(self) -> float:
        """Share that the original predicts rightly."""
        return (self.both + self.ann_only) / self.samples

    @property
    def snn_accuracy(self) -> float:
        """Share that the spiking network predicts rightly."""
        return (self.both + self.snn_only) / self.samples

    @property
    def drift(self) -> float:
        """SNN accuracy - ANN accuracy, as a fraction."""
        return (self.snn_only - self.ann_only) / self.samples

    def without_drift(self) -> PairedOutcomes:
        """The same accuracy and disagreement if neither network were better."""
        half = (self.ann_only + self.snn_only) / 2
        return PairedOutcomes(self.both, half, half, self.neither)

    def scaled(self, samples: float) -> PairedOutcomes:
        """The same shares in so many samples."""
        factor = samples / self.samples
        return PairedOutcomes(self.both * factor, self.ann_only * factor, self.snn_only * factor, self.neither * factor)


def wilson_interval(successes: float, samples: float) -> tuple[float, float]:
    """95 % score interval of a proportion (Wilson 1927)."""
    share, z2 = successes / samples, Z95 * Z95
    centre, spread = share + z2 / (2 * samples), Z95 * math.sqrt(share * (1 - share) / samples + z2 / (4 * samples * samples))
    return (centre - spread) / (1 + z2 / samples), (centre + spread) / (1 + z2 / samples)


def newcombe_interval(outcomes: PairedOutcomes) -> tuple[float, float]:
    """95 % interval of the drift, as fractions: the square-and-add method for paired proportions.

    Method 10 of R. G. Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired data",
    Statistics in Medicine 17 (1998), 2635-2650. Raises ValueError without samples.
    """
    both, snn_only, ann_only, neither = outcomes.both, outcomes.snn_only, outcomes.ann_only, outcomes.neither
    n = outcomes.samples
    if n <= 0:
        raise ValueError("an interval needs at least one sample")
    snn, ann = (both + snn_only) / n, (both + ann_only) / n
    snn_low, snn_high = wilson_interval(both + snn_only, n)
    ann_low, ann_high = wilson_interval(both + ann_only, n)
    phi = _correlation(both, snn_only, ann_only, neither)
    below = _combined(snn - snn_low, ann_high - ann, phi)
    above = _combined(snn_high - snn, ann - ann_low, phi)
    return snn - ann - below, snn - ann + above


def newcombe_of(ann: np.ndarray, snn: np.ndarray) -> tuple[float, float]:
    """`newcombe_interval` of what each network got right: 1 or 0, both (n, 1)."""
    return newcombe_interval(PairedOutcomes.of_right(ann[:, 0] > 0, snn[:, 0] > 0))


def _correlation(both: float, first: float, second: float, neither: float) -> float:
    """phi of the 2 x 2 table, its numerator corrected for continuity when positive, 0 for an empty margin."""
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    if margins == 0:
        return 0.0
    numerator = both * neither - first * second
    if numerator > 0:
        numerator = max(numerator - (both + first + second + neither) / 2, 0.0)
    return numerator / math.sqrt(margins)


def _combined(first: float, second: float, phi: float) -> float:
    return math.sqrt(max(first * first - 2 * phi * first * second + second * second, 0.0))


class Verdict(Enum):
    """What an interval of the drift says of a gate: see `verdict`."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


def verdict(interval: tuple[float, float], max_drop: float) -> Verdict:
    """Whether the drop (-drift) is at most `max_drop`, both as fractions: decided only if the whole interval lies on one side."""
    low, high = interval
    if high < -max_drop:
        return Verdict.FAILED
    return Verdict.PASSED if low >= -max_drop else Verdict.INCONCLUSIVE


def smallest_gate(outcomes: PairedOutcomes) -> float:
    """The smallest `max_drop`, a fraction, that a network without drift would pass on this sample at the observed disagreement."""
    return -newcombe_interval(outcomes.without_drift())[0]


def samples_needed(outcomes: PairedOutcomes, max_drop: float) -> int | None:
    """How many samples would decide `max_drop` if all went on as observed, drift included; None beyond 1e9."""
    low, high = 1.0, 1e9
    if not _decided(outcomes, high, max_drop):
        return None
    while high / low > 1.0001:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _decided(outcomes, middle, max_drop) else (middle, high)
    return math.ceil(high)


def _decided(outcomes: PairedOutcomes, samples: float, max_drop: float) -> bool:
    return verdict(newcombe_interval(outcomes.scaled(samples)), max_drop) is not Verdict.INCONCLUSIVE
