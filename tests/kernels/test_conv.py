import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ttfs_convert.kernels.conv import conv
from ttfs_convert.kernels.vector import blocked

from tests import naive
from tests.kernels.cases import OUTPUTS, Geometry, activations, assert_same_bits, geometries


def run(activation, weights, groups, geometry, start=0.0):
    potential = np.full((len(activation), *geometry.out, weights.shape[3]), start, np.float32)
    conv(activation, blocked(weights.reshape(-1, *weights.shape[2:]), groups), *geometry.arguments, potential)
    return potential


def random_weights(rng, geometry, channels, outputs):
    return rng.normal(size=(*geometry.kernel, channels, outputs)).astype(np.float32)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(geometries(), st.sampled_from((1, 2, 3)), st.integers(1, 5), st.sampled_from((1, 2, 8, 10)), st.sampled_from((0.0, 0.5, 1.0)),
       st.integers(0, 2 ** 32 - 1))
def test_equals_the_equation(geometry, groups, channels, outputs, density, seed):
    rng = np.random.default_rng(seed)
    activation = activations(rng, (2, *geometry.size, groups * channels), density)
    weights = random_weights(rng, geometry, channels, groups * outputs)
    expected = 0.25 + naive.conv(activation, weights, groups, *geometry.arguments, geometry.out)
    np.testing.assert_allclose(run(activation, weights, groups, geometry, 0.25), expected, rtol=1e-5, atol=1e-5)


SMALL = Geometry((4, 3), (3, 2), (2, 1), (1, 2), (1, 1), (0, 1))


@pytest.mark.parametrize("groups", (1, 2))
@pytest.mark.parametrize("outputs", OUTPUTS)
def test_any_number_of_outputs(outputs, groups):
    rng = np.random.default_rng(outputs)
    activation = activations(rng, (2, *SMALL.size, groups * 3), 0.6)
    weights = random_weights(rng, SMALL, 3, groups * outputs)
    expected = naive.conv(activation, weights, groups, *SMALL.arguments, SMALL.out)
    np.testing.assert_allclose(run(activation, weights, groups, SMALL), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("multiplier", (1, 3))
def test_depthwise(multiplier):
    rng = np.random.default_rng(multiplier)
    activation = activations(rng, (2, *SMALL.size, 9), 0.6)
    weights = random_weights(rng, SMALL, 1, 9 * multiplier)
    expected = naive.conv(activation, weights, 9, *SMALL.arguments, SMALL.out)
    np.testing.assert_allclose(run(activation, weights, 9, SMALL), expected, rtol=1e-5, atol=1e-5)


def test_one_dimension_is_an_image_of_one_row():
    rng = np.random.default_rng(1)
    line = Geometry((1, 12), (1, 5), (1, 2), (1, 2), (0, 4), (0, 3))
    activation, weights = activations(rng, (2, 1, 12, 4), 0.5), random_weights(rng, line, 4, 6)
    inputs = np.pad(activation[:, 0].astype(np.float64), ((0, 0), (4, 3), (0, 0)))
    expected = np.stack([np.einsum("nkc,kco->no", inputs[:, x * 2:x * 2 + 9:2], weights[0]) for x in range(line.out[1])], axis=1)
    np.testing.assert_allclose(run(activation, weights, 1, line)[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_silent_inputs_and_padded_taps_add_nothing():
    weights = np.full((3, 2, 3, 10), np.inf, np.float32)
    assert (run(np.zeros((2, *SMALL.size, 3), np.float32), weights, 1, SMALL, 0.5) == 0.5).all()


@pytest.mark.parametrize("groups, outputs", ((1, 65), (2, 12)))
def test_no_bit_depends_on_batch_or_threads(groups, outputs):
    rng = np.random.default_rng(5)
    weights = random_weights(rng, SMALL, 4, outputs)
    assert_same_bits(lambda x: run(x, weights, groups, SMALL), activations(rng, (5, *SMALL.size, 4 * groups), 0.7))
