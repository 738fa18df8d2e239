"""A network beside its original on one data set: what every run over that data shares."""

from __future__ import annotations

import functools
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from ..data import fit_to_inputs
from ..data.given import GivenData, dataset_of
from ..errors import UsageError
from ..measurement.position_labels import PositionRule
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
from ..simulation.parts_fit import check_against_original
from ..simulation.recording import Recording
from ..simulation.run_size import check_run
from ..tasks.drop_limit import DropLimit
from ..tasks.judged_output import JudgedOutput
from ..tasks.scores import joined
from ..tasks.task import Statistics
from ..tasks.task_choice import chosen_task
from .original import folder_for_weights, original_model

FEW = 4  # samples on which it is tried whether they mix, or as many as two of the model's own batches


@dataclass(frozen=True)
class BatchRun:
    """What one batch came to. rows: which samples. x: the model's inputs (n, ...), by name. entries: what the input populations encode, by tensor.
    outputs: of the spiking network, by name; recording and outputs are good until the next batch. seconds: by the clock, head and tail included."""

    rows: slice
    x: Mapping[str, np.ndarray]
    entries: Mapping[str, np.ndarray]
    recording: Recording
    outputs: Mapping[str, np.ndarray]
    seconds: float


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one network made of all samples. labels: (n,) or, of labels per position, (n, *positions); None where no labels follow from the output.
    statistics: of the task's measures, empty without a task."""

    labels: np.ndarray | None
    statistics: Statistics

    def agreement(self, other: Outcome) -> float | None:
        """Share of equal labels; None where there are none."""
        return None if self.labels is None or other.labels is None else float((self.labels == other.labels).mean())


