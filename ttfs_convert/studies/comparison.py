"""A network beside its original on one data set: what every run over that data shares."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from ..data import fit_to_inputs
from ..data.given import GivenData, dataset_of
from ..errors import UsageError
from ..measurement.ground_truth import Truth
from ..measurement.prediction import NoRule, Rule, rule_of
from ..network.network import Network
from ..onnx_model.class_names import listed_names
from ..onnx_model.derived import with_derived
from ..onnx_model.embedded import embedded_model
from ..onnx_model.input_sizes import set_sizes
from ..onnx_model.output_bounds import Bounds
from ..onnx_model.precision import to_float32
from ..onnx_model.reference import Reference
from ..simulation.head_and_tail import Ends
from ..simulation.recording import Recording
from .original import original_model

FEW = 4  # samples on which it is tried whether they mix, or as many as two of the model's own batches


@dataclass(frozen=True)
class BatchRun:
    """What one batch came to. rows: which samples. x: the model's inputs (n, ...), by name. entries: what the input populations encode, by tensor.
    outputs: of the spiking network; original: of the original, both by name; empty unless asked for. Recording and outputs are good until
    the next batch. ann_seconds, snn_seconds: wall-clock time of either, head and tail included."""

    rows: slice
    x: Mapping[str, np.ndarray]
    entries: Mapping[str, np.ndarray]
    recording: Recording
    outputs: Mapping[str, np.ndarray]
    original: Mapping[str, np.ndarray]
    ann_seconds: float
    snn_seconds: float


class Comparison:
    """`network`'s original, its head and tail, and the data in batches.

    data: see `data.given.dataset_of`. batch: samples at a time. threads: of ONNX Runtime, 0 for its own choice. onnx_file, output,
    decision_threshold: see `setting.StudyOptions`. labels_needed: refuse data and outputs without labels. Raises ModelError for a model that
    does not fit, DataError for data that does not, UsageError for options.

    rules: how labels follow from each output, by name. rule: of the judged one. notes: what a reader of the figures must know.
    together: samples that are run at a time, None for any number: every figure is that of a sample alone, or in the batch that the model
    declares.
    """

    def __init__(
        self,
        network: Network,
        data: GivenData,
        onnx_file: str | Path | None = None,
        batch: int = 64,
        threads: int = 0,
        *,
        output: str | None = None,
        decision_threshold: float | None = None,
        labels_needed: bool = False,
    ):
        if batch < 1:
            raise UsageError("batch", f"{batch}", "at least 1")
        self.data = dataset_of(data, network.input_shapes)
        self.model = original_model(network, onnx_file)
        if network.precision != "float32":
            with tempfile.TemporaryDirectory() as folder:
                to_float32(self.model, Path(folder))
        set_sizes(self.model, network.input_sizes)
        if network.derived is not None:
            self.model = with_derived(self.model, embedded_model(network.derived, "derived tensors"))
        self._threads, self._unbatched, self._tensors = threads, network.unbatched, [layer.tensor for layer in network.layers if layer.tensor]
        self._readouts = [layer.tensor for layer in network.readouts if layer.tensor]
        self.original, self.ends = Reference(self.model, threads=threads, unbatched=network.unbatched), Ends(network, threads)
        self.outputs = [value.name for value in self.model.graph.output]
        self.output = _judged(self.outputs, output)
        bounds = {layer.onnx_name: layer.bounds for layer in network.inputs}
        self._fitted = fit_to_inputs(self.data, self.original.inputs, bounds, {**bounds, **network.input_ranges})
        unit = self.original.fixed_batch or 1
        few = self._few_samples = self._few(max(min(FEW, len(self.data)), 2 * unit) if len(self.data) > unit else unit)
        self.together, mixing = self._settled(few, unit)
        self._batch = -(-batch // unit) * unit
        self.rules = self._rules(few, unit, bounds, decision_threshold)
        self.truth = Truth(self.data, self.rules[self.output], self._sample[self.output], labels_needed)
        self.rule = self.rules[self.output] = self.truth.rule
        self.notes, self.treatments = (*self._fitted.notes, *mixing, *self.truth.notes), self._fitted.treatments

    def _few(self, count: int) -> dict[str, np.ndarray]:
        """Inputs of samples from all over the data."""
        rows = np.linspace(0, len(self.data) - 1, count).round().astype(int).tolist()
        parts = [self._fitted(slice(row, row + 1)) for row in rows]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _settled(self, few: Mapping[str, np.ndarray], unit: int) -> tuple[int | None, list[str]]:
        """How many samples to run at a time, None for any number, and what to say of it."""
        if len(self.data) <= unit:  # there is nothing to mix
            self.ends.run_by(unit)
            return unit, []
        whole = self.original
        if not set(self._readouts).issubset(self.outputs):  # labels alone may hide that samples mix
            whole = Reference(self.model, self._readouts, self._threads, unbatched=self._unbatched)
        mixed = [name for name in (self.ends.settle(few, unit), whole.settle(few, unit)) if name is not None]
        if not mixed:
            return self.original.fixed_batch, []
        self.ends.run_by(unit)
        self.original.together = unit
        return unit, [
            f"the samples of a batch mix in this model, in {mixed[0]!r}: it was run {unit} at a time, so that figures are those of "
            + ("each sample alone" if unit == 1 else "the batches that it declares")
        ]

    def _rules(
        self, few: Mapping[str, np.ndarray], unit: int, ends: Mapping[str, tuple[float, float] | None], threshold: float | None
    ) -> dict[str, Rule | NoRule]:
        self._sample = self.original(few)
        sample = {
            name: np.asarray(few[name][0 if name in self._unbatched else slice(unit)], kind) for name, (_, kind) in self.original.inputs.items()
        }
        bounds = Bounds(self.model, sample, ends)
        return {
            name: rule_of(name, self._sample[name], bounds, listed_names(self.model.graph, name), threshold if name == self.output else None)
            for name in self.outputs
        }

    def reference(self, model: onnx.ModelProto, tensors: Sequence[str] = ()) -> Reference:
        """A session over `model`, the original or one made from it, that runs as many samples at a time as all others do."""
        found = Reference(model, tensors, self._threads, unbatched=self._unbatched)
        found.together = found.fixed_batch or self._together_inside
        return found

    @functools.cached_property
    def _together_inside(self) -> int | None:
        """As `together`, for the tensors that layers stand for as well: their batch axis may be another one than the first."""
        if self.together is None:
            inside = Reference(self.model, self._tensors, self._threads)
            inside.settle(self._few_samples)
            return inside.together
        return self.together

    def inputs(self, rows: slice) -> dict[str, np.ndarray]:
        """The model's inputs for the samples `rows`, by name."""
        return self._fitted(rows)

    def labels(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Predicted labels (n,), int64 or names of classes, from the model's outputs, by name. Raises UsageError if none follow."""
        if isinstance(self.rule, NoRule):
            raise self.rule.refusal()
        return self.rule.labels(outputs[self.output])

    def batches(self) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
        """The data from its beginning: which samples, and the model's inputs for them."""
        for first in range(0, len(self.data), self._batch):
            rows = slice(first, min(first + self._batch, len(self.data)))
            yield rows, self.inputs(rows)

    def runs(
        self, simulate: Callable[[Mapping[str, np.ndarray]], Recording], starting: Callable[[slice], None] = lambda rows: None, original: bool = False
    ) -> Iterator[BatchRun]:
        """Batch by batch what a simulator makes of the data. starting: told which samples come next. original: whether to run that too."""
        for rows, x in self.batches():
            starting(rows)
            start = time.perf_counter()
            expected = self.original(x) if original else {}
            between = time.perf_counter()
            entries = self.ends.entries(x)
            recording = simulate(entries)
            outputs = self.ends.outputs(recording, x)
            yield BatchRun(rows, x, entries, recording, outputs, expected, between - start, time.perf_counter() - between)
            recording.done()

    def predictions(
        self, simulate: Callable[[Mapping[str, np.ndarray]], Recording], starting: Callable[[slice], None] = lambda rows: None
    ) -> np.ndarray:
        """The label of every sample (n,) by what a simulator makes of it. starting: see `runs`. Raises as `labels`."""
        return np.concatenate([self.labels(run.outputs) for run in self.runs(simulate, starting)])

    @property
    def true_labels(self) -> np.ndarray:
        """The data's labels (n,), as `labels` gives them. Raises UsageError where it has none."""
        if self.truth.labels is None:
            raise UsageError("data", f"{self.data.name} has no labels", "labelled data")
        return self.truth.labels

    @functools.cached_property
    def original_predictions(self) -> np.ndarray:
        """The original's label of every sample (n,). Raises as `labels`."""
        return np.concatenate([self.labels(self.original(x)) for _, x in self.batches()])


def _judged(outputs: Sequence[str], wanted: str | None) -> str:
    if wanted is not None and wanted not in outputs:
        raise UsageError("--output", f"{wanted!r}", f"one of the model's outputs: {', '.join(outputs)}")
    return wanted or outputs[0]
