"""Class labels from a network's outputs."""

from __future__ import annotations

import numpy as np
import onnx

from .errors import ModelError


def predicted_labels(output: np.ndarray, where: str, threshold: float = 0.0) -> np.ndarray:
    """Labels (n,) int64 of `output`: integers are labels already; floats (n, classes) give the largest, floats (n, 1) or (n,) whether
    they reach `threshold`. Raises ModelError for other shapes."""
    rows = output.reshape(len(output), -1)
    if np.issubdtype(output.dtype, np.integer) and rows.shape[1] == 1:
        return rows[:, 0].astype(np.int64)
    if rows.shape[1] == 1:
        return (rows[:, 0] >= threshold).astype(np.int64)
    if output.ndim == 2 or output.size == len(output) * max(output.shape[1:]):
        return rows.argmax(1)
    raise ModelError(f"output {where!r}", f"shape {output.shape}", "one score per class, or labels", "a dense output has no accuracy")


def binary_threshold(tail: onnx.ModelProto | None) -> float:
    """Where a lone output splits two classes: 0.5 behind a Sigmoid, 0 for a potential."""
    return 0.5 if tail is not None and any(node.op_type == "Sigmoid" for node in tail.graph.node) else 0.0
