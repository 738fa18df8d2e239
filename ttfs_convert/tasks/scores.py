"""Both networks' figures of every measure, their difference and its interval, and the samples that have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .measure import Measure
from .paired_bootstrap import paired_interval
from .task import Statistics

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, eq=False)
class Score:
    """What one measure came to. Figures are None where no sample has one."""

    measure: Measure
    ann: float | None  # in the measure's unit, of the samples that have a figure under both networks
    snn: float | None
    drift: float | None  # SNN - ANN, in the unit of differences
    interval: tuple[float, float] | None  # 95 %, of the drift
    ann_values: np.ndarray  # (n,) float64, each sample's own figure; NaN or infinite where it has none
    snn_values: np.ndarray
    left_out: np.ndarray  # samples without a figure under one network or both, their numbers, ascending
    lost: int  # of these: the original has a figure, or a perfect one, where the spiking network has none, or a worse one

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Score):
            return NotImplemented
        mine, theirs = ((each.measure, each.ann, each.snn, each.drift, each.interval, each.lost) for each in (self, other))
        arrays = ((getattr(self, name), getattr(other, name)) for name in ("ann_values", "snn_values", "left_out"))
        return mine == theirs and all(np.array_equal(*pair, equal_nan=True) for pair in arrays)

    @property
    def samples(self) -> int:
        """How many the figures are of."""
        return len(self.ann_values) - len(self.left_out)

    @property
    def drop(self) -> float | None:
        """By how much the spiking network is worse, in the unit of differences; below 0: better."""
        return None if self.drift is None else self.measure.drop_of(self.drift)

    @property
    def drop_interval(self) -> tuple[float, float] | None:
        """95 %, of the drop."""
        if self.interval is None:
            return None
        low, high = sorted(map(self.measure.drop_of, self.interval))
        return low, high

    @property
    def notes(self) -> tuple[str, ...]:
        """Which samples are missing from the figures."""
        if not len(self.left_out):
            return ()
        named = ", ".join(map(str, self.left_out[:5])) + ", ..." * (len(self.left_out) > 5)
        worse = f", {self.lost} of them worse or none under the spiking network alone" if self.lost else ""
        return (
            f"{self.measure.title}: {len(self.left_out)} of {len(self.ann_values):,} samples have no finite figure and are left out of it{worse} "
            f"(sample {named}, counted from 0)",
        )


def scored(measures: Sequence[Measure], ann: Statistics, snn: Statistics) -> dict[str, Score]:
    """The score of each of `measures`, by name. ann, snn: (n, k) by measure, of the same samples."""
    return {measure.name: _score(measure, ann[measure.name], snn[measure.name]) for measure in measures}


def _score(measure: Measure, ann: np.ndarray, snn: np.ndarray) -> Score:
    finite = np.isfinite(ann).all(1) & np.isfinite(snn).all(1)
    ann_values, snn_values = (_of_samples(measure, each) for each in (ann, snn))
    ann_kept, snn_kept = ann[finite], snn[finite]
    ours, theirs = figure(measure, snn_kept), figure(measure, ann_kept)
    drift = None if ours is None or theirs is None else measure.scale * (ours - theirs)
    interval = None if drift is None else (measure.interval or _bootstrapped(measure))(ann_kept, snn_kept)
    with np.errstate(invalid="ignore"):
        worse = np.isnan(snn_values) & ~np.isnan(ann_values) | (measure.drop_of(1) * (snn_values - ann_values) > 0)
    return Score(
        measure,
        theirs,
        ours,
        drift,
        None if interval is None else (measure.scale * interval[0], measure.scale * interval[1]),
        ann_values,
        snn_values,
        np.flatnonzero(~finite),
        int((worse & ~finite).sum()),
    )


def figure(measure: Measure, statistics: np.ndarray) -> float | None:
    """The measure's figure of the samples with `statistics` (n, k), None where they have none."""
    kept = statistics[np.isfinite(statistics).all(1)]
    found = float(measure.value(kept.mean(0))) if len(kept) else np.nan
    return found if np.isfinite(found) else None


def _of_samples(measure: Measure, statistics: np.ndarray) -> np.ndarray:
    return np.asarray(measure.value(statistics), np.float64) if measure.of_samples else np.full(len(statistics), np.nan)


def _bootstrapped(measure: Measure):
    return lambda ann, snn: paired_interval(measure.value, ann, snn)


def joined(parts: Sequence[Statistics]) -> dict[str, np.ndarray]:
    """Statistics of batches one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else ())}


def figures(scores: Mapping[str, Score], network: str) -> dict[str, float | None]:
    """By measure, of "ann" or "snn"."""
    return {name: getattr(score, network) for name, score in scores.items()}


def drift_fields(score: Score) -> dict[str, object]:
    """Drift and interval as in JSON; the accuracy's interval is called `ci95_pp`."""
    key = score.measure.drift_key("ci95").removeprefix("accuracy_")
    return {score.measure.drift_key(): score.drift, key: score.interval}
