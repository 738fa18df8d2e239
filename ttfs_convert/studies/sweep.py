"""Robustness sweeps: how accuracy, or what the task measures, falls as spikes, weights, thresholds and the grid get worse, one at a time."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.given import GivenData
from ..errors import UsageError
from ..measurement.cost_table import CostTable, cost_table
from ..measurement.energy import energy
from ..measurement.hardware_work import HardwareWork, event_work
from ..measurement.label_plausibility import Plausibility
from ..measurement.layer_errors import LayerErrors
from ..measurement.prediction import NoRule
from ..network.network import Network
from ..network.store import fingerprint
from ..report.frames import flat, frame
from ..simulation.exact_engine import Simulator
from ..simulation.threads import numba_threads
from ..tasks.classification import ACCURACY
from ..tasks.measure import Measure
from ..tasks.scores import figure
from .comparison import Comparison
from .setting import StudyOptions, setting_of
from .sweep_kinds import SWEEP_KINDS, parsed_points
from .sweep_log import RunFigures, SweepLog

if TYPE_CHECKING:
    import pandas
    from typing_extensions import Unpack

_Named = tuple[str, float | str | None]  # kind and value of a point


@dataclass(frozen=True)
class Spread:
    """One measure over the repeats of a point, in its own unit; all None where no run has a figure."""

    mean: float | None
    spread: float | None  # standard deviation of the sample, None of a single run
    worst: float | None
    drop: float | None  # worse than the undisturbed network by, in the unit of differences


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
    agreement: float | None  # with the original network's predictions; None where no labels follow from the output
    agreement_spread: float | None  # as that of the accuracy
    measures: dict[str, Spread] = field(default_factory=dict)  # of other tasks than classification, by name
    latency_steps: int | None = None  # until the output can be read; None in continuous time
    p_proxy: float | None = None  # SynOPs + NeuronOPs of count `event`, mean over the repeats; None likewise
    joules: dict[str, float | None] = field(default_factory=dict)  # of that count, by the cost tables asked for; None where one cannot price it


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
    task: str | None = None  # None where the data holds nothing to judge by
    ann: dict[str, float | None] = field(default_factory=dict)  # the original's figures, by measure of the task
    measures: tuple[Measure, ...] = ()  # of the task

    def as_json(self) -> dict:
        """What `ttfs-run --sweep --json` writes, schema version 1: the fields, and the unit of each kind's values."""
        measures = [{"name": each.name, "unit": "fraction" if each.share else each.unit, "drop_unit": each.drift_unit} for each in self.measures]
        return {"schema_version": 1, "units": {name: kind.unit for name, kind in SWEEP_KINDS.items()}, **asdict(self), "measures": measures}

    def to_frame(self) -> pandas.DataFrame:
        """One row per point, columns as the fields of `Point`, of other tasks such as `measures.psnr.mean`. Raises UsageError where pandas is not
        installed."""
        return frame([flat(asdict(point)) for point in self.points])


def sweep(
    network: Network | str | Path,
    data: GivenData,
    points: str | Iterable[tuple[str, float | str]] = "all",
    *,
    repeats: int = 3,
    seed: int = 0,
    log: str | Path | None = None,
    costs: Sequence[str | Path] = (),
    progress: Callable[[int, int], None] = lambda done, of: None,
    **options: Unpack[StudyOptions],
) -> Sweep:
    """Accuracy of a network, or what its task measures, on `data` undisturbed and at every point, by engine `exact` with the dynamic threshold.

    network, data: as for `evaluate`.
    points: as `--sweep` takes them, such as "drop=0.01,0.1", or pairs (kind, value).
    repeats: runs of noisy points, with noise of their own.
    seed: of all noise; equal seeds give equal figures.
    log: file to which every finished run is added and from which finished ones are taken, so that a sweep that was cut off goes on.
    costs: cost tables, by name or file, under which every point has an energy.
    progress: called with runs done and runs in all.
    options: see `StudyOptions`.

    Raises as `evaluate`; UsageError for points that there are none of, and for jitter and drop in continuous time, which has no steps.
    """
    tables = tuple(cost_table(each) for each in costs)
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
        if comparison.task is None and isinstance(comparison.rule, NoRule):
            raise comparison.rule.refusal()
        about = {"network": fingerprint(setting.network), "data": comparison.data.sha256, "samples": len(comparison.data), "seed": seed}
        if comparison.task is not None and comparison.task.measures != (ACCURACY,):
            about["task"] = f"{comparison.task.name}: {comparison.task.about}"
        found = _found(_Runner(setting.network, comparison, seed), wanted, repeats, SweepLog(log, about), progress)
        ann, suspicions = _of_original(comparison)
    undisturbed = found["none", None][0]
    measures = () if comparison.task is None else comparison.task.measures
    return Sweep(
        setting.network.name,
        comparison.data.name,
        len(comparison.data),
        seed,
        ann.get("accuracy"),
        tuple(_point(kind, value, found[kind, value], undisturbed, measures, tables) for kind, value in wanted),
        (*comparison.data.notes, *comparison.notes, *suspicions),
        str(comparison.rule),
        comparison.choice.name,
        ann,
        measures,
    )


