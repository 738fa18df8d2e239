"""All that is measured of a run, batch by batch, and the evaluation that follows from it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

import numpy as np

from .. import __version__
from ..compensation.fitting_notes import fitting_notes
from ..data import Dataset
from ..errors import UsageError
from ..measurement.accuracy_drift import PairedOutcomes
from ..measurement.cost_table import CostTable
from ..measurement.distributions import Distributions
from ..measurement.engine_agreement import AT_A_TIE, EngineCheck
from ..measurement.first_decision import first_decisions
from ..measurement.label_plausibility import Plausibility
from ..measurement.layer_errors import LayerErrors
from ..measurement.output_errors import OutputErrors
from ..measurement.prediction import Rule
from ..measurement.quantised_ann import QuantisedTally
from ..measurement.spike_timing import SpikeTiming
from ..network.network import Network
from ..report.build import Judged, Measured, report_of
from ..report.schema import Report, ToolPart
from ..simulation.spike_file import SpikeWriter
from ..tasks.classification import Classification, outcomes_of
from ..tasks.scores import Score, joined, scored
from .comparison import BatchRun, Comparison
from .details import Details
from .first_pictures import FirstPictures, Pictures
from .original_runs import ComparedLayers, is_compared

COMPUTING = ("numpy", "numba", "onnxruntime", "onnx")  # packages that figures may depend on


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
    details: Details | None = None  # of single samples, for a page; likewise


@dataclass(frozen=True)
class Asked:
    """What runs, and what is measured beside the errors."""

    engine: str
    threshold: str
    histogram: bool
    quantised: bool
    distributions: bool
    layers: ComparedLayers
    costs: tuple[CostTable, ...]

    def __post_init__(self):
        if self.distributions and self.layers == "none":
            raise UsageError("plot", "no layers to draw beside the original", "layers all or sample")
        if self.quantised and self.threshold == "fixed":
            raise UsageError("quantised", "a fixed threshold", "the dynamic one: with a fixed one spikes are no levels")


class Tallies:
    """Added to batch by batch. done: samples so far, from the beginning of the data; compared: those whose layers were held against the original."""

    def __init__(self, network: Network, comparison: Comparison, asked: Asked, writer: SpikeWriter | None, details: Details | None):
        fixed = asked.threshold == "fixed"
        self.network, self._comparison, self._writer, self.details = network, comparison, writer, details
        self._layers: ComparedLayers = asked.layers
        self.done = self.compared = 0
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
        self.distributions = Distributions(network) if asked.distributions else None
        self.pictures = FirstPictures(comparison.task) if asked.distributions and comparison.task is not None else None
        self.layer_errors, self.ann, self.snn, self.plausibility = LayerErrors(network), [], [], Plausibility()
        self.errors = {name: OutputErrors(rule) for name, rule in comparison.rules.items()}

    def add(self, run: BatchRun, original: Mapping[str, np.ndarray]) -> None:
        """original: the original's outputs and, where layers are compared, what they stand for, by tensor."""
        measured, compared = self.measured, is_compared(self._layers, run.rows.start // self._comparison.batch)
        reference = {**run.entries, **original} if compared else original
        measured.snn_seconds += run.seconds
        self.layer_errors.add(run.recording, reference)
        if measured.checked is not None:
            measured.checked.add(run.recording, run.entries)
        if self.distributions is not None:
            self.distributions.add(run.recording, run.entries, reference)
        for consumer in (measured.timing, measured.decisions, self._writer):
            if consumer is not None:
                consumer.add(run.recording)
        self._add_outputs(run, original)
        self.compared += compared * (run.rows.stop - run.rows.start)
        self.done = run.rows.stop

    def _add_outputs(self, run: BatchRun, original: Mapping[str, np.ndarray]) -> None:
        comparison = self._comparison
        task, ours, theirs = comparison.task, run.outputs[comparison.output], original[comparison.output]
        references = None if task is None else task.references(run.rows, run.x)
        labels = references if isinstance(task, Classification) else None
        for name, each in self.errors.items():
            targets = references if name == comparison.output and task is not None and task.of_values else None
            each.add(run.outputs[name], original[name], targets)
        if self.measured.rounded is not None:
            self.measured.rounded.add(run.x, run.recording, ours, labels)
        if task is not None and references is not None:
            self.ann.append(task.statistics(theirs, references))
            self.snn.append(task.statistics(ours, references))
            if self.pictures is not None:
                self.pictures.add(references, theirs, ours)
        if labels is not None:
            self.plausibility.add(comparison.labels(original), labels)
        if self.details is not None and self.details.changed is not None and isinstance(comparison.rule, Rule):
            self.details.changed.add(run.rows.start, comparison.rule.labels(theirs), comparison.rule.labels(ours), labels)

    def evaluation(self) -> Evaluation:
        """Of all batches so far, at least one."""
        network, comparison = self.network, self._comparison
        task = comparison.task
        scores = {} if task is None else scored(task.measures, joined(self.ann), joined(self.snn))
        warnings = _warnings(network, comparison.data, self.layer_errors, self.measured)
        notes = (
            *_interruption(self.done, len(comparison.data)),
            *_left_out(self.compared, self.done),
            *comparison.data.notes,
            *comparison.notes,
            *self.plausibility.suspicions(),
            *(note for score in scores.values() for note in score.notes),
            *warnings,
        )
        judged = Judged(comparison.output, self.errors, comparison.choice, scores)
        report = report_of(self.measured, comparison.data, self.done, self.compared, comparison.treatments, judged, self.layer_errors, notes)
        report = report.model_copy(update={"tool": ToolPart(version=__version__, versions=_versions())})
        return Evaluation(
            report,
            self.layer_errors,
            outcomes_of(scores),
            network.slope,
            network.tail is not None,
            notes,
            scores,
            self.distributions,
            None if self.pictures is None else self.pictures.found(),
            self.details,
        )


def _interruption(done: int, samples: int) -> list[str]:
    return [] if done == samples else [f"interrupted: of the first {done:,} of {samples:,} samples; no gate can pass on them"]


def _left_out(compared: int, done: int) -> list[str]:
    """What `layers` left out."""
    if compared == done:
        return []
    return [f"layers were held against the original on {f'{compared:,} of {done:,} samples' if compared else 'no sample'}, as was asked for"]


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in COMPUTING}}


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
