"""The rate-coded baseline: the same network as integrate-and-fire neurons with balanced thresholds, run until it is as good as the original.

What is counted, per inference of T steps: SynOPs = spikes times their true fan-out, and every connection of the analog input once, for its currents
are constant; NeuronOPs = all neurons x T; latency = T steps, for all layers live through the same ones, and a new sample starts when one ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..data.given import GivenData
from ..errors import UsageError
from ..measurement.cost_table import CostTable
from ..measurement.energy import energy
from ..measurement.hardware_work import HardwareWork, address_bytes
from ..network.network import Network
from ..network.populations import Spiking, has_neurons, neurons
from ..network.synapses.fan_out import fan_out
from ..report.frames import frame
from ..report.rate_schema import RateCodedPart, RatePointPart
from ..report.schema import Report
from ..simulation.rate_engine import RateRecording, RateSimulator
from ..simulation.threads import numba_threads
from ..tasks.classification import Classification
from .comparison import Comparison
from .setting import StudyOptions, setting_of

if TYPE_CHECKING:
    import pandas
    from typing_extensions import Unpack

WITHIN_PP = 0.5  # of the original's accuracy, percentage points
MAX_STEPS = 1024  # unless told otherwise


@dataclass(frozen=True)
class RatePoint:
    """The rate-coded network read after `steps` steps. Counts are per inference."""

    steps: int
    accuracy: float  # fraction
    agreement: float  # with the original's predictions, a fraction
    spikes: float  # of all layers of neurons
    synops: float
    neuronops: float

    spike_bytes: float  # that they are, see `measurement.hardware_work`
    analog_macs: float  # multiply-accumulates of the analog input, once per connection: of `synops`

    @property
    def work(self) -> HardwareWork:
        """What an inference makes hardware do."""
        return HardwareWork(self.analog_macs, self.synops - self.analog_macs, self.neuronops, self.spikes, self.spike_bytes)


@dataclass(frozen=True)
class RateBaseline:
    """Accuracy and operations of the rate-coded network, step by step."""

    network: str  # its name
    data: str  # its name
    samples: int
    start: float  # of every potential, as a share of its threshold
    within_pp: float  # what is asked of `chosen`
    ann_accuracy: float  # of the original, a fraction
    points: tuple[RatePoint, ...]  # by steps; see `stops_up_to`
    chosen: RatePoint | None  # of the fewest steps from which on the accuracy stays within `within_pp` of the original's; None where it never does
    notes: tuple[str, ...]  # what a reader of the figures must know

    def beside(self, report: Report, tables: Sequence[CostTable]) -> Report:
        """`report`, of a run of the same network on the same data, with this baseline in it. tables: that price it."""
        priced = {id(point): _priced(point, tables) for point in self.points}
        points = tuple(priced.values())
        chosen = None if self.chosen is None else priced[id(self.chosen)]
        part = RateCodedPart(start=self.start, within_pp=self.within_pp, points=points, chosen=chosen)
        return report.model_copy(update={"rate_coded": part, "notes": tuple(dict.fromkeys((*report.notes, *self.notes, self.verdict)))})

    @property
    def verdict(self) -> str:
        """Which point is the baseline, and why."""
        start = f", with potentials that start at {self.start:g} of their threshold" if self.start else ""
        tried = f"tried to {self.points[-1].steps:,}{start}"
        if self.chosen is None:
            return f"rate-coded: not within {self.within_pp:g} pp of the ANN at the last step, {tried}: that step is shown"
        return f"rate-coded: within {self.within_pp:g} pp of the ANN from step {self.chosen.steps:,} on, {tried}"

    def to_frame(self) -> pandas.DataFrame:
        """One row per point, columns as the fields of `RatePoint`. Raises UsageError where pandas is not installed."""
        return frame([asdict(point) for point in self.points])


def rate_baseline(
    network: Network | str | Path,
    data: GivenData,
    *,
    max_steps: int = MAX_STEPS,
    within_pp: float = WITHIN_PP,
    start: float = 0.0,
    progress: Callable[[int, int], None] = lambda done, of: None,
    **options: Unpack[StudyOptions],
) -> RateBaseline:
    """Run `network` with rate-coded neurons, see `simulation.rate_engine`, on labelled `data`.

    network, data: as for `evaluate`; the network's own numbers of steps play no part.
    max_steps: of the run.
    within_pp: how far below the original's the accuracy may be, in percentage points.
    start: of every potential, as a share of its threshold.
    progress: called with samples done and samples in all.
    options: see `StudyOptions`.

    Raises as `evaluate`; UsageError for data without labels, and for networks that rates cannot stand for.
    """
    if max_steps < 1 or not 0 <= start < 1 or within_pp < 0:
        raise UsageError("rate coding", f"{max_steps} steps, start {start:g}, within {within_pp:g} pp", "at least 1, a share below 1, at least 0")
    setting = setting_of(network, data, options)
    with numba_threads(setting.threads):
        simulator, comparison = RateSimulator(setting.network, start), setting.comparison()
        if not isinstance(comparison.task, Classification):
            raise UsageError("rate coding", f"{comparison.data.name} has no labels for this model's output", "labelled data", "add y to the .npz")
        points = _points(_Tally(setting.network, comparison, stops_up_to(max_steps)), simulator, progress)
        truth, original = comparison.task.references(slice(None), {}), comparison.original_outcome.labels
    ann_accuracy = float((original == truth).mean())
    return RateBaseline(
        setting.network.name,
        comparison.data.name,
        len(comparison.data),
        start,
        within_pp,
        ann_accuracy,
        points,
        _chosen(points, ann_accuracy - within_pp / 100),
        (*comparison.data.notes, *comparison.notes, *_doubts(setting.network)),
    )


def _priced(point: RatePoint, tables: Sequence[CostTable]) -> RatePointPart:
    found = {table.name: energy(table, point.work) for table in tables}
    return RatePointPart(**asdict(point), joules={name: each and each.total for name, each in found.items()})


def stops_up_to(steps: int) -> list[int]:
    """Numbers of steps after which outputs are read: each to 32, every second to 64, every fourth to 128 and so on, and the last."""
    found = {steps}
    every, at = 1, 1
    while at < steps:
        found.add(at)
        at += every
        if at >= 16 * 2 * every:
            every *= 2
    return sorted(found)


def _chosen(points: tuple[RatePoint, ...], least: float) -> RatePoint | None:
    """The first of those at the end that are all good enough."""
    found = None
    for point in reversed(points):
        if point.accuracy < least - 1e-12:
            break
        found = point
    return found


def _doubts(network: Network) -> list[str]:
    """Why the baseline may be weaker than it could be."""
    found = []
    if network.calibration is not None and network.calibration.method != "maximum":
        found.append(f"thresholds are balanced to ranges found with method {network.calibration.method}, not to largest activations")
    if network.compensation is not None:
        found.append("weights were fitted to the rounding of spike times: convert without --compensate for the original's")
    if network.weight_grid is not None:
        found.append(f"weights were rounded to {network.weight_grid.bits} bits: convert without --weight-bits for the original's")
    return found


def _points(tally: _Tally, simulator: RateSimulator, progress: Callable[[int, int], None]) -> tuple[RatePoint, ...]:
    comparison, stops = tally.comparison, tally.stops
    for rows, x in comparison.batches():
        for recording in simulator(comparison.ends.entries(x), stops[-1], set(stops)):
            tally.add(recording, rows, x)
        progress(rows.stop, len(comparison.data))
    return tally.points()


class _Tally:
    """Sums over samples, by number of steps."""

    def __init__(self, network: Network, comparison: Comparison, stops: list[int]):
        self.comparison, self.stops, self._network = comparison, stops, network
        shapes = {layer.name: layer.shape for layer in network.layers}
        connections = [each for layer in network.layers if has_neurons(layer) for each in layer.connections]
        self._fan_outs = [(each.source, fan_out(each.path, shapes[each.source])) for each in connections]
        self._bytes = {layer.name: address_bytes(layer) for layer in network.layers if isinstance(layer, Spiking)}
        self._right, self._agreeing, self._spikes, self._synops, self._moved = (np.zeros(stops[-1] + 1) for _ in range(5))
        self._analog = 0

    def add(self, recording: RateRecording, rows: slice, x: dict[str, np.ndarray]) -> None:
        step, task = recording.step, self.comparison.task
        labels = self.comparison.labels(self.comparison.ends.outputs(recording.recording, x))
        truth = None if task is None else task.references(rows, x)
        self._right[step] += np.count_nonzero(labels == truth)
        self._agreeing[step] += np.count_nonzero(labels == self._originals[rows])
        counts = {name: each.sum(0, dtype=np.float64) for name, each in recording.counts.items()}
        self._spikes[step] += sum(counts[name].sum() for name in self._bytes)
        self._moved[step] += sum(counts[name].sum() * size for name, size in self._bytes.items())
        self._analog = sum(each.total for source, each in self._fan_outs if source not in counts)
        self._synops[step] += len(labels) * self._analog + sum(each.weighted(counts[source]) for source, each in self._fan_outs if source in counts)

    @property
    def _originals(self) -> np.ndarray:
        labels = self.comparison.original_outcome.labels
        if labels is None:
            raise UsageError("rate coding", "no labels follow from the output", "a classifier")
        return labels

    def points(self) -> tuple[RatePoint, ...]:
        samples, all_neurons = len(self.comparison.data), sum(map(neurons, self._network.layers))
        return tuple(
            RatePoint(
                step,
                float(self._right[step] / samples),
                float(self._agreeing[step] / samples),
                float(self._spikes[step] / samples),
                float(self._synops[step] / samples),
                float(all_neurons * step),
                float(self._moved[step] / samples),
                float(self._analog),
            )
            for step in self.stops
        )
