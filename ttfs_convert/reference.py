"""The original network under ONNX Runtime: its outputs, and its activations at the tensors that conversion matched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from .errors import ModelError
from .onnx_file import one_line


class Reference:
    """One ONNX Runtime session over `model` that also returns the inner tensors named.

    tensors: names inside the graph; those that the graph does not have are ignored (see `available`). threads: intra-op threads, 0
    for ONNX Runtime's own choice. folder: of the model's external data, if it has some; a copy of the graph is written there. A model with a fixed batch is run in batches of that size. Raises ModelError for a model that ONNX
    Runtime cannot run or that has several inputs.
    """

    def __init__(self, model: onnx.ModelProto, tensors: Sequence[str] = (), threads: int = 0, folder: Path | None = None):
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
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(_source(model, folder), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has one exception class per status, none of them public
            raise ModelError("model", f"ONNX Runtime cannot run it ({one_line(error)})", "a model that runs",
                             "check it with onnxruntime alone") from error
        constants = {tensor.name for tensor in model.graph.initializer}
        inputs = [value for value in self._session.get_inputs() if value.name not in constants]
        if len(inputs) != 1:
            raise ModelError("model", f"{len(inputs)} inputs", "one input")
        self.input_name = inputs[0].name
        batch = inputs[0].shape[0] if inputs[0].shape else None
        self._fixed_batch = batch if isinstance(batch, int) else None

    def __call__(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """All outputs and tapped tensors for `x`, (n, ...) in the model's own layout; each has n rows."""
        if self._fixed_batch is None or len(x) == self._fixed_batch:
            return dict(zip(self.names, self._session.run(self.names, {self.input_name: x})))
        runs = []
        for start in range(0, len(x), self._fixed_batch):
            part = x[start:start + self._fixed_batch]
            padding = np.repeat(part[-1:], self._fixed_batch - len(part), axis=0)
            values = self._session.run(self.names, {self.input_name: np.concatenate([part, padding])})
            runs.append([value[:len(part)] for value in values])
        return {name: np.concatenate(values) for name, values in zip(self.names, zip(*runs))}


def _source(model: onnx.ModelProto, folder: Path | None) -> bytes | str:
    """What a session is made of: the model, or, with external data, a file beside them."""
    if folder is None:
        return model.SerializeToString()
    file = folder / "tapped.onnx"
    onnx.save(model, str(file))
    return str(file)