class Comparison:
    """`network`'s original, its head and tail, and the data in batches.

    data: see `data.given.dataset_of`. batch: samples at a time. threads: of ONNX Runtime, 0 for its own choice. onnx_file, output,
    decision_threshold, task: see `setting.StudyOptions`. limits: measures that must be there. Raises ModelError for a model that does not fit,
    DataError for data that does not, UsageError for options.

    rules: how labels follow from each output, by name. rule: of the judged one. choice: of the task. task: what both networks are judged by, None
    where the data holds nothing to judge by. notes: what a reader of the figures must know.
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
        task: str | None = None,
        limits: Sequence[DropLimit] = (),
    ):
        if batch < 1:
            raise UsageError("batch", f"{batch}", "at least 1")
        check_run(network)
        self.data = dataset_of(data, network.input_shapes)
        self._folder = folder_for_weights(network, self)
        self.model = original_model(network, onnx_file, self._folder)
        if network.precision != "float32":
            with tempfile.TemporaryDirectory() as folder:
                to_float32(self.model, self._folder or Path(folder))
        set_sizes(self.model, network.input_sizes)
        if network.derived is not None:
            self.model = with_derived(self.model, embedded_model(network.derived, "derived tensors"))
        self._threads, self._unbatched, self._tensors = threads, network.unbatched, [layer.tensor for layer in network.layers if layer.tensor]
        self._sessions: list[weakref.ref[Reference]] = []
        self._settled_inside: tuple[int | None] | None = None  # once somebody has asked
        self._readouts = [layer.tensor for layer in network.readouts if layer.tensor]
        self.original, self.ends = self._session(self.model), Ends(network, threads)
        self.outputs = [value.name for value in self.model.graph.output]
        check_against_original(network, self.original.inputs, self.outputs, self.ends.head, self.ends.tail)
        self.output = _judged(self.outputs, output)
        bounds = {layer.onnx_name: layer.bounds for layer in network.inputs}
        self._fitted = fit_to_inputs(self.data, self.original.inputs, bounds, {**bounds, **network.input_ranges})
        unit = self.original.fixed_batch or 1
        few = self._few_samples = self._few(max(min(FEW, len(self.data)), 2 * unit) if len(self.data) > unit else unit)
        self.together, mixing = self._settled(few, unit)
        self.batch = -(-batch // unit) * unit
        tensor_bounds = self._bounds(few, unit, bounds)
        self.rules = self._rules(tensor_bounds, None if task == "segmentation" else decision_threshold)
        self.choice = chosen_task(task, self._to_judge(tensor_bounds, {**bounds, **network.input_ranges}, decision_threshold))
        self.task, self.rule = self.choice.task, self.choice.rule
        self.rules[self.output] = self.rule
        for limit in limits:
            limit.measure_of(self.choice, self.data)
        self.notes, self.treatments = (*self._fitted.notes, *mixing, *self.choice.notes), self._fitted.treatments

    def _few(self, count: int) -> dict[str, np.ndarray]:
        """Inputs of samples from all over the data."""
        return self._joined(np.linspace(0, len(self.data) - 1, count).round().astype(int))

    def _joined(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Inputs of the samples `rows`."""
        parts = [self._fitted(slice(row, row + 1)) for row in rows.tolist()]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def spread(self, count: int) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """About `count` samples from all over the data, in batches: which samples, and the model's inputs for them. Samples that mix stay with
        those that they are run with."""
        unit = self.together or 1
        groups = -(-len(self.data) // unit)
        chosen = np.unique(np.linspace(0, groups - 1, min(groups, -(-count // unit))).round().astype(int))
        rows = (unit * chosen[:, None] + np.arange(unit)).reshape(-1)
        rows = rows[rows < len(self.data)]
        for first in range(0, len(rows), self.batch):
            part = rows[first : first + self.batch]
            yield part, self._joined(part)

    def _settled(self, few: Mapping[str, np.ndarray], unit: int) -> tuple[int | None, list[str]]:
        """How many samples to run at a time, None for any number, and what to say of it."""
        if len(self.data) <= unit:  # there is nothing to mix
            self.ends.run_by(unit)
            return unit, []
        whole = self.original
        if not set(self._readouts).issubset(self.outputs):  # labels alone may hide that samples mix
            whole = self._session(self.model, self._readouts)
        mixed = [name for name in (self.ends.settle(few, unit), whole.settle(few, unit)) if name is not None]
        if not mixed:
            return self.original.fixed_batch, []
        self.ends.run_by(unit)
        self.original.together = unit
        return unit, [
            f"the samples of a batch mix in this model, in {mixed[0]!r}: it was run {unit} at a time, so that figures are those of "
            + ("each sample alone" if unit == 1 else "the batches that it declares")
        ]

    def _bounds(self, few: Mapping[str, np.ndarray], unit: int, ends: Mapping[str, tuple[float, float] | None]) -> Bounds:
        self._sample = self.original.once(few)
        sample = {
            name: np.asarray(few[name][0 if name in self._unbatched else slice(unit)], kind) for name, (_, kind) in self.original.inputs.items()
        }
        return Bounds(self.model, sample, ends, self._folder)

    def _rules(self, bounds: Bounds, threshold: float | None) -> dict[str, Rule | NoRule | PositionRule]:
        return {
            name: rule_of(name, self._sample[name], bounds, listed_names(self.model.graph, name), threshold if name == self.output else None)
            for name in self.outputs
        }

    def _to_judge(self, bounds: Bounds, ranges: Mapping[str, tuple[float, float] | None], threshold: float | None) -> JudgedOutput:
        rule = self.rules[self.output]
        if isinstance(rule, PositionRule):  # of no task yet
            raise TypeError(f"{rule}")
        inputs = {name: shape for name, (shape, _) in self.original.inputs.items()}
        divided = any(batches.divided for batches in self._fitted.batches.values())
        return JudgedOutput(self.data, rule, self._sample[self.output], bounds, inputs, ranges, divided, threshold)

    def reference(self, model: onnx.ModelProto, tensors: Sequence[str] = ()) -> Reference:
        """A session over `model`, the original or one made from it, that runs as many samples at a time as all others do."""
        found = self._session(model, tensors)
        if self._settled_inside is None:
            self._settled_inside = self._together_inside(found if model is self.model and list(tensors) == self._tensors else None)
        found.together = found.fixed_batch or self._settled_inside[0]
        return found

    def _session(self, model: onnx.ModelProto, tensors: Sequence[str] = ()) -> Reference:
        made = Reference(model, tensors, self._threads, self._folder, self._unbatched)
        self._sessions.append(weakref.ref(made))
        return made

    def close(self) -> None:
        """Give back the memory of all sessions of the original, which are not run any more."""
        for made in filter(None, (each() for each in self._sessions)):
            made.close()

    def _together_inside(self, session: Reference | None) -> tuple[int | None]:
        """As `together`, for the tensors that layers stand for as well: their batch axis may be another one than the first. session: of the original
        and these, if there is one."""
        if self.together is not None:
            return (self.together,)
        inside = session or self._session(self.model, self._tensors)
        two = {name: values[[0, -1]] for name, values in self._few_samples.items()}  # all neurons' values of more would be much memory
        inside.settle(two)
        return (inside.together,)

    def inputs(self, rows: slice) -> dict[str, np.ndarray]:
        """The model's inputs for the samples `rows`, by name."""
        return self._fitted(rows)

    def labels(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Predicted labels (n,), int64 or names of classes, from the model's outputs, by name. Raises UsageError if none follow."""
        if not isinstance(self.rule, Rule):
            raise self.rule.refusal()
        return self.rule.labels(outputs[self.output])

    def judged(self, rows: slice, x: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> Statistics:
        """What the task knows of the samples `rows` by their outputs, those of either network; empty without a task."""
        return {} if self.task is None else self.task.statistics(outputs[self.output], self.task.references(rows, x))

    def batches(self, first: int = 0) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
        """The data from its beginning, or from sample `first` on: which samples, and the model's inputs for them."""
        for start in range(first, len(self.data), self.batch):
            rows = slice(start, min(start + self.batch, len(self.data)))
            yield rows, self.inputs(rows)

    def runs(
        self, simulate: Callable[[Mapping[str, np.ndarray]], Recording], starting: Callable[[slice], None] = lambda rows: None, first: int = 0
    ) -> Iterator[BatchRun]:
        """Batch by batch what a simulator makes of the data. starting: told which samples come next. first: see `batches`."""
        for rows, x in self.batches(first):
            starting(rows)
            start = time.perf_counter()
            entries = self.ends.entries(x)
            recording = simulate(entries)
            outputs = self.ends.outputs(recording, x)
            yield BatchRun(rows, x, entries, recording, outputs, time.perf_counter() - start)
            recording.done()

    def outcome(
        self,
        simulate: Callable[[Mapping[str, np.ndarray]], Recording],
        starting: Callable[[slice], None] = lambda rows: None,
        seen: Callable[[Recording], None] = lambda recording: None,
    ) -> Outcome:
        """What becomes of all samples by what a simulator makes of them. starting: see `runs`. seen: told every recording."""

        def runs() -> Iterator[tuple[slice, Mapping[str, np.ndarray], Mapping[str, np.ndarray]]]:
            for run in self.runs(simulate, starting):
                seen(run.recording)
                yield run.rows, run.x, run.outputs

        return self._outcome(runs())

    @functools.cached_property
    def original_outcome(self) -> Outcome:
        """The same of the original."""
        return self._outcome((rows, x, self.original(x)) for rows, x in self.batches())

    def _outcome(self, runs: Iterator[tuple[slice, Mapping[str, np.ndarray], Mapping[str, np.ndarray]]]) -> Outcome:
        labels, statistics = [], []
        for rows, x, outputs in runs:
            if not isinstance(self.rule, NoRule):
                labels.append(self.rule.labels(outputs[self.output]))
            statistics.append(self.judged(rows, x, outputs))
        return Outcome(np.concatenate(labels) if labels else None, joined(statistics))


def _judged(outputs: Sequence[str], wanted: str | None) -> str:
    if wanted is not None and wanted not in outputs:
        raise UsageError("--output", f"{wanted!r}", f"one of the model's outputs: {', '.join(outputs)}")
    return wanted or outputs[0]