def _found(
    runner: _Runner, points: Sequence[_Named], repeats: int, log: SweepLog, progress: Callable[[int, int], None]
) -> dict[_Named, list[RunFigures]]:
    """Of every run of each point; from the log where it has them."""
    runs = [(*point, repeat) for point in points for repeat in range(repeats if point[0] in SWEEP_KINDS and SWEEP_KINDS[point[0]].noisy else 1)]
    found: dict[_Named, list[RunFigures]] = {}
    for done, run in enumerate(runs, 1):
        found.setdefault(run[:2], []).append(log.get(run) or log.add(run, runner(*run)))
        progress(done, len(runs))
    return found


def _of_original(comparison: Comparison) -> tuple[dict[str, float | None], list[str]]:
    """The original's figures, and why they may not mean what they seem to; without labels or targets nothing."""
    task, original = comparison.task, comparison.original_outcome
    if task is None:
        return {}, []
    found = {measure.name: figure(measure, original.statistics[measure.name]) for measure in task.measures}
    if ACCURACY.name not in found or original.labels is None:
        return found, []
    plausibility = Plausibility()
    plausibility.add(original.labels, task.references(slice(None), {}))
    return found, plausibility.suspicions()


def _point(
    kind: str,
    value: float | str | None,
    runs: Sequence[RunFigures],
    undisturbed: RunFigures,
    measures: Sequence[Measure],
    tables: Sequence[CostTable],
) -> Point:
    latency, work = runs[0]["latency_steps"], _mean_work(runs)
    prices = {table.name: energy(table, work, spiking=True) for table in tables}
    agreements, accuracy = _present(runs, "agreement"), _over(ACCURACY, runs, undisturbed)
    return Point(
        kind,
        value,
        len(runs),
        accuracy.mean,
        accuracy.spread,
        accuracy.worst,
        accuracy.drop,
        statistics.fmean(agreements) if agreements else None,
        _spread(agreements),
        {measure.name: _over(measure, runs, undisturbed) for measure in measures if measure is not ACCURACY},
        None if latency is None else int(latency),
        None if work.neuronops is None else work.macs + work.synops + work.neuronops,
        {name: each and each.total for name, each in prices.items()},
    )


def _mean_work(runs: Sequence[RunFigures]) -> HardwareWork:
    """Over the repeats."""
    means = {each.name: _present(runs, f"work_{each.name}") for each in fields(HardwareWork)}
    return HardwareWork(**{name: statistics.fmean(values) if values else None for name, values in means.items()})  # type: ignore[arg-type]


def _over(measure: Measure, runs: Sequence[RunFigures], undisturbed: RunFigures) -> Spread:
    """One measure over the runs of a point."""
    values, before = _present(runs, measure.name), undisturbed.get(measure.name)
    if not values:
        return Spread(None, None, None, None)
    mean = statistics.fmean(values)
    worst = min(values) if measure.higher_is_better else max(values)
    return Spread(mean, _spread(values), worst, None if before is None else measure.drop_of(measure.scale * (mean - before)) + 0.0)


def _present(runs: Sequence[RunFigures], name: str) -> list[float]:
    return [value for run in runs if (value := run.get(name)) is not None]


def _spread(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


class _Runner:
    """Runs of a network over the data of a comparison."""

    def __init__(self, network: Network, comparison: Comparison, seed: int):
        self._network, self._comparison, self._seed = network, comparison, seed

    def __call__(self, kind: str, value: float | str | None, repeat: int) -> RunFigures:
        """Of one run."""
        network, noise = self._network, None
        if kind != "none":
            network, noise = SWEEP_KINDS[kind].prepare(network, value, (self._seed, list(SWEEP_KINDS).index(kind), repeat))
        comparison, measures = self._comparison, () if self._comparison.task is None else self._comparison.task.measures
        spikes = LayerErrors(network)
        found = comparison.outcome(
            Simulator(network, noise), lambda rows: noise and noise.start(rows.start), lambda recording: spikes.add(recording, {})
        )
        figures = {measure.name: figure(measure, found.statistics[measure.name]) for measure in measures}
        work = {f"work_{name}": value for name, value in asdict(event_work(network, spikes.active_shares())).items()}
        agreement = found.agreement(comparison.original_outcome)
        return {ACCURACY.name: None, **figures, "agreement": agreement, "latency_steps": network.latency_steps, **work}
