"""The original network under ONNX Runtime: its outputs, and its activations at the tensors that conversion matched."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from ..errors import DataError, ModelError
from ..freed_memory import give_back
from .input_types import input_type
from .read import one_line
from .session import arrays_of, quiet_options, session
from .unread_inputs import without_unread_inputs


class Reference:
    """One ONNX Runtime session over `model` that also returns the inner tensors named.

    tensors: names inside the graph; those that the graph does not have are ignored (see `available`). threads: intra-op threads, 0
    for ONNX Runtime's own choice. folder: of the model's external data, if it has some; a copy of the graph is written there. A model
    with a fixed batch is run in batches of that size. unbatched: inputs without an axis for the batch; a model that has some is run one
    sample at a time. Raises ModelError for a model that ONNX Runtime cannot run.

    together: samples at a time, None for any number: a model in which samples mix gives what it gives alone for one at a time alone,
    see `settle`.
    """

    def __init__(
        self, model: onnx.ModelProto, tensors: Sequence[str] = (), threads: int = 0, folder: Path | None = None, unbatched: Collection[str] = ()
    ):
        model = without_unread_inputs(model, tensors)
        produced = {name for node in model.graph.node for name in node.output}
        outputs = [value.name for value in model.graph.output]
        self.available = [name for name in dict.fromkeys(tensors) if name in produced]
        extra = [name for name in self.available if name not in outputs]
        if extra:
            tapped = onnx.ModelProto()
            tapped.CopyFrom(model)
            tapped.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in extra)
            model = tapped
        self.names = outputs + extra
        options = quiet_options()
        options.intra_op_num_threads = threads
        self._large, self._without_arena = folder is not None, folder is not None and bool(extra)
        options.enable_cpu_mem_arena = not self._without_arena  # an arena would keep large inner tensors a second time
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # threads that look out for work keep a core from the kernels
        self._run_options: onnxruntime.RunOptions | None = None
        try:
            opened = session(_source(model, folder), options)
            if folder is not None:
                give_back()  # what laying out large weights took
        except Exception as error:  # see `session`
            raise ModelError(
                "model", f"ONNX Runtime cannot run it ({one_line(error)})", "a model that runs", "check it with onnxruntime alone"
            ) from error
        self._session: onnxruntime.InferenceSession | None = opened
        constants = {tensor.name for tensor in model.graph.initializer}
        inputs = [value for value in opened.get_inputs() if value.name not in constants]
        types = {value.name: value for value in model.graph.input}
        self._unbatched = types.keys() & set(unbatched)
        self.inputs = {value.name: (tuple(value.shape[value.name not in self._unbatched :]), input_type(types[value.name])) for value in inputs}
        batch = inputs[0].shape[0] if inputs and inputs[0].shape else None
        self.fixed_batch = 1 if self._unbatched else batch if isinstance(batch, int) else None
        self.together = self.fixed_batch

    def close(self) -> None:
        """Give back its memory, if that is much: it is not run any more."""
        if self._large:
            self._session = None
            give_back()

    def settle(self, feeds: Mapping[str, np.ndarray], unit: int = 1) -> str | None:
        """Find out whether samples are independent: whether `feeds`, a few different ones, together give what `unit` of them at a time
        give. If not, the model is run `unit` samples at a time from now on, and the first tensor that shows it is named. Raises
        ModelError if there are no rows for `unit` samples either."""
        if self.fixed_batch is not None:
            return None
        with self._tidily():
            mixed = self._mixed(self._typed(feeds), unit)
        self.together = None if mixed is None else unit
        return mixed

    def _mixed(self, feeds: Mapping[str, np.ndarray], unit: int) -> str | None:
        samples = len(next(iter(feeds.values())))
        try:
            together = self._rows(feeds, samples)
        except ModelError:  # it suits no other number of samples
            together = {}
        apart, done = {name: _Apart() for name in self.names}, 0
        for run in self._runs(feeds, samples, unit):  # of which one at a time is in memory
            rows = len(run[self.names[0]])
            for name, alone in run.items():
                apart[name].add(name, together.get(name), alone, slice(done, done + rows), samples)
            done += rows
        return next((name for name in (*self.available, *self.names) if not apart[name].equal), None) if together else self.names[0]

    def __call__(self, x: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs and tapped tensors for `x`: (n, ...) in the model's own layout, of several inputs a mapping by name, which may hold
        more. Each result has n rows: where positions are folded into the batch, or one sample's result has no batch axis, all that belongs
        to a sample is its row. Floats come as float32. Raises ModelError for outputs that no rows can be made of."""
        feeds = self._typed(x)
        samples, size = len(next(iter(feeds.values()))), self.together
        if size is None or samples == size:
            return self._rows(feeds, samples)
        runs = list(self._runs(feeds, samples, size))
        return {name: _joined(name, [run[name] for run in runs]) for name in self.names}

    def _typed(self, x: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: np.asarray(value, self.inputs[name][1]) for name, value in feeds_of(x, list(self.inputs)).items()}

    def _runs(self, feeds: Mapping[str, np.ndarray], samples: int, size: int) -> Iterator[dict[str, np.ndarray]]:
        """What the model gives for `size` samples at a time; of each result as many rows as there are samples."""
        for start in range(0, samples, size):
            parts = {name: value[start : start + size] for name, value in feeds.items()}
            rows = len(next(iter(parts.values())))
            if rows < size:
                parts = {name: np.concatenate([part, np.repeat(part[-1:], size - rows, axis=0)]) for name, part in parts.items()}
            yield {name: self._a_row_each(value, size, name)[:rows] for name, value in self._rows(parts, size).items()}

    def once(self, x: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """As a call, for samples that are tried before others are run: the memory that their tensors took is given back."""
        with self._tidily():
            return self(x)

    @contextlib.contextmanager
    def _tidily(self) -> Iterator[None]:
        """Inside, a run gives back the memory that ONNX Runtime took for it, if that is worth its time."""
        if self._large and not self._without_arena:
            options = onnxruntime.RunOptions()
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
            self._run_options = options
        try:
            yield
        finally:
            self._run_options = None

    def as_computed(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What ONNX Runtime gives for all of `feeds`, which may hold more than it reads, at once, no shape or type changed. Raises ModelError
        if it cannot."""
        if self._session is None:
            raise RuntimeError("a session that was closed")
        try:
            return dict(
                zip(self.names, arrays_of(self._session.run(self.names, {name: np.asarray(feeds[name]) for name in self.inputs}, self._run_options)))
            )
        except Exception as error:  # as above
            raise ModelError(
                "model",
                f"ONNX Runtime cannot run it on these samples ({one_line(error)})",
                "a model that runs on them",
                "check it with onnxruntime alone",
            ) from error

    def _rows(self, feeds: Mapping[str, np.ndarray], samples: int) -> dict[str, np.ndarray]:
        shaped = {name: value[0] if name in self._unbatched else value for name, value in feeds.items()}
        return {
            name: _by_sample(value.astype(np.float32, copy=False) if value.dtype.kind == "f" else value, samples)
            for name, value in self.as_computed(shaped).items()
        }

    def _a_row_each(self, value: np.ndarray, samples: int, name: str) -> np.ndarray:
        if value.ndim and len(value) == samples:
            return value
        if name in self.available:  # an inner tensor that has nothing to do with samples
            return np.broadcast_to(value, (samples, *value.shape))
        raise ModelError(
            f"output {name!r}",
            f"shape {value.shape} for a batch of {samples}",
            "as many rows, one for each sample",
            "export the model so that the first axis of its outputs is the batch",
        )


class _Apart:
    """How far one tensor of samples together is from what they are alone, part by part."""

    def __init__(self):
        self._shapes: set[tuple[int, ...]] = set()
        self._unlike, self._farthest, self._largest = False, 0.0, 0.0

    def add(self, name: str, together: np.ndarray | None, alone: np.ndarray, rows: slice, samples: int) -> None:
        """together: of all samples; None where there is nothing. alone: of those in `rows`."""
        self._shapes.add(alone.shape[1:])
        _check_rows(name, self._shapes)
        if together is None or together.shape != (samples, *alone.shape[1:]):
            self._unlike = True
            return
        part = together[rows]
        if alone.dtype.kind != "f":
            self._unlike = self._unlike or bool((part != alone).any())
            return
        with np.errstate(invalid="ignore"):
            distance = np.abs(part - alone)
        distance[(part == alone) | (np.isnan(part) & np.isnan(alone))] = 0
        self._unlike = self._unlike or bool(np.isnan(distance).any())
        self._farthest = max(self._farthest, float(distance.max(initial=0.0)))
        self._largest = max(self._largest, _magnitude(alone))

    @property
    def equal(self) -> bool:
        """As `equal` says of the whole."""
        return not self._unlike and self._farthest <= INDEPENDENT * max(self._largest, LEAST)


def _joined(name: str, parts: Sequence[np.ndarray]) -> np.ndarray:
    _check_rows(name, {part.shape[1:] for part in parts})
    return np.concatenate(parts)


def _check_rows(name: str, shapes: Collection[tuple[int, ...]]) -> None:
    if len(shapes) > 1:
        raise ModelError(
            f"output {name!r}", f"rows of shapes {sorted(shapes)[:3]}, as the data has it", "rows of one shape", "export the model without such nodes"
        )


def _by_sample(value: np.ndarray, samples: int) -> np.ndarray:
    """A tensor that was computed for so many samples as one row each, where rows can be made of it."""
    if samples == 1 and (value.ndim == 0 or len(value) != 1):
        return value[None]
    if value.ndim and len(value) and len(value) != samples and len(value) % samples == 0:
        return value.reshape(samples, len(value) // samples, *value.shape[1:])
    return value


LEAST = 1e-30  # that a tensor's largest value is taken to be
INDEPENDENT = 1e-4  # of a tensor's largest value: what float32 sums in another order may differ by


def equal(values: np.ndarray, others: np.ndarray) -> bool:
    """Whether two results are the same but for rounding."""
    if values.shape != others.shape:
        return False
    if values.dtype.kind != "f":
        return bool((values == others).all())
    limit = INDEPENDENT * max(_magnitude(others), LEAST)
    return bool(np.allclose(values, others, rtol=0, atol=limit, equal_nan=True))


def _magnitude(values: np.ndarray) -> float:
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def feeds_of(x: np.ndarray | Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Arrays by input name. x: a mapping, or the array of the only input. Raises DataError if one is missing."""
    if not isinstance(x, Mapping):
        x = dict.fromkeys(names[:1], x)
    missing = [name for name in names if name not in x]
    if missing:
        raise DataError(
            "x",
            f"nothing for the input{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            f"arrays for {', '.join(names)}",
            "give one array per input, by its name",
        )
    return {name: x[name] for name in names}


def _source(model: onnx.ModelProto, folder: Path | None) -> onnx.ModelProto | Path:
    """What a session is made of: the model, or, with external data, a file beside them."""
    if folder is None:
        return model
    onnx.save(model, str(folder / "tapped.onnx"))
    return folder / "tapped.onnx"
