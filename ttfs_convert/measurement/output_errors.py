"""Errors of the model's final outputs, behind its tail: what the spiking network gives beside what ONNX Runtime gives for the original."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .position_labels import PositionRule
from .prediction import NoRule, Rule


@dataclass
class OutputErrors:
    """Streaming statistics of one output. rule: how labels follow from it. shape: of one sample's values. Values that are numbers and no
    labels have errors; with targets, both networks' squared errors against these too."""

    rule: Rule | NoRule | PositionRule
    shape: tuple[int, ...] = ()
    samples: int = 0
    agreeing: float = 0.0  # samples; of labels per position their shares
    values: int = 0
    max_error: float = 0.0
    sum_error: float = 0.0
    sum_square: float = 0.0
    smallest: float = np.inf  # of the original
    largest: float = -np.inf
    ann_square: float = 0.0
    snn_square: float = 0.0
    targets: int = 0  # values

    def add(self, ours: np.ndarray, theirs: np.ndarray, targets: np.ndarray | None = None) -> None:
        """ours, theirs: (n, ...) of one batch. targets: of the same shape, if there are some. Values that are equal or both not a number
        have no error."""
        self.shape, self.samples = theirs.shape[1:], self.samples + len(theirs)
        if not isinstance(self.rule, NoRule):
            same = self.rule.labels(ours) == self.rule.labels(theirs)
            self.agreeing += float(same.reshape(len(same), -1).mean(1).sum())
        if theirs.dtype.kind not in "fiub" or (isinstance(self.rule, Rule) and self.rule.kind == "labels"):
            return
        ours, theirs = (each if each.dtype.kind == "f" else each.astype(np.float64) for each in (ours.reshape(theirs.shape), theirs))
        with np.errstate(invalid="ignore"):
            error = np.abs(ours - theirs)
        if np.isnan(error).any():  # both infinite, or no numbers
            error[(ours == theirs) | (np.isnan(ours) & np.isnan(theirs))] = 0
        self.values += error.size
        self.max_error = float(np.maximum(self.max_error, error.max(initial=0.0)))  # not a number on one side alone stays one
        self.sum_error += float(error.sum(dtype=np.float64))
        self.sum_square += _sum_of_squares(error)
        finite = theirs if np.isfinite(theirs).all() else theirs[np.isfinite(theirs)]
        self.smallest, self.largest = min(self.smallest, float(finite.min(initial=np.inf))), max(self.largest, float(finite.max(initial=-np.inf)))
        if targets is not None:
            self.targets += targets.size
            self.ann_square += _sum_of_squares(theirs - targets)
            self.snn_square += _sum_of_squares(ours - targets)

    @property
    def agreement(self) -> float | None:
        """Share of equal predictions; None where no labels follow from the output."""
        return None if isinstance(self.rule, NoRule) else self.agreeing / self.samples

    @property
    def mean_error(self) -> float | None:
        """Mean |ours - theirs| over all values; None where no values were compared."""
        return self.sum_error / self.values if self.values else None

    @property
    def largest_error(self) -> float | None:
        """Largest |ours - theirs|; None likewise."""
        return self.max_error if self.values else None

    @property
    def range(self) -> tuple[float, float] | None:
        """Smallest and largest finite value of the original's; None without any."""
        return (self.smallest, self.largest) if self.smallest <= self.largest else None

    @property
    def psnr(self) -> float | None:
        """10 log10((largest - smallest)^2 / mean squared error), dB, of the original's range; None without errors or without a range."""
        width = self.largest - self.smallest
        if not (self.values and 0 < width < np.inf and 0 < self.sum_square < np.inf):
            return None
        return 20 * math.log10(width) - 10 * math.log10(self.sum_square / self.values)

    @property
    def mean_squared_errors(self) -> tuple[float, float] | None:
        """Of the original and of the spiking network, against the targets; None without."""
        return (self.ann_square / self.targets, self.snn_square / self.targets) if self.targets else None


def _sum_of_squares(values: np.ndarray) -> float:
    return float(np.square(values).sum(dtype=np.float64))
