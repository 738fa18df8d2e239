from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import naive
from tests.kernels.cases import IMAGES, OUTPUTS, Geometry, activations, assert_same_bits, geometries, with_threads
from ttfs_convert.kernels.blocking import TILE_PIXELS, in_long_rows, pack, slides, tiling
from ttfs_convert.kernels.convolve import NO_TIMES, Convolution, conv
from ttfs_convert.kernels.threshold import fire, ramp

PATHS = pytest.mark.parametrize("dense", (False, True))


def run(activation, weights, groups, geometry, dense, start=0.0, sliding=False):
    potential = np.full((len(activation), *geometry.out, weights.shape[3]), start, np.float32)
    conv(activation, pack(weights, groups, sliding), *geometry.arguments, potential, dense)
    return potential


def random_weights(rng, geometry, channels, outputs):
    return rng.normal(size=(*geometry.kernel, channels, outputs)).astype(np.float32)


@settings(derandomize=True, deadline=None, max_examples=80)
@given(
    geometries(),
    st.sampled_from((1, 2, 3)),
    st.sampled_from((1, 2, 5, 8, 19)),
    st.sampled_from((1, 2, 8, 10, 40)),
    st.sampled_from((0.0, 0.5, 1.0)),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_equals_the_equation(geometry, groups, channels, outputs, density, dense, sliding, seed):
    rng = np.random.default_rng(seed)
    activation = activations(rng, (2, *geometry.size, groups * channels), density)
    weights = random_weights(rng, geometry, channels, groups * outputs)
    expected = 0.25 + naive.conv(activation, weights, groups, *geometry.arguments, geometry.out)
    np.testing.assert_allclose(run(activation, weights, groups, geometry, dense, 0.25, sliding), expected, rtol=1e-5, atol=1e-5)


PIXEL = Geometry((1, 1), (1, 1), (1, 1), (1, 1), (0, 0), (0, 0))
SMALL = Geometry((4, 3), (3, 2), (2, 1), (1, 2), (1, 1), (0, 1))


@PATHS
@pytest.mark.parametrize("groups", (1, 2))
@pytest.mark.parametrize("outputs", (*OUTPUTS, *range(8, 72, 8)))
def test_any_number_of_outputs(outputs, groups, dense):
    rng = np.random.default_rng(outputs)
    activation = activations(rng, (2, *SMALL.size, groups * 3), 0.6)
    weights = random_weights(rng, SMALL, 3, groups * outputs)
    expected = naive.conv(activation, weights, groups, *SMALL.arguments, SMALL.out)
    np.testing.assert_allclose(run(activation, weights, groups, SMALL, dense), expected, rtol=1e-5, atol=1e-5)


@PATHS
@pytest.mark.parametrize("channels, multiplier", ((9, 1), (9, 3), (41, 1)))
def test_depthwise(channels, multiplier, dense):
    rng = np.random.default_rng(multiplier)
    activation = activations(rng, (2, *SMALL.size, channels), 0.6)
    weights = random_weights(rng, SMALL, 1, channels * multiplier)
    expected = naive.conv(activation, weights, channels, *SMALL.arguments, SMALL.out)
    np.testing.assert_allclose(run(activation, weights, channels, SMALL, dense), expected, rtol=1e-5, atol=1e-5)


@PATHS
def test_one_dimension_is_an_image_of_one_row(dense):
    rng = np.random.default_rng(1)
    line = Geometry((1, 12), (1, 5), (1, 2), (1, 2), (0, 4), (0, 3))
    activation, weights = activations(rng, (2, 1, 12, 4), 0.5), random_weights(rng, line, 4, 6)
    inputs = np.pad(activation[:, 0].astype(np.float64), ((0, 0), (4, 3), (0, 0)))
    expected = np.stack([np.einsum("nkc,kco->no", inputs[:, x * 2 : x * 2 + 9 : 2], weights[0]) for x in range(line.out[1])], axis=1)
    np.testing.assert_allclose(run(activation, weights, 1, line, dense)[:, 0], expected, rtol=1e-5, atol=1e-5)


@PATHS
@pytest.mark.parametrize("stride, dilation", ((1, 1), (1, 7), (2, 3), (2, 2)))
def test_wide_rows_are_cut_into_strips(stride, dilation, dense):
    """Start, spikes of a shortcut, slope: each position has its own."""
    rng, sliding = np.random.default_rng(stride + dilation), slides(3, stride, dilation)
    line = Geometry((1, 3000), (1, 3), (1, stride), (1, dilation), (0, 2), (0, 2 * dilation))
    activation, weights = activations(rng, (2, 1, 3000, 5), 0.5), random_weights(rng, line, 5, 9) / 4
    positions, shape = line.out[1], (2, *line.out, 9)
    cut, _ = tiling(2, *line.out, 1, 1, 1)
    assert cut.columns < positions
    start, slope = (rng.uniform(low, 1, (positions, 9)).astype(np.float32) for low in (-1, 0.5))
    spikes, potential, times, expected = (np.empty(shape, dtype) for dtype in (np.uint8, np.float32, np.uint8, np.uint8))
    spikes[:] = rng.integers(0, 31, shape)
    for out, steps in ((potential, 0), (times, 20)):
        layer = Convolution(pack(weights, 1, sliding), *line.arguments, activation.shape, shape, 0, steps, dense, 30)
        layer(activation, start, out, ramp(slope, 20, 0.5), spikes)
    sums = naive.conv(activation, weights, 1, *line.arguments, line.out) + start + (1 - spikes / 30)
    np.testing.assert_allclose(potential, sums, rtol=1e-5, atol=1e-5)
    fire(potential.reshape(2, -1), slope.ravel(), 20, 0.5, expected.reshape(2, -1))
    np.testing.assert_array_equal(times, expected)


@PATHS
@pytest.mark.parametrize("groups", (1, 9))
def test_strips_of_images(groups, dense):
    rng, wide = np.random.default_rng(groups), Geometry((5, 1100), (3, 3), (2, 1), (1, 2), (1, 2), (1, 2))
    activation, weights = activations(rng, (1, *wide.size, 9), 0.5), random_weights(rng, wide, 9 // groups, 9)
    assert tiling(1, *wide.out, 1, 1, 1)[0].columns < wide.out[1]
    expected = naive.conv(activation, weights, groups, *wide.arguments, wide.out)
    np.testing.assert_allclose(run(activation, weights, groups, wide, dense), expected, rtol=1e-5, atol=1e-5)


SLIDING = (
    Geometry((7, 9), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1)),
    Geometry((9, 11), (2, 3), (2, 1), (2, 1), (0, 0), (1, 0)),
    Geometry((1, 14), (1, 3), (1, 2), (1, 2), (0, 1), (0, 1)),
)


@pytest.mark.parametrize("geometry", SLIDING)
@pytest.mark.parametrize("outputs", (1, 8, 10, 24, 32, 48, 64, 130))
def test_sliding_along_a_row(geometry, outputs):
    rng = np.random.default_rng(outputs)
    activation, weights = activations(rng, (IMAGES, *geometry.size, 70), 0.5), random_weights(rng, geometry, 70, outputs)
    expected = naive.conv(activation, weights, 1, *geometry.arguments, geometry.out)
    for sliding in (False, True):
        events = run(activation, weights, 1, geometry, False, sliding=sliding)
        np.testing.assert_allclose(events, expected, rtol=1e-5, atol=2e-5)
        assert events.tobytes() == run(activation, weights, 1, geometry, True, sliding=sliding).tobytes()


def test_silent_inputs_and_padded_taps_add_nothing():
    weights = np.full((3, 2, 3, 10), np.inf, np.float32)
    assert (run(np.zeros((2, *SMALL.size, 3), np.float32), weights, 1, SMALL, False, 0.5) == 0.5).all()


@pytest.mark.parametrize("outputs", (1, 10, 24, 32, 64, 130))
def test_leaving_out_silent_inputs_changes_no_bit(outputs):
    rng = np.random.default_rng(outputs)
    weights, activation = random_weights(rng, SMALL, 70, outputs), activations(rng, (3, *SMALL.size, 70), 0.4)
    assert run(activation, weights, 1, SMALL, False).tobytes() == run(activation, weights, 1, SMALL, True).tobytes()


@PATHS
@pytest.mark.parametrize("outputs, positions", ((10, 1), (72, 1), (24, 6)))
@pytest.mark.parametrize("analog", (False, True))
@pytest.mark.parametrize("shortcut", (False, True))
def test_spike_times_are_those_of_the_potentials(dense, outputs, positions, analog, shortcut):
    """A positive, a zero and a negative slope, and rows of start and slope for all positions or for each."""
    rng = np.random.default_rng(outputs)
    assert np.prod(SMALL.out) == 6
    inputs = rng.integers(0, 51, (3, *SMALL.size, 11)).astype(np.uint8)
    weights = random_weights(rng, SMALL, 11, outputs) / 4
    start = rng.normal(0.3, 0.2, (positions, outputs)).astype(np.float32)
    slope = rng.choice(np.array([1, 0.3, 0, -1], np.float32), (positions, outputs))
    times, expected = np.empty((3, *SMALL.out, outputs), np.uint8), np.empty((18 // positions, positions * outputs), np.uint8)
    activation = ((50 - inputs.astype(np.float32)) / 50).astype(np.float32)
    spikes = rng.integers(0, 31, times.shape).astype(np.uint8) if shortcut else NO_TIMES
    given, potential = activation if analog else inputs, np.empty(times.shape, np.float32)
    for out, steps in ((times, 20), (potential, 0)):
        layer = Convolution(pack(weights), *SMALL.arguments, given.shape, out.shape, 0 if analog else 50, steps, dense, 30 if shortcut else 0)
        layer(given, start, out, ramp(slope, 20, 0.5), spikes)
    fire(potential.reshape(expected.shape), slope.ravel(), 20, 0.5, expected)
    np.testing.assert_array_equal(times.ravel(), expected.ravel())
    sums = np.resize(start, times.shape) + (1 - spikes / np.float32(30) if shortcut else 0)
    conv(activation, pack(weights), *SMALL.arguments, sums, dense)
    np.testing.assert_allclose(potential, sums, rtol=0, atol=1e-5)


@pytest.mark.parametrize("outputs", (65, 200, 1036))
@pytest.mark.parametrize("blocks", (1, 2, 16))
@pytest.mark.parametrize("sliding", (False, True))
def test_long_rows_of_weights_give_the_same_bits(outputs, blocks, sliding):
    rng, small = np.random.default_rng(outputs), Geometry((2, 2), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1))
    activation, weights = activations(rng, (3, 2, 2, 70), 0.5), random_weights(rng, small, 70, outputs)
    packed = pack(weights, sliding=sliding)
    expected = 0.5 + naive.conv(activation, weights, 1, *small.arguments, small.out)
    together = np.full(expected.shape, 0.5, np.float32)
    conv(activation, packed, *small.arguments, together)
    np.testing.assert_allclose(together, expected, rtol=1e-5, atol=2e-5)
    alone = np.full((1, *expected.shape[1:]), 0.5, np.float32)
    for threads in (1, 2):
        for image in range(3):
            alone[:] = 0.5
            arguments = (activation[image : image + 1], in_long_rows(packed, blocks), *small.arguments, alone)
            with_threads(threads, partial(conv, *arguments))
            assert alone[0].tobytes() == together[image].tobytes()


@PATHS
@pytest.mark.parametrize("groups, outputs", ((1, 65), (2, 12), (4, 4)))
def test_no_bit_depends_on_batch_or_threads(groups, outputs, dense):
    rng = np.random.default_rng(5)
    channels = 1 if groups == outputs else 4
    weights = random_weights(rng, SMALL, channels, outputs)
    assert_same_bits(lambda x: run(x, weights, groups, SMALL, dense), activations(rng, (5, *SMALL.size, channels * groups), 0.7))


def run_dense(activation, weights, start=0.0):
    """A fully connected layer: a convolution of images of one pixel."""
    return run(activation[:, None, None], weights[None, None], 1, PIXEL, False, start)[:, 0, 0]


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    st.sampled_from((1, 3, 17)),
    st.sampled_from((1, 7, 95, 96, 97, 250)),
    st.sampled_from(OUTPUTS),
    st.sampled_from((0.0, 0.1, 1.0)),
    st.integers(0, 2**32 - 1),
)
def test_a_dense_layer_equals_the_equation(images, inputs, outputs, density, seed):
    rng = np.random.default_rng(seed)
    activation = activations(rng, (images, inputs), density)
    weights = rng.normal(size=(inputs, outputs)).astype(np.float32)
    np.testing.assert_allclose(run_dense(activation, weights, 0.25), 0.25 + naive.dense(activation, weights), rtol=1e-5, atol=1e-4)


def test_an_image_without_spikes_keeps_its_potential_in_a_dense_layer():
    activation = np.ones((3, 300), np.float32)
    activation[1] = 0
    potential = run_dense(activation, np.ones((300, 10), np.float32), 0.5)
    assert (potential[1] == 0.5).all() and (potential[[0, 2]] == 300.5).all()


@pytest.mark.parametrize("inputs, outputs", ((300, 65), (20, 10)))
def test_no_bit_of_a_dense_layer_depends_on_batch_or_threads(inputs, outputs):
    rng = np.random.default_rng(6)
    weights = rng.normal(size=(inputs, outputs)).astype(np.float32)
    assert_same_bits(lambda x: run_dense(x, weights), activations(rng, (TILE_PIXELS + 3, inputs), 0.5))
