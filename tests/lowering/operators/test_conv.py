import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import naive
from tests.models import Chain, assert_equals_onnx_runtime, assert_layers_equal_onnx_runtime, converted
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.engines import simulate

QUICK = settings(derandomize=True, deadline=None, max_examples=40)


def axes(rank, low, high):
    return st.lists(st.integers(low, high), min_size=rank, max_size=rank)


@st.composite
def convolutions(draw):
    """(input shape, outputs, kernel, groups, bias, attributes) of a 1-D or 2-D convolution."""
    rank, groups = draw(st.integers(1, 2)), draw(st.sampled_from((1, 2, 4)))
    kernel, attributes = draw(axes(rank, 1, 3)), {"strides": draw(axes(rank, 1, 3))}
    padding = draw(st.sampled_from(("none", "pads", "SAME_UPPER", "SAME_LOWER", "VALID")))
    if padding == "pads":
        attributes["pads"] = draw(axes(2 * rank, 0, 2))
    elif padding != "none":
        attributes["auto_pad"] = padding
    if not padding.startswith("SAME"):
        attributes["dilations"] = draw(axes(rank, 1, 2))
    shape = (4, *draw(axes(rank, 5, 8)))
    return shape, draw(st.sampled_from((4, 8))), tuple(kernel), groups, draw(st.booleans()), attributes


@QUICK
@given(convolutions(), st.integers(0, 1000))
def test_any_attributes(convolution, seed):
    shape, outputs, kernel, groups, bias, attributes = convolution
    chain = Chain(shape, seed).conv(outputs, kernel, bias=bias, groups=groups, **attributes).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


