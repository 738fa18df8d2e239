"""Signs that labels are not the model's, or that it was never trained: its own accuracy is no better than a guess."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

CERTAIN = 1.645  # standard deviations, one side: 95 %
FEWEST = 20  # samples; fewer decide nothing


@dataclass
class Plausibility:
    """The original's predictions beside the labels, added batch by batch. Memory grows with the classes, not with the samples."""

    predicted: Counter = field(default_factory=Counter)
    labels: Counter = field(default_factory=Counter)
    right: int = 0

    def add(self, predicted: np.ndarray, labels: np.ndarray) -> None:
        """predicted, labels: (n,) of one type, integers or strings."""
        for counter, values in ((self.predicted, predicted), (self.labels, labels)):
            found, counts = np.unique(values, return_counts=True)
            counter.update(dict(zip(found.tolist(), counts.tolist())))
        self.right += int((predicted == labels).sum())

    def suspicions(self) -> list[str]:
        """Notes: of predictions that are all of one class although the labels are not; of an accuracy that is not above the share of the
        commonest label with 95 % certainty (Wilson's interval), which is what always guessing that label gives."""
        samples = sum(self.labels.values())
        if len(self.labels) < 2:
            return []
        if len(self.predicted) == 1:
            (only,) = self.predicted
            return [f"the original gives class {only} to every sample, so its accuracy says nothing: check the model and the scale of the samples"]
        share = max(self.labels.values()) / samples
        if samples < FEWEST or _lower_end(self.right, samples) > share:
            return []
        return [
            f"the original itself is right on {100 * self.right / samples:.1f} %, no better than chance (always guessing the commonest label: "
            f"{100 * share:.1f} %): check that labels are numbered as the model's classes and samples scaled as in training"
        ]


def _lower_end(right: int, samples: int) -> float:
    """Of Wilson's interval for a share."""
    share, z = right / samples, CERTAIN
    centre = share + z * z / (2 * samples)
    return (centre - z * math.sqrt(share * (1 - share) / samples + z * z / (4 * samples * samples))) / (1 + z * z / samples)
