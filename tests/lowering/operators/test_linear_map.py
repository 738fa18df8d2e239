"""Matrices along the axes of a tensor."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from ttfs_convert.lowering.operators.linear_map import map_axes
from ttfs_convert.lowering.unsupported import UnsupportedNode
from ttfs_convert.lowering.values import Spikes, flat_index


@pytest.mark.parametrize("matrix", ([[0.0]], [[2.0]], [[1.0], [1.0]]))
def test_a_matrix_that_changes_the_batch_is_refused(matrix):
    """It was left out without a word."""
    value = Spikes("x", flat_index((4, 3))[None], (4, 3), np.ones(1), np.zeros(1))
    with pytest.raises(UnsupportedNode, match="across the samples"):
        map_axes(value, {0: csr_matrix(np.array(matrix))}, None, None)
