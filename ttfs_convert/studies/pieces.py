"""A long signal in pieces of one length, that overlap by the receptive field."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import UsageError
from ..onnx_model.receptive_field import ReceptiveField


class Piece(NamedTuple):
    """The samples `start` to `end` of a signal, whose outputs `first` to `last` are those of the whole signal."""

    start: int
    end: int
    first: int
    last: int


def piece_length(longest: int, field: ReceptiveField) -> int:
    """The largest multiple of the grain up to `longest`. Raises UsageError where no output of so short a piece is the whole signal's."""
    length = longest // field.grain * field.grain
    if length <= field.before + field.after:
        raise UsageError("pieces", f"{longest} samples", f"more than the receptive field's {field.before + field.after}")
    return length


def pieces(samples: int, length: int, field: ReceptiveField) -> Iterator[Piece]:
    """Pieces whose outputs, behind each other, are those of a signal of `samples`, all `length` long but for a signal that is shorter. Every start is
    a multiple of the grain, and the first and the last piece end where the signal does, so that they see its own ends. samples, length: multiples of
    the grain."""
    if samples <= length:
        yield Piece(0, samples, 0, samples)
        return
    before = math.ceil(field.before / field.grain) * field.grain
    start = done = 0
    while done < samples:
        start = min(start, samples - length)
        end = start + length
        last = samples if end == samples else end - field.after
        yield Piece(start, end, done, last)
        done, start = last, (last - before) // field.grain * field.grain
