"""Robustness sweeps: how accuracy falls as spikes, weights, thresholds and the grid get worse, one of them at a time."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.given import GivenData
from ..errors import UsageError
from ..measurement.label_plausibility import Plausibility
from ..measurement.prediction import NoRule
from ..network.network import Network
from ..network.store import fingerprint
from ..report.frames import frame
from ..simulation.exact_engine import Simulator
from ..simulation.threads import numba_threads
from .comparison import Comparison
from .setting import StudyOptions, setting_of
from .sweep_kinds import SWEEP_KINDS, parsed_points
from .sweep_log import SweepLog

if TYPE_CHECKING:
    import pandas
    from typing_extensions import Unpack

_Named = tuple[str, float | str | None]  # kind and value of a point


@dataclass(frozen=True)
class Point:
    """Figures of one kind and value over its repeats. Accuracies and agreements are fractions, accuracies None without labels."""

    kind: str  # "none": the network undisturbed
    value: float | str | None  # in the unit of its kind
    repeats: int
    accuracy: float | None  # mean over the repeats
    accuracy_spread: float | None  # standard deviation of the sample, None of a single run
    lowest: float | None  # accuracy of the worst repeat
    drop_pp: float | None  # below the undisturbed network's, percentage points
    agreement: float  # with the original network's predictions
    agreement_spread: float | None  # as that of the accuracy


@dataclass(frozen=True)
class Sweep:
    """A whole sweep."""

    network: str  # its name
    data: str  # its name
    samples: int
    seed: int  # of all noise
    ann_accuracy: float | None  # of the original, a fraction; None without labels
    points: tuple[Point, ...]
    notes: tuple[str, ...]  # what a reader of the figures must know
    rule: str  # how labels follow from the output

    def as_json(self) -> dict:
        """What `ttfs-run --sweep --json` writes, schema version 1: the fields, and the unit of each kind's values."""
        return {"schema_version": 1, "units": {name: kind.unit for name, kind in SWEEP_KINDS.items()}, **asdict(self)}

    def to_frame(self) -> pandas.DataFrame:
        """One row per point, columns as the fields of `Point`. Raises UsageError where pandas is not installed."""
        return frame([asdict(point) for point in self.points])


def sweep(
    network: Network | str | Path,
    data: GivenData,
    points: str | Iterable[tuple[str, float | str]] = "all",
    *,
    repeats: int = 3,
    seed: int = 0,
    log: str | Path | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
    **options: Unpack[StudyOptions],
) -> Sweep:
    """Accuracy of a network on `data` undisturbed and at every point, by engine `exact` with the dynamic threshold.

    network, data: as for `evaluate`.
    points: as `--sweep` takes them, such as "drop=0.01,0.1", or pairs (kind, value).
    repeats: runs of noisy points, with noise of their own.
    seed: of all noise; equal seeds give equal figures.
    log: file to which every finished run is added and from which finished ones are taken, so that a sweep that was cut off goes on.
    progress: called with runs done and runs in all.
    options: see `StudyOptions`.

    Raises as `evaluate`; UsageError for points that there are none of, and for jitter and drop in continuous time, which has no steps.
    """
    setting = setting_of(network, data, options)
    named = parsed_points(points) if isinstance(points, str) else points
    wanted: list[_Named] = list(dict.fromkeys([("none", None), *named]))
    spiky = [kind for kind, _ in wanted if kind in ("jitter", "drop")]
    if setting.network.steps is None and spiky:
        raise UsageError(f"--sweep {spiky[0]}", "continuous time", "a number of steps", "set --steps N")
    if repeats < 1:
        raise UsageError("repeats", f"{repeats}", "at least 1")
    with numba_threads(setting.threads):
        comparison = setting.comparison()
        if isinstance(comparison.rule, NoRule):
            raise comparison.rule.refusal()
        about = {"network": fingerprint(setting.network), "data": comparison.data.sha256, "samples": len(comparison.data), "seed": seed}
        found = _found(_Runner(setting.network, comparison, seed), wanted, repeats, SweepLog(log, about), progress)
        ann_accuracy, suspicions = _of_original(comparison)
    undisturbed = found["none", None][0][0]
    return Sweep(
        setting.network.name,
        comparison.data.name,
        len(comparison.data),
        seed,
        ann_accuracy,
        tuple(_point(kind, value, found[kind, value], undisturbed) for kind, value in wanted),
        (*comparison.data.notes, *comparison.notes, *suspicions),
        str(comparison.rule),
    )


def _found(
    runner: _Runner, points: Sequence[_Named], repeats: int, log: SweepLog, progress: Callable[[int, int], None]
) -> dict[_Named, list[tuple[float | None, float]]]:
    """(accuracy or None, agreement) of every run of each point; from the log where it has them."""
    runs = [(*point, repeat) for point in points for repeat in range(repeats if point[0] in SWEEP_KINDS and SWEEP_KINDS[point[0]].noisy else 1)]
    found: dict[_Named, list[tuple[float | None, float]]] = {}
    for done, run in enumerate(runs, 1):
        found.setdefault(run[:2], []).append(log.get(run) or log.add(run, runner(*run)))
        progress(done, len(runs))
    return found


def _of_original(comparison: Comparison) -> tuple[float | None, list[str]]:
    """Accuracy of the original, and why its figures may not mean what they seem to; without labels nothing."""
    labels = comparison.truth.labels
    if labels is None:
        return None, []
    plausibility = Plausibility()
    plausibility.add(comparison.original_predictions, labels)
    return float((comparison.original_predictions == labels).mean()), plausibility.suspicions()


def _point(kind: str, value: float | str | None, runs: Sequence[tuple[float | None, float]], undisturbed: float | None) -> Point:
    agreements = [agreement for _, agreement in runs]
    accuracies = [accuracy for accuracy, _ in runs if accuracy is not None]
    mean = statistics.fmean(accuracies) if accuracies else None
    return Point(
        kind,
        value,
        len(runs),
        mean,
        _spread(accuracies),
        min(accuracies, default=None),
        None if mean is None or undisturbed is None else 100 * (undisturbed - mean),
        statistics.fmean(agreements),
        _spread(agreements),
    )


def _spread(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


class _Runner:
    """Runs of a network over the data of a comparison."""

    def __init__(self, network: Network, comparison: Comparison, seed: int):
        self._network, self._comparison, self._seed = network, comparison, seed

    def __call__(self, kind: str, value: float | str | None, repeat: int) -> tuple[float | None, float]:
        """(accuracy or None, agreement) of one run."""
        network, noise = self._network, None
        if kind != "none":
            network, noise = SWEEP_KINDS[kind].prepare(network, value, (self._seed, list(SWEEP_KINDS).index(kind), repeat))
        labels = self._comparison.predictions(Simulator(network, noise), lambda rows: noise and noise.start(rows.start))
        truth = self._comparison.truth.labels
        agreement = float((labels == self._comparison.original_predictions).mean())
        return None if truth is None else float((labels == truth).mean()), agreement
