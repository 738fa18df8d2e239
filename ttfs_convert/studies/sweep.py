"""Robustness sweeps: how accuracy falls as spikes, weights, thresholds and the grid get worse, one of them at a time."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..data import Dataset
from ..errors import UsageError
from ..measurement.plausibility import Plausibility
from ..measurement.prediction import NoRule
from ..network.network import Network
from ..network.store import fingerprint
from ..simulation.exact_engine import Simulator
from ..simulation.threads import numba_threads
from .comparison import Comparison
from .sweep_kinds import SWEEP_KINDS
from .sweep_log import SweepLog


@dataclass(frozen=True)
class Point:
    """Figures of one kind and value over its repeats. Accuracies are fractions, None without labels; spread: standard deviation of the
    sample, None of a single run."""

    kind: str  # "none": the network undisturbed
    value: float | str | None
    repeats: int
    accuracy: float | None
    accuracy_spread: float | None
    lowest: float | None
    drop_pp: float | None  # below the undisturbed network's, percentage points
    agreement: float  # with the original network's predictions
    agreement_spread: float | None


@dataclass(frozen=True)
class Sweep:
    """A whole sweep. ann_accuracy: of the original, None without labels."""

    network: str
    data: str
    samples: int
    seed: int
    ann_accuracy: float | None
    points: tuple[Point, ...]
    notes: tuple[str, ...]
    rule: str  # how labels follow from the output

    def as_json(self) -> dict:
        return {"schema_version": 1, "units": {name: kind.unit for name, kind in SWEEP_KINDS.items()}, **asdict(self)}


def sweep(
    network: Network,
    data: Dataset | str,
    points: Iterable[tuple[str, float | str]],
    *,
    repeats: int = 3,
    seed: int = 0,
    log: str | Path | None = None,
    onnx_file: str | Path | None = None,
    batch: int = 64,
    threads: int | None = None,
    output: str | None = None,
    decision_threshold: float | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Sweep:
    """Accuracy of `network` on `data` undisturbed and at every point, by engine `exact` with the dynamic threshold.

    points: (kind, value) as `parse` gives them. repeats: runs of noisy points, with noise of their own. seed: of all noise; equal seeds
    give equal figures. output, decision_threshold: see `comparison.Comparison`. log: file to which every finished run is added and from
    which finished ones are taken, so that a sweep that was cut off goes on. onnx_file, batch, threads: as for `evaluate`. Raises as
    `evaluate`; UsageError for jitter and drop in continuous time, which has no steps.
    """
    points = list(dict.fromkeys([("none", None), *points]))
    spiky = [kind for kind, _ in points if kind in ("jitter", "drop")]
    if network.steps is None and spiky:
        raise UsageError(f"--sweep {spiky[0]}", "continuous time", "a number of steps", "set --steps N")
    if repeats < 1:
        raise UsageError("repeats", f"{repeats}", "at least 1")
    with numba_threads(threads):
        comparison = Comparison(network, data, onnx_file, batch, threads or 0, output=output, decision_threshold=decision_threshold)
        if isinstance(comparison.rule, NoRule):
            raise comparison.rule.refusal()
        runner = _Runner(network, comparison)
        log_file = SweepLog(
            log, {"network": fingerprint(network), "data": runner.comparison.data.sha256, "samples": len(runner.comparison.data), "seed": seed}
        )
        runs = [
            (kind, value, repeat) for kind, value in points for repeat in range(repeats if kind in SWEEP_KINDS and SWEEP_KINDS[kind].noisy else 1)
        ]
        found = {}
        for done, run in enumerate(runs):
            found[run] = log_file.get(run) or log_file.add(run, runner(*run, seed))
            progress(done + 1, len(runs))
    undisturbed = found["none", None, 0][0]
    return Sweep(
        network.name,
        runner.comparison.data.name,
        len(runner.comparison.data),
        seed,
        runner.ann_accuracy(),
        tuple(_point(kind, value, [found[run] for run in runs if run[:2] == (kind, value)], undisturbed) for kind, value in points),
        (*runner.comparison.data.notes, *runner.comparison.notes, *runner.suspicions()),
        str(comparison.rule),
    )


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
        None if mean is None else 100 * (undisturbed - mean),
        statistics.fmean(agreements),
        _spread(agreements),
    )


def _spread(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


class _Runner:
    """One data set, the original's predictions on it (computed once), and runs of the network."""

    def __init__(self, network: Network, comparison: Comparison):
        self._network, self.comparison, self._ann = network, comparison, None

    def __call__(self, kind: str, value: float | str | None, repeat: int, seed: int) -> tuple[float | None, float]:
        """(accuracy or None, agreement) of one run."""
        network, noise = self._network, None
        if kind != "none":
            network, noise = SWEEP_KINDS[kind].prepare(network, value, (seed, list(SWEEP_KINDS).index(kind), repeat))
        runs = self.comparison.runs(Simulator(network, noise), lambda rows: noise and noise.start(rows.start))
        labels, truth = np.concatenate([labels for _, labels in runs]), self.comparison.truth.labels
        return None if truth is None else float((labels == truth).mean()), float((labels == self.ann()).mean())

    def ann(self) -> np.ndarray:
        if self._ann is None:
            self._ann = self.comparison.original_predictions()
        return self._ann

    def suspicions(self) -> list[str]:
        plausibility = Plausibility()
        if self.comparison.truth.labels is not None:
            plausibility.add(self.ann(), self.comparison.truth.labels)
        return plausibility.suspicions()

    def ann_accuracy(self) -> float | None:
        truth = self.comparison.truth.labels
        return None if truth is None else float((self.ann() == truth).mean())
