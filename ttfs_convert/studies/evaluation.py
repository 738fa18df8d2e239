"""Run a network and its original side by side over a data set and measure the difference."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import __version__
from ..compensation.fitting_notes import fitting_notes
from ..data import Dataset
from ..data.given import GivenData
from ..errors import UsageError
from ..measurement.accuracy_drift import PairedOutcomes
from ..measurement.cost_table import CostTable, cost_tables
from ..measurement.distributions import Distributions
from ..measurement.engine_agreement import AT_A_TIE, EngineCheck
from ..measurement.first_decision import first_decisions
from ..measurement.label_plausibility import Plausibility
from ..measurement.layer_errors import LayerErrors
from ..measurement.output_errors import OutputErrors
from ..measurement.quantised_ann import QuantisedTally
from ..measurement.spike_timing import SpikeTiming
from ..network.network import Network
from ..report.build import Judged, Measured, report_of
from ..report.schema import Report, ToolPart
from ..simulation.engines import simulator
from ..simulation.recording import Recording
from ..simulation.spike_file import SpikeWriter
from ..simulation.threads import numba_threads
from ..tasks.classification import Classification, outcomes_of
from ..tasks.drop_limit import DropLimit
from ..tasks.scores import Score, joined, scored
from .comparison import BatchRun, Comparison
from .first_pictures import FirstPictures, Pictures
from .setting import Setting, StudyOptions, setting_of
from .verification import samples_to_verify, verify

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True)
class Evaluation:
    """A report and what its JSON does not hold."""

    report: Report  # all figures
    layer_errors: LayerErrors  # of every layer against its tensor in the original
    outcomes: PairedOutcomes | None  # predictions of both, right and wrong; None without labels
    slope: str  # case of the network's layers
    has_tail: bool  # whether ONNX Runtime computes the outputs from the potentials
    notes: tuple[str, ...]  # what a reader of the figures must know
    scores: Mapping[str, Score]  # by measure of the task, with every sample's own figures; empty without a task
    distributions: Distributions | None = None  # None unless asked for
    pictures: Pictures | None = None  # of the first samples, where outputs are pictures; likewise


@dataclass(frozen=True)
class _Asked:
    """What runs, and what is measured beside the errors."""

    engine: str
    threshold: str
    histogram: bool
    quantised: bool
    distributions: bool
    costs: tuple[CostTable, ...]
    verify: int | None

    def __post_init__(self):
        if self.quantised and self.threshold == "fixed":
            raise UsageError("quantised", "a fixed threshold", "the dynamic one: with a fixed one spikes are no levels")


def evaluate(
    network: Network | str | Path,
    data: GivenData,
    *,
    engine: str = "exact",
    threshold: str = "dynamic",
    histogram: bool = False,
    quantised: bool = False,
    distributions: bool = False,
    spikes: str | Path | None = None,
    limits: Sequence[DropLimit] = (),
    costs: Sequence[str | Path] = (),
    verify: int | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
    **options: Unpack[StudyOptions],
) -> Evaluation:
    """Compare a spiking network on `data` with its original under ONNX Runtime.

    network: or the path of its .npz.
    data: a name or a path, as for `load_dataset`; samples x, or a mapping from the model's inputs to arrays; a pair (x, y) with labels; or a
        `Dataset`.
    engine: `exact`, `clock`, or `event`, which runs the network in continuous time; the last two are also held against the closed form, layer
        by layer.
    threshold: `dynamic` or, with the last two, `fixed`: 1 at all times.
    histogram: count spikes over time; a fixed threshold always does.
    quantised: also run the original rounded to the network's levels, see `measurement.quantised_ann`.
    distributions: count pre-activations, activations and spike times per layer, see `measurement.distributions`.
    spikes: file for all spike times, which `load_spikes` reads.
    limits: refuse tasks that lack the measures of these, before anything is run.
    verify: hold engine `exact` against `clock`, or in continuous time `event`, on so many samples; 0: on none; None: on 16, or a 64th of them where
        that is less.
    costs: files of cost tables beside those that come with the package, see `measurement.cost_table`.
    progress: called with samples done and samples in all.
    options: see `StudyOptions`.

    Raises ModelError for a model that does not fit, DataError for data that does not, UsageError for options.
    """
    asked = _Asked(engine, threshold, histogram, quantised, distributions, cost_tables(costs), verify)
    setting = setting_of(network, data, options)
    if engine == "event":
        setting = dataclasses.replace(setting, network=setting.network.with_steps(None))
    with numba_threads(setting.threads):
        comparison = setting.comparison(limits=limits)
        simulate = simulator(setting.network, engine, threshold)
        about = {"engine": engine, "threshold": threshold, "data": comparison.data.name, "data_sha256": comparison.data.sha256}
        with contextlib.ExitStack() as stack:
            writer = None if spikes is None else stack.enter_context(SpikeWriter(spikes, setting.network, len(comparison.data), about))
            return _evaluated(_Tallies(setting, comparison, asked, writer), comparison, simulate, progress)


def _evaluated(
    tallies: _Tallies, comparison: Comparison, simulate: Callable[[Mapping[str, np.ndarray]], Recording], progress: Callable[[int, int], None]
) -> Evaluation:
    tapped = comparison.reference(comparison.model, [layer.tensor for layer in tallies.network.layers if layer.tensor])
    start = time.perf_counter()
    simulate(comparison.ends.entries(comparison.inputs(slice(0, 1))))
    tallies.measured.compile_seconds = time.perf_counter() - start
    for run in comparison.runs(simulate, original=True):
        tallies.add(run, {**run.entries, **tapped(run.x)})
        progress(run.rows.stop, len(comparison.data))
    tallies.verify()
    return tallies.evaluation()


class _Tallies:
    """All that is measured of a run, batch by batch."""

    def __init__(self, setting: Setting, comparison: Comparison, asked: _Asked, writer: SpikeWriter | None):
        network, fixed = setting.network, asked.threshold == "fixed"
        self.network, self._comparison, self._writer = network, comparison, writer
        self._verify = asked.verify
        self.measured = Measured(
            network,
            asked.engine,
            asked.threshold,
            checked=EngineCheck(network, asked.engine, len(comparison.data)) if asked.engine != "exact" and not fixed else None,
            timing=SpikeTiming(network) if asked.histogram or fixed else None,
            rounded=QuantisedTally(network, comparison.model, comparison.output, comparison.rule, comparison.reference) if asked.quantised else None,
            decisions=None if fixed else first_decisions(network, comparison.rule, comparison.ends.tail),
            costs=asked.costs,
        )
        self._distributions = Distributions(network) if asked.distributions else None
        self._pictures = FirstPictures(comparison.task) if asked.distributions and comparison.task is not None else None
        self._layer_errors, self._ann, self._snn, self._plausibility = LayerErrors(network), [], [], Plausibility()
        self._errors = {name: OutputErrors(rule) for name, rule in comparison.rules.items()}

    def add(self, run: BatchRun, reference: Mapping[str, np.ndarray]) -> None:
        """reference: what the layers stand for, by tensor."""
        measured = self.measured
        measured.ann_seconds += run.ann_seconds
        measured.snn_seconds += run.snn_seconds
        self._layer_errors.add(run.recording, reference)
        if measured.checked is not None:
            measured.checked.add(run.recording, run.entries)
        if self._distributions is not None:
            self._distributions.add(run.recording, run.entries, reference)
        for consumer in (measured.timing, measured.decisions, self._writer):
            if consumer is not None:
                consumer.add(run.recording)
        self._add_outputs(run)

    def _add_outputs(self, run: BatchRun) -> None:
        comparison = self._comparison
        task, ours, theirs = comparison.task, run.outputs[comparison.output], run.original[comparison.output]
        references = None if task is None else task.references(run.rows, run.x)
        labels = references if isinstance(task, Classification) else None
        for name, each in self._errors.items():
            targets = references if name == comparison.output and task is not None and task.of_values else None
            each.add(run.outputs[name], run.original[name], targets)
        if self.measured.rounded is not None:
            self.measured.rounded.add(run.x, run.recording, ours, labels)
        if task is not None and references is not None:
            self._ann.append(task.statistics(theirs, references))
            self._snn.append(task.statistics(ours, references))
            if self._pictures is not None:
                self._pictures.add(references, theirs, ours)
        if labels is not None:
            self._plausibility.add(comparison.labels(run.original), labels)

    def verify(self) -> None:
        """Hold the closed form against an engine that simulates, where it ran."""
        samples = samples_to_verify(self._verify, len(self._comparison.data))
        if self.measured.engine == "exact" and samples > 0:
            self.measured.checked = verify(self.network, self._comparison, samples)

    def evaluation(self) -> Evaluation:
        """Of all batches."""
        network, comparison = self.network, self._comparison
        task = comparison.task
        scores = {} if task is None else scored(task.measures, joined(self._ann), joined(self._snn))
        warnings = _warnings(network, comparison.data, self._layer_errors, self.measured)
        notes = (
            *comparison.data.notes,
            *comparison.notes,
            *self._plausibility.suspicions(),
            *(note for score in scores.values() for note in score.notes),
            *warnings,
        )
        judged = Judged(comparison.output, self._errors, comparison.choice, scores)
        report = report_of(self.measured, comparison.data, comparison.treatments, judged, self._layer_errors, notes)
        report = report.model_copy(update={"tool": ToolPart(version=__version__)})
        pictures = None if self._pictures is None else self._pictures.found()
        return Evaluation(
            report, self._layer_errors, outcomes_of(scores), network.slope, network.tail is not None, notes, scores, self._distributions, pictures
        )


def _warnings(network: Network, data: Dataset, layer_errors: LayerErrors, measured: Measured) -> list[str]:
    """What a layer's range cost: values that calibration did not see. And an engine that is off."""
    found = [f"the original's weights are {network.precision}; it was computed in float32 too"] if network.precision != "float32" else []
    found += fitting_notes(network, data)
    remedy = "; calibrate on more data, or with a larger --margin" if network.calibration else ""
    if measured.threshold == "dynamic":
        found += [
            f"layer {name}: {100 * share:.2f} % of its values lie outside its range and are cut off{remedy}"
            for name in layer_errors.saturated()
            if (share := layer_errors.layers[name].saturated_share) is not None
        ]
    if measured.rounded is not None:
        found += measured.rounded.outcome().notes
    if measured.checked is not None and measured.checked.farthest > AT_A_TIE:
        found.append(f"engine {measured.checked.by} and the closed form differ by {measured.checked.farthest:.1e} windows: no rounding error")
    return found
