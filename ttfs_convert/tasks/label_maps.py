"""Label maps: how labels of every position follow from an output, and which maps can be held against them."""

from __future__ import annotations

import numpy as np

from ..errors import DataError, UsageError
from ..measurement.position_labels import PositionRule
from ..measurement.prediction import Rule, split_at
from ..onnx_model.output_bounds import UnknownBounds
from .judged_output import JudgedOutput
from .segmentation import IGNORED, MOST

LABELS = "iub"  # kinds of types that labels have


def position_rule(judged: JudgedOutput, positions: tuple[int, ...] | None, asked: bool = False) -> PositionRule | None:
    """How labels of the `positions` follow from the output, None if they do not. positions: as the data has them, None if it has none. asked: whether
    the user says that there are such labels; an output of one float per position may be values otherwise.

    1. Integers and booleans     -> the labels themselves.
    2. Floats, a class axis more -> the largest along it: in front of the positions, or behind.
    3. One float per position    -> two classes, which the output's bounds split, as for one float per sample.
    """
    shape, name = judged.shape, judged.name
    kept = None if positions is None else _kept(positions)
    if judged.sample.dtype.kind in LABELS:
        return PositionRule(name, _kept(shape)) if kept in (None, _kept(shape)) and _kept(shape) else None
    if judged.sample.dtype.kind != "f" or not _kept(shape):
        return None
    if kept is None:
        axis = 0 if len(shape) > 1 else None  # without maps: scores in front, as exporters of convolutional networks have them
    else:
        axis = next((axis for axis in (0, len(shape) - 1) if _kept(shape[:axis] + shape[axis + 1 :]) == kept and shape[axis] > 1), None)
    if axis is not None and shape[axis] > 1:
        return PositionRule(name, _kept(shape[:axis] + shape[axis + 1 :]), shape[axis], axis + 1)
    if not asked or kept not in (None, _kept(shape)):
        return None
    return PositionRule(name, _kept(shape), 2, threshold=_threshold(judged))


def _kept(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without axes of size 1."""
    return tuple(size for size in shape if size != 1)


def _threshold(judged: JudgedOutput) -> float:
    if judged.threshold is not None:
        return judged.threshold
    try:
        found = split_at(judged.name, judged.bounds(judged.name))
    except UnknownBounds as unknown:
        found = unknown
    if isinstance(found, Rule) and found.threshold is not None:
        return found.threshold
    raise UsageError(
        f"output {judged.name!r}",
        f"one value per position, {found.reason if not isinstance(found, (Rule, UnknownBounds)) else f'bounds unknown because of {found}'}",
        "to know where it splits two classes",
        "say it with --decision-threshold X",
    )


def checked_maps(maps: np.ndarray, rule: PositionRule, where: str) -> np.ndarray:
    """Label maps (n, *positions) as integers. Raises DataError for fractions and for labels that are no class of the output."""
    if maps.dtype.kind == "f" and not (np.rint(maps) == maps).all():
        found = maps[np.rint(maps) != maps].flat[0]
        raise DataError(where, f"a label {found:g}", "whole numbers, a label for every position", "use --task regression for values")
    maps = maps.astype(np.uint8) if maps.dtype.kind == "b" else maps.astype(np.int64) if maps.dtype.kind == "f" else maps
    count = rule.count or MOST
    counted = maps[maps != IGNORED]
    if not counted.size:
        raise DataError(where, f"label maps of {IGNORED} alone, which means that a position does not count", f"labels from 0 to {count - 1}")
    low, high = int(counted.min()), int(counted.max())
    if low < 0 or high >= count:
        raise DataError(
            where,
            f"label {high if high >= count else low} in a label map",
            f"labels from 0 to {count - 1}, and {IGNORED} where a position does not count",
            "number the classes from 0, in the model's order",
        )
    if high == low == 0 and count == 2 and counted.size < maps.size:
        raise DataError(where, "label maps of 0 and 255 alone, where 255 means that a position does not count", "labels 0 and 1", "write 1 for 255")
    return maps
