import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import naive
from tests.kernels.cases import OUTPUTS, activations, assert_same_bits
from ttfs_convert.kernels.blocking import TILE_PIXELS, pack
from ttfs_convert.kernels.matrix_product import dense


def run(activation, weights, start=0.0):
    potential = np.full((len(activation), weights.shape[1]), start, np.float32)
    dense(activation, pack(weights[None, None]), potential)
    return potential


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    st.sampled_from((1, 3, 17)),
    st.sampled_from((1, 7, 95, 96, 97, 250)),
    st.sampled_from(OUTPUTS),
    st.sampled_from((0.0, 0.1, 1.0)),
    st.integers(0, 2**32 - 1),
)
def test_equals_the_equation(images, inputs, outputs, density, seed):
    rng = np.random.default_rng(seed)
    activation = activations(rng, (images, inputs), density)
    weights = rng.normal(size=(inputs, outputs)).astype(np.float32)
    np.testing.assert_allclose(run(activation, weights, 0.25), 0.25 + naive.dense(activation, weights), rtol=1e-5, atol=1e-4)


def test_an_image_without_spikes_keeps_its_potential():
    activation = np.ones((3, 300), np.float32)
    activation[1] = 0
    potential = run(activation, np.ones((300, 10), np.float32), 0.5)
    assert (potential[1] == 0.5).all() and (potential[[0, 2]] == 300.5).all()


@pytest.mark.parametrize("inputs, outputs", ((300, 65), (20, 10)))
def test_no_bit_depends_on_batch_or_threads(inputs, outputs):
    rng = np.random.default_rng(6)
    weights = rng.normal(size=(inputs, outputs)).astype(np.float32)
    assert_same_bits(lambda x: run(x, weights), activations(rng, (TILE_PIXELS + 3, inputs), 0.5))
