"""Measures: figures that say how good a network's outputs are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


def mean(statistics: np.ndarray) -> np.ndarray:
    """The figure of a measure that is the mean of its samples' figures: (..., 1) -> (...)."""
    return statistics[..., 0]


@dataclass(frozen=True)
class Measure:
    """One figure of a network on data. It follows from the mean over all samples of what is known of each, k numbers that a `Task` calls
    statistics: so it can be worked out for any choice of samples, one alone or a resample."""

    name: str  # in JSON
    title: str  # in tables
    unit: str = ""  # of the figure; "" where it has none or that of the outputs
    share: bool = False  # a fraction, shown in %, whose differences are percentage points
    higher_is_better: bool = True
    form: str = ".2f"  # how many digits are shown
    value: Callable[[np.ndarray], np.ndarray] = mean  # mean statistics (..., k) -> figures (...), NaN where there is none
    of_samples: bool = True  # whether one sample has a figure of its own
    interval: Callable[[np.ndarray, np.ndarray], tuple[float, float]] | None = None  # 95 %, of statistics (n, k) of ANN and SNN, in the figure's own
    # unit; None: the paired bootstrap's
    usual_drop: float | None = None  # what a search for fewer steps may lose unless told otherwise, in `drift_unit`

    @property
    def scale(self) -> float:
        """From the figure's unit to that of its differences."""
        return 100.0 if self.share else 1.0

    @property
    def drift_unit(self) -> str:
        """Of differences: pp, dB, or as `unit`."""
        return "pp" if self.share else self.unit

    def drift_key(self, what: str = "") -> str:
        """The name in JSON of the drift, or of `what` is known of it: accuracy_pp, psnr_db, psnr_ci95_db, ssim_ci95."""
        return "_".join(part for part in (self.name, what, self.drift_unit.lower()) if part)

    def text(self, value: float | None) -> str:
        """The figure with its unit."""
        return "-" if value is None else f"{self.scale * value:{self.form}} {'%' if self.share else self.unit}".rstrip()

    def drift_text(self, drift: float | None) -> str:
        """A difference, in `drift_unit`."""
        return "-" if drift is None else f"{drift:+{self.form}} {self.drift_unit}".rstrip()

    def amount(self, drop: float | None) -> str:
        """A drop without a sign of its own, in `drift_unit`."""
        return "-" if drop is None else f"{drop:{self.form}} {self.drift_unit}".rstrip()

    def drop_of(self, drift: float) -> float:
        """How much worse a drift makes the figure, in `drift_unit`; below 0: better."""
        return -drift if self.higher_is_better else drift
