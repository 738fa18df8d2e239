"""Pieces of a signal: their outputs, behind each other, are the whole one's."""

import numpy as np
import pytest

from ttfs_convert.errors import UsageError
from ttfs_convert.onnx_model.receptive_field import ReceptiveField
from ttfs_convert.studies.pieces import piece_length, pieces

FIELD = ReceptiveField(before=11, after=7, grain=4)


@pytest.mark.parametrize("samples", (4, 40, 44, 80, 84, 200, 1000))
@pytest.mark.parametrize("length", (24, 40, 48))
def test_every_sample_once_from_a_piece_that_holds_its_field(samples, length):
    found = list(pieces(samples, length, FIELD))
    kept = np.concatenate([np.arange(piece.first, piece.last) for piece in found])
    assert (kept == np.arange(samples)).all()
    for piece in found:
        assert piece.start % FIELD.grain == 0 and piece.end - piece.start == min(length, samples) and 0 <= piece.start <= piece.first
        assert piece.start == 0 or piece.first - piece.start >= FIELD.before
        assert piece.end == samples or piece.end - piece.last >= FIELD.after


def test_a_piece_is_longer_than_the_field():
    assert piece_length(43, FIELD) == 40
    with pytest.raises(UsageError, match="more than the receptive field's 18"):
        piece_length(19, FIELD)
