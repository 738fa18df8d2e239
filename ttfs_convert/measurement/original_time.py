"""How long the original takes, timed batch by batch on as many batches as a stable median needs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from .accuracy_drift import Z95

FEWEST, MOST = 8, 32  # batches that are timed, where there are as many
STABLE = 0.02  # of the median: half the 95 % interval of a median that is not timed any further


@dataclass
class OriginalTime:
    """samples: of each batch that was timed. seconds: wall-clock time of each."""

    samples: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, samples: int, seconds: float) -> None:
        """One batch."""
        self.samples.append(samples)
        self.seconds.append(seconds)

    @property
    def timed(self) -> int:
        """Samples in all."""
        return sum(self.samples)

    @property
    def is_stable(self) -> bool:
        """Whether another batch would tell little: the 95 % interval of the median time of a sample, which lies between two of the sorted times, is
        narrow, or enough were timed."""
        count = len(self.seconds)
        if not FEWEST <= count < MOST:
            return count >= MOST
        each, aside = np.sort(self._of_a_sample), Z95 * math.sqrt(count) / 2
        low, high = each[math.ceil(count / 2 - aside) - 1], each[math.floor(count / 2 + aside)]
        return bool((high - low) / 2 <= STABLE * np.median(each))

    def of(self, samples: int) -> float:
        """Seconds for so many samples: what they took, if all were timed; else by the median of a sample's."""
        return sum(self.seconds) if samples == self.timed else samples * float(np.median(self._of_a_sample))

    @property
    def _of_a_sample(self) -> np.ndarray:
        return np.array(self.seconds) / np.array(self.samples)
