"""Class labels from a network's outputs."""

from __future__ import annotations

import numpy as np
import onnx

from .errors import DataError, ModelError


def predicted_labels(output: np.ndarray, where: str, threshold: float = 0.0) -> np.ndarray:
    """Labels (n,) int64 of `output`: integers are labels already; floats (n, classes) give the largest, floats (n, 1) or (n,) whether
    they reach `threshold`. Raises ModelError for other shapes."""
    rows = output.reshape(len(output), -1)
    if np.issubdtype(output.dtype, np.integer) and rows.shape[1] == 1:
        return rows[:, 0].astype(np.int64)
    if rows.shape[1] == 1:
        return (rows[:, 0] >= threshold).astype(np.int64)
    if classes(output.shape) is not None:
        return rows.argmax(1)
    raise ModelError(f"output {where!r}", f"shape {output.shape}", "one score per class, or labels", "a dense output has no accuracy")


def classes(shape: tuple[int, ...]) -> int | None:
    """How many classes an output of `shape` (batch first) has scores for; None if it is no vector of scores."""
    values = int(np.prod(shape[1:]))
    return max(values, 2) if values == max(shape[1:], default=1) else None


def check_labels(labels: np.ndarray, output: np.ndarray, where: str) -> None:
    """Raise DataError for labels, of all samples, that no score of `output` stands for; an output of labels allows any number."""
    if labels.dtype.kind == "U":
        raise DataError(where, f"class names as labels, such as {str(labels[0])!r}", "numbers: the model's output is no class name",
                        "number the classes from 0, in the model's order")
    count = classes(output.shape)
    if np.issubdtype(output.dtype, np.integer) or count is None or labels.max() < count:
        return
    one_based = labels.min() == 1 and labels.max() == count
    raise DataError(where, f"label {labels.max()}", f"labels from 0 to {count - 1}: the model has {count} classes",
                    f"subtract 1: yours go from 1 to {count}" if one_based else "number the classes from 0, in the model's order")


def binary_threshold(tail: onnx.ModelProto | None) -> float:
    """Where a lone output splits two classes: 0.5 where it is bounded by a Sigmoid or Clip; above 0 behind a Relu; 0 for a potential."""
    operators = {node.op_type for node in tail.graph.node} if tail is not None else set()
    if operators & {"Sigmoid", "Clip"}:
        return 0.5
    return float(np.nextafter(np.float32(0), np.float32(1))) if "Relu" in operators else 0.0
