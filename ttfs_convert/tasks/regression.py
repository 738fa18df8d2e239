"""Values that the outputs should have: root of the mean squared error, mean absolute error, coefficient of determination."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .measure import Measure
from .task import Statistics, Task


def _root(statistics: np.ndarray) -> np.ndarray:
    return np.sqrt(statistics[..., 0])


def _determination(statistics: np.ndarray) -> np.ndarray:
    """1 - squared errors / squared deviations; NaN where all targets are equal."""
    squares, deviations = statistics[..., 0], statistics[..., 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(deviations > 0, 1 - squares / deviations, np.nan)


class Regression(Task):
    """Errors against targets t (n, *shape) of the judged output y: RMSE = sqrt(mean (y - t)^2) and MAE = mean |y - t|, in the outputs' unit, over all
    values of all samples; R^2 = 1 - sum (y - t)^2 / sum (t - mean t)^2, where each of a sample's values has a mean of its own over the data
    (scikit-learn's r2_score, `variance_weighted`; the interval keeps these means). R^2 of targets that are all equal is none."""

    name = "regression"
    of_values = True
    measures = (
        Measure("rmse", "RMSE", higher_is_better=False, form=".4g", value=_root),
        Measure("mae", "MAE", higher_is_better=False, form=".4g"),
        Measure("r2", "R^2", form=".4f", value=_determination, of_samples=False),
    )
    about = "the data's targets"

    def __init__(self, targets: np.ndarray):
        self._targets = targets
        self._means = targets.mean(0, dtype=np.float64)
        if (targets == targets[:1]).all():
            self.notes = ("the targets of all samples are equal: there is no R^2",)

    def references(self, rows: slice, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """Targets (n, *shape)."""
        return self._targets[rows]

    def statistics(self, outputs: np.ndarray, references: np.ndarray) -> Statistics:
        """Means over a sample's values: squared and absolute error, squared deviation of the target."""
        wanted = references.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            errors = (outputs.reshape(references.shape) - wanted).reshape(len(references), -1)
            squares = np.square(errors).mean(1)
        deviations = np.square(wanted - self._means).reshape(len(references), -1).mean(1)
        return {"rmse": squares[:, None], "mae": np.abs(errors).mean(1)[:, None], "r2": np.stack([squares, deviations], 1)}
