"""What the array beside the samples is: labels in any of their usual forms, or values that the model's output should have."""

from __future__ import annotations

import numpy as np

from ..errors import DataError

INDICES = "give the index of each sample's class, from 0"


def labels_or_targets(
    y: np.ndarray, where: str, name: str, samples: int, beside: str = "x"
) -> tuple[np.ndarray | None, np.ndarray | None, tuple[str, ...]]:
    """Labels (n,), int64 or strings, or None; targets (n, ...), None of strings; and notes.

    1. Strings (n,)                                        -> labels: names of classes.
    2. Whole numbers from 0 (n,), booleans among them      -> labels.
    3. A column, (n, 1) and the like, of 1 or 2            -> as (n,).
    4. One-hot, (n, classes) of 0 and 1, one 1 in each row -> labels: where the 1 is.
    5. Any other numbers                                   -> no labels.

    Targets are all numbers as they are given, floats as float32: what they mean is for the task to say. name, beside: of the labels and of the
    samples in the file. Raises DataError for another number of rows than `samples`, negative integers, numbers that are not finite, other
    types.
    """
    if y.dtype.kind not in "USbiuf":
        raise DataError(where, f"{name} of type {y.dtype}", "integers, floats or strings", INDICES)
    if y.ndim == 0 or len(y) != samples:
        raise DataError(
            where,
            f"{len(y) if y.ndim else 1:,} labels {name}",
            f"{samples:,} as there are samples in {beside}",
            "write it with numpy.savez(path, x=samples, y=labels)",
        )
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise DataError(where, f"{name} with values that are not finite", "finite values", "mend or leave out the samples")
    column, notes = y.size == len(y) and y.ndim > 1, ()
    if column:
        notes = (f"{name} of shape {y.shape} is taken as ({len(y)},)",)
    if y.dtype.kind in "US":
        if y.ndim > 1 and not column:
            raise DataError(where, f"{name} of shape {y.shape}, strings", f"({samples},)", "give one class name per sample")
        return (np.char.decode(y, "utf-8") if y.dtype.kind == "S" else y).reshape(-1), None, notes
    if y.ndim == 1 or column:
        return _of_rows(y, where, name, notes)
    rows = y.reshape(len(y), -1)
    if max(y.shape[1:]) == rows.shape[1] and _is_one_hot(rows):
        return rows.argmax(1), _values(y), (f"{name} of shape {y.shape} is one-hot: the place of the 1 is the label",)
    meaning = "the values that the output should have" if y.dtype.kind == "f" else "what the output should be at every position"
    return None, _values(y), (f"{name} of shape {y.shape} is no label per sample: taken as {meaning}",)


def _of_rows(y: np.ndarray, where: str, name: str, notes: tuple[str, ...]) -> tuple[np.ndarray | None, np.ndarray | None, tuple[str, ...]]:
    """Of one number per sample."""
    flat, targets = y.reshape(-1), _values(y)
    if y.dtype.kind == "f":
        if not (np.rint(flat) == flat).all() or flat.min() < 0 or flat.max() >= 2**63:
            return None, targets, (f"{name} holds numbers that are no labels: taken as the values that the output should have",)
        return flat.astype(np.int64), targets, (*notes, f"{name} holds whole numbers as {y.dtype}: taken as labels")
    if y.dtype.kind == "b":
        return flat.astype(np.int64), targets, (*notes, f"{name} is boolean: true is label 1")
    if flat.min() < 0 or flat.max() > np.iinfo(np.int64).max:
        raise DataError(where, f"label {flat.min() if flat.min() < 0 else flat.max()}", "labels from 0 up, or targets as floats", INDICES)
    return flat.astype(np.int64), targets, notes


def _values(y: np.ndarray) -> np.ndarray:
    return y.astype(np.float32) if y.dtype.kind == "f" else y


def _is_one_hot(rows: np.ndarray) -> bool:
    return bool((((rows == 0) | (rows == 1)).all()) and (rows.sum(1) == 1).all())
