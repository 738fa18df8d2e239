import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import naive
from tests.kernels.cases import activations, assert_same_bits
from ttfs_convert.kernels.sparse_rows import sparse

QUICK = settings(derandomize=True, deadline=None, max_examples=40)


def rows_of(rng, rows, positions, density):
    """indptr, indices, weights of a random map; about the share `density` of all synapses exists, and some rows have none."""
    exists = rng.random((rows, positions)) < density
    indptr = np.concatenate([[0], np.cumsum(exists.sum(1))])
    return indptr, np.nonzero(exists)[1], rng.normal(size=indptr[-1]).astype(np.float32)


@QUICK
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from((1, 3, 11)), st.sampled_from((0.0, 0.3, 1.0)), st.integers(0, 2**32 - 1))
def test_equals_the_sum_over_synapses(rows, positions, channels, density, seed):
    rng = np.random.default_rng(seed)
    activation, step = activations(rng, (2, positions, channels), 0.7), rows_of(rng, rows, positions, density)
    potential = np.full((2, rows, channels), 0.25, np.float32)
    sparse(activation, *step, potential)
    np.testing.assert_allclose(potential, 0.25 + naive.sparse(activation, *step), rtol=1e-5, atol=1e-5)


def test_a_long_row_keeps_its_digits():
    size = 100_000
    potential = np.zeros((1, 1, 1), np.float32)
    sparse(np.ones((1, size, 1), np.float32), np.array([0, size]), np.arange(size), np.full(size, 0.1, np.float32), potential)
    assert potential.item() == np.float32(size * np.float64(np.float32(0.1)))


def test_neither_batches_nor_threads_change_a_bit():
    rng = np.random.default_rng(0)
    step = rows_of(rng, 40, 50, 0.3)

    def run(x):
        potential = np.zeros((len(x), 40, 7), np.float32)
        sparse(x, *step, potential)
        return potential

    assert_same_bits(run, activations(rng, (6, 50, 7), 0.6))
