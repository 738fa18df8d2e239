"""ONNX Runtime, set up once: on the CPU, and without its own messages, since whatever it raises is told in ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

FATAL = 4  # severity below which ONNX Runtime is silent


def quiet_options(optimised: bool = True) -> onnxruntime.SessionOptions:
    """Options of a session. optimised: whether ONNX Runtime may rewrite the graph before it runs it."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def session(model: onnx.ModelProto | Path, options: onnxruntime.SessionOptions | None = None) -> onnxruntime.InferenceSession:
    """`model` ready to run: itself, or the file that holds it, beside its external data. options: by default `quiet_options()`.

    Raises, as does its `run`, whatever ONNX Runtime raises: it has one exception class per status, none of them public, so that callers
    catch Exception.
    """
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options or quiet_options(), providers=["CPUExecutionProvider"])


def arrays_of(results: Sequence[object]) -> list[np.ndarray]:
    """What a session gives for outputs that are arrays. Raises TypeError for sequences, maps and sparse tensors."""
    arrays = [result for result in results if isinstance(result, np.ndarray)]
    if len(arrays) < len(results):
        raise TypeError("an output that is no array")
    return arrays
