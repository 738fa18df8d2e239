"""A network beside its original on one data set: what every run over that data shares."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numba
import numpy as np
import onnx

from .datasets import Dataset, fit_to_inputs, load_dataset
from .ends import Ends
from .errors import ModelError, UsageError
from .file_kind import MODEL, refuse_others
from .ir import Network
from .onnx_file import check_onnx, load_onnx, sha256_of
from .precision import to_float32
from .prediction import binary_threshold, check_labels, predicted_labels
from .recording import Recording
from .reference import Reference


class Comparison:
    """`network`'s original, its head and tail, and the data in batches.

    data: a data set, or what `datasets.load_dataset` takes. onnx_file: the original model where none is embedded; its SHA-256 must be
    that of the file that was converted. batch: images at a time. threads: of ONNX Runtime, 0 for its own choice. Raises ModelError for a
    model that does not fit, DataError for data that does not, UsageError for options.
    """

    def __init__(self, network: Network, data: Dataset | str, onnx_file: str | Path | None = None, batch: int = 64, threads: int = 0):
        if batch < 1:
            raise UsageError("batch", f"{batch}", "at least 1")
        self.data = load_dataset(data) if isinstance(data, str) else data
        self.model = _original(network, onnx_file)
        if network.precision != "float32":
            with tempfile.TemporaryDirectory() as folder:
                to_float32(self.model, Path(folder))
        self.threads, self._batch = threads, batch
        self.original, self.ends = Reference(self.model, threads=threads), Ends(network, threads)
        self.output = self.model.graph.output[0].name
        self._threshold = binary_threshold(None if network.tail is None else onnx.ModelProto.FromString(network.tail.tobytes()))
        self._fitted = fit_to_inputs(self.data, self.original.inputs, {layer.onnx_name: layer.bounds for layer in network.inputs})
        self.notes = self._fitted.notes

    def batches(self) -> Iterator[slice]:
        for first in range(0, len(self.data), self._batch):
            yield slice(first, min(first + self._batch, len(self.data)))

    def inputs(self, rows: slice) -> dict[str, np.ndarray]:
        """The model's inputs for the samples `rows`, by name."""
        return self._fitted(rows)

    def labels(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Predicted labels (n,) int64 from the model's outputs, by name."""
        return predicted_labels(outputs[self.output], self.output, self._threshold)

    def snn_labels(self, recording: Recording, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """Predicted labels (n,) int64 from the potentials of a run on the inputs `x`."""
        return self.labels(self.ends.outputs(recording, x))

    def truth(self, rows: slice, outputs: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """True labels of the samples `rows`, None without. Raises DataError for one that the model has no score for."""
        if self.data.y is None:
            return None
        check_labels(self.data.y[rows], outputs[self.output], self.data.name)
        return self.data.y[rows]


    def original_predictions(self) -> np.ndarray:
        """The original's label of every sample, int64. Raises as `truth`."""
        predicted = []
        for rows in self.batches():
            outputs = self.original(self.inputs(rows))
            self.truth(rows, outputs)
            predicted.append(self.labels(outputs))
        return np.concatenate(predicted)

    def runs(self, simulate: Callable[[Mapping[str, np.ndarray]], Recording], starting: Callable[[slice], None] = lambda rows: None
             ) -> Iterator[tuple[Recording, np.ndarray]]:
        """Batch by batch what a simulator makes of the data, good until the next one, and its labels (n,). starting: told which samples come next."""
        for rows in self.batches():
            starting(rows)
            x = self.inputs(rows)
            recording = simulate(self.ends.entries(x))
            yield recording, self.snn_labels(recording, x)
            recording.done()


@contextlib.contextmanager
def numba_threads(threads: int | None) -> Iterator[None]:
    """Let kernels use `threads` threads, by default all cores. Raises UsageError for more than there are."""
    limit, before = numba.config.NUMBA_NUM_THREADS, numba.get_num_threads()
    if threads is not None and not 1 <= threads <= limit:
        raise UsageError("threads", f"{threads}", f"1 to {limit}, the number of cores")
    numba.set_num_threads(threads or limit)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def _original(network: Network, onnx_file: str | Path | None) -> onnx.ModelProto:
    if onnx_file is not None:
        found = sha256_of(onnx_file)
        if found != network.onnx_sha256:
            refuse_others(onnx_file, MODEL, ModelError, "the ONNX model that was converted")
            raise ModelError(str(onnx_file), f"SHA-256 {found[:16]}...", f"{network.onnx_sha256[:16]}..., the model that was converted",
                             "name that file, or convert this one")
        return load_onnx(onnx_file)
    if network.onnx is None:
        raise UsageError("network", "the original model is not inside", remedy="name it with --onnx FILE")
    model = onnx.ModelProto.FromString(network.onnx.tobytes())
    check_onnx(model, "embedded model")
    return model