@pytest.mark.parametrize(
    "attributes", ({"pads": [0, 1, 2, 0]}, {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, {"auto_pad": "SAME_LOWER", "strides": [2, 2]})
)
@pytest.mark.parametrize("kernel", ((3, 3), (2, 3), (4, 2)))
def test_every_neuron_of_two_layers(kernel, attributes):
    chain = Chain((3, 9, 8)).conv(5, kernel, **attributes).relu1().conv(6, (3, 1), pads=[1, 0, 1, 0], strides=[1, 2]).relu1().readout()
    assert assert_layers_equal_onnx_runtime(chain.model(), chain.images()) == 2


def test_depthwise_and_pointwise():
    chain = Chain((3, 8, 8)).conv(6, pads=[1] * 4).relu1().conv(6, groups=6, pads=[1] * 4).relu1().conv(9, (1, 1)).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_readout_may_be_a_convolution_with_any_weight_sum():
    chain = Chain((3, 8, 8)).conv(4).relu1().conv(2, total=-3.0)
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    np.testing.assert_allclose(network.readouts[0].weight_sums, -3, atol=1e-5)


def test_padded_taps_of_unity_weights_convert_exactly_at_every_border_pixel():
    chain = Chain((2, 5, 6)).conv(4, (5, 3), pads=[2, 1, 2, 1]).relu1()
    hidden = chain.at
    model = chain.readout().model()
    x = chain.images()
    network = converted(model)
    found = np.moveaxis(simulate(network, x).activations(network.layers[1].name), -1, 1)
    expected = Reference(model, [hidden])(x)[hidden]
    assert not network.violations and found.shape == expected.shape == (3, 4, 5, 6)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


def neuron(x, weights, bias, pads, padded_taps_ramp):
    """a = 1 - tau of every neuron, from V0 and S, without the package: x (n, h, w, c), weights (out, in, ky, kx)."""
    taps = weights.transpose(2, 3, 1, 0).astype(np.float64)
    out = tuple(size + 2 * pad - k + 1 for size, k, pad in zip(x.shape[1:3], taps.shape, pads))
    geometry = (1, taps.shape[:2], (1, 1), (1, 1), pads, out)
    start = naive.conv(x, taps, *geometry) + bias
    total = taps.sum((0, 1, 2)) * np.ones(out + (1,))
    slope = total if padded_taps_ramp else naive.conv(np.ones((1, *x.shape[1:])), taps, *geometry)[0]
    times = np.vectorize(naive.crossing_time)(start, np.broadcast_to(slope, start.shape))
    return 1 - times


def test_slope_is_the_sum_of_all_weights_padded_taps_included():
    rng = np.random.default_rng(3)
    weights = np.round(rng.normal(0.05, 0.5, (6, 2, 3, 3)) * 16) / 16
    weights[4:, 0, 0, 0] -= weights[4:].sum((1, 2, 3)) - (0, -1.5)  # a slope of 0 and one below
    weights[:4, 0, 0, 0] -= weights[:4].sum((1, 2, 3)) - (0.5, 0.75, 1.5, 2)
    bias = np.array([0, 0.25, 0, -0.25, 0.5, 1], np.float64)
    chain = Chain((2, 5, 6)).add("Conv", weights.astype(np.float32), bias.astype(np.float32), pads=[1] * 4).relu1().readout()
    x = chain.images(8)
    network = converted(chain.model(), mode="unchecked")
    found = simulate(network, x).activations(network.layers[1].name)
    assert [violation.neurons for violation in network.violations] == [6 * 30]
    np.testing.assert_array_equal(network.layers[1].weight_sums, [0.5, 0.75, 1.5, 2, 0, -1.5])
    channels_last = np.moveaxis(x, 1, -1)
    expected = neuron(channels_last, weights, bias, (1, 1), padded_taps_ramp=True)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert {0.0, 1.0} <= set(found[..., 4].ravel().tolist()) == {0.0, 1.0}
    assert {0.0, 1.0} <= set(found[..., 5].ravel().tolist()) == {0.0, 1.0}
    without = neuron(channels_last, weights, bias, (1, 1), padded_taps_ramp=False)
    wrong = np.abs(found - without).max((0, 3)) > 0.01
    assert not wrong[1:-1, 1:-1].any() and wrong[0].all() and wrong[-1].all() and wrong[:, 0].all() and wrong[:, -1].all()


@pytest.mark.parametrize("pooled", (False, True))
def test_each_group_has_its_own_slopes(pooled):
    weights = np.random.default_rng(4).normal(size=(6, 2, 3, 3)).astype(np.float32)
    chain = Chain((4, 6, 6)).add("Conv", weights, group=2)
    if pooled:
        chain.add("AveragePool", kernel_shape=[2, 2])
    network = converted(chain.relu1().readout().model(), mode="unchecked")
    np.testing.assert_allclose(network.layers[1].weight_sums, weights.sum((1, 2, 3)), rtol=1e-5, atol=1e-6)


def test_discrete_time_follows_the_rounding_rule():
    chain = Chain((2, 5, 6)).conv(4, pads=[1] * 4).relu1().readout()
    x = chain.images()
    for rounding, half in (("nearest", 0.5), ("ceil", 0)):
        network = converted(chain.model(), steps=10, rounding=rounding)
        recording = simulate(network, x)
        layer, kernel = network.layers[1], network.layers[1].connections[0].path[0]
        encoded = naive.encode(np.moveaxis(x, 1, -1).reshape(3, -1), 10, half).reshape(3, 5, 6, 2)
        np.testing.assert_array_equal(recording.spike_times["x"], encoded)
        start = naive.conv(1 - encoded / 10, kernel.weights, 1, (3, 3), (1, 1), (1, 1), (1, 1), (5, 6)) + layer.bias
        expected = naive.fire(start.reshape(-1, 4), layer.weight_sums, 10, half).reshape(start.shape)
        np.testing.assert_array_equal(recording.spike_times[layer.name], expected)


def test_three_dimensions_are_refused():
    chain = Chain((2, 4, 16)).add("Reshape", np.array([0, 2, 4, 4, 4])).conv(2, (2, 2, 2)).relu1().readout()
    with pytest.raises(UnsupportedModel, match="3-D convolution"):
        converted(chain.model())
