"""ConvTranspose over its attributes, and the weight sums of its neurons, which differ by position."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.models import Chain, assert_equals_onnx_runtime, assert_layers_equal_onnx_runtime, converted, exact
from ttfs_convert.conversion.refusals import ConstraintError
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.engines import simulate

QUICK = settings(derandomize=True, deadline=None, max_examples=30)
BEFORE = {
    "ReLU": lambda chain: chain.add("Relu"),
    "shifted": lambda chain: chain.add("Clip", np.float32(-1), np.float32(0.5)),
    "normed": lambda chain: chain.add("Relu").batch_norm(-1, 1),
    "potential": lambda chain: chain,
    "average": lambda chain: average(chain),
}


def average(chain):
    axes = len(chain.shape) - 1
    return chain.add("Relu").add("AveragePool", kernel_shape=[2] * axes, pads=[1, 0] * axes)


def signed(chain):
    return chain.add("Clip", np.float32(-1.5), np.float32(1))


def features(shape, channels):
    axes = len(shape) - 1
    return Chain(shape).conv(channels, (3,) * axes, pads=[1] * 2 * axes, total=0.0)


def transposed(chain, outputs, kernel, group=1, bias=True, total=None, **attributes):
    """A transposed convolution with random weights; `total` is the sum of an output channel's weights over its inputs at each tap."""
    inputs = chain.width(1)
    weights = chain.rng.normal(0, 0.5, (inputs, outputs // group, *kernel))
    if total is not None:
        grouped = weights.reshape(group, inputs // group, -1)
        weights = (grouped - grouped.mean(1, keepdims=True) + total / (inputs // group)).reshape(weights.shape)
    biases = [chain.rng.normal(0, 0.1, outputs).astype(np.float32)] if bias else []
    return chain.add("ConvTranspose", weights.astype(np.float32), *biases, group=group, **attributes)


@st.composite
def geometries(draw):
    """(input shape, channels, outputs, kernel, attributes) of a 1-D or 2-D transposed convolution."""
    axes = draw(st.integers(1, 2))

    def each(low, high, count=axes):
        return draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    kernel, strides, dilations, size = each(1, 4), each(1, 3), each(1, 2), each(3, 5)
    group = draw(st.sampled_from((1, 1, 2)))
    attributes = {"strides": strides, "dilations": dilations, "group": group, "bias": draw(st.booleans())}
    reach = [dilation * (k - 1) for dilation, k in zip(dilations, kernel)]
    kind = draw(st.sampled_from(("none", "pads", "output_padding", "output_shape", "SAME_UPPER", "SAME_LOWER", "VALID")))
    full = [stride * (n - 1) + r + 1 for stride, n, r in zip(strides, size, reach)]
    if kind in ("pads", "output_padding"):
        attributes["pads"] = [min(pad, r) for pad, r in zip(each(0, 2, 2 * axes), reach * 2)]
    if kind == "output_padding":
        attributes["output_padding"] = [min(extra, stride - 1) for extra, stride in zip(each(0, 2), strides)]
        assume(any(attributes["output_padding"]))
    elif kind == "output_shape":
        attributes["output_shape"] = [f - min(less, r) for f, less, r in zip(full, each(0, 3), reach)]
        attributes["auto_pad"] = draw(st.sampled_from(("NOTSET", "SAME_UPPER", "SAME_LOWER")))
    elif kind in ("SAME_UPPER", "SAME_LOWER"):
        assume(all(r + 1 >= stride for r, stride in zip(reach, strides)))
        attributes["auto_pad"] = kind
    elif kind == "VALID":
        attributes["auto_pad"] = kind
    cut = [sum(attributes["pads"][axis::axes]) if "pads" in attributes else 0 for axis in range(axes)]
    assume(all(f > c for f, c in zip(full, cut)))
    return (2, *size), draw(st.sampled_from((2, 4))), draw(st.sampled_from((2, 4))), tuple(kernel), attributes


@QUICK
@given(geometries(), st.sampled_from(sorted(BEFORE)))
def test_attributes(geometry, before):
    shape, channels, outputs, kernel, attributes = geometry
    chain = signed(transposed(BEFORE[before](features(shape, channels)), outputs, kernel, **attributes)).readout()
    exact(chain.model(), chain.images())


@pytest.mark.parametrize("shape, group", (((2, 5), 2), ((2, 4, 3), 2), ((2, 4, 3), 3)))
@pytest.mark.parametrize("kind", ("normed", "potential"))
def test_groups_of_several_channels(shape, group, kind):
    chain = BEFORE[kind](features(shape, 2 * group))
    transposed(chain, 2 * group, (3, 2)[: len(shape) - 1], group=group, strides=[2, 1][: len(shape) - 1])
    exact(signed(chain).readout().model(), chain.images())


@pytest.mark.parametrize("auto_pad", ("SAME_UPPER", "SAME_LOWER"))
@pytest.mark.parametrize("kernel, stride, dilation", ((2, 1, 1), (3, 2, 1), (4, 3, 1), (2, 2, 2)))
@pytest.mark.parametrize("output_shape", (False, True))
def test_odd_padding_goes_where_onnx_runtime_puts_it(auto_pad, kernel, stride, dilation, output_shape):
    chain = features((2, 6), 3).add("Relu")
    attributes = {"output_shape": [stride * 6 + 1 - dilation * (kernel - 1) % 2]} if output_shape else {}
    transposed(chain, 2, (kernel,), auto_pad=auto_pad, strides=[stride], dilations=[dilation], **attributes)
    exact(signed(chain).readout().model(), chain.images())


def test_kernel_2_and_stride_2_as_a_u_net_has_it():
    """Windows do not overlap, so that every neuron has one position's inputs: strict mode takes it."""
    chain = transposed(Chain((3, 6, 5)).conv(4).relu1(), 3, (2, 2), strides=[2, 2], total=1.0).relu1()
    chain.conv(4, (2, 2)).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())
    assert assert_layers_equal_onnx_runtime(chain.model(), chain.images()) == 3


@pytest.mark.parametrize("kernel, stride", (((3, 3), 2), ((2, 2), 3)))
def test_strict_mode_refuses_what_overlaps_or_leaves_gaps(kernel, stride):
    chain = transposed(Chain((3, 6, 5)).conv(4).relu1(), 3, kernel, strides=[stride, stride], total=1.0).relu1().readout()
    with pytest.raises(ConstraintError, match="weight sum is not 1"):
        converted(chain.model())


@pytest.mark.parametrize(
    "attributes",
    (
        {"strides": [2, 2]},
        {"strides": [2, 1], "pads": [1, 0, 1, 2]},
        {"dilations": [2, 1]},
        {"group": 2},
        {"strides": [3, 3]},
        {"strides": [2, 2], "output_padding": [1, 1]},
    ),
)
@pytest.mark.parametrize("slope", ("fan_in", "reference"))
def test_weight_sums_are_those_of_each_output(attributes, slope):
    """Against ONNX Runtime's answer to ones, which has no padding to count."""
    chain = transposed(Chain((4, 5, 4)), 2, (3, 3), bias=False, **attributes)
    hidden = chain.at
    model = chain.relu1().readout().model()
    network = converted(model, mode="unchecked") if slope == "fan_in" else converted(model, mode="exact", slope=slope)
    layer = network.layers[1]
    sums = np.broadcast_to(layer.weight_sums, layer.shape)
    expected = Reference(model, [hidden])(np.ones((1, 4, 5, 4), np.float32))[hidden][0]
    np.testing.assert_allclose(np.moveaxis(sums, -1, 0), expected, rtol=0, atol=2e-6)
    assert np.ptp(sums[..., 0]) > 1e-3, "the sums do not differ by position"


@pytest.mark.parametrize("slope", ("fan_in", "reference", "gated"))
def test_weight_sums_between_two_ranges(slope):
    """A weight is that of the original times the width of the range that it reads, over that of the range that it feeds."""
    factors = np.array([1, -2, 0.5], np.float32).reshape(3, 1, 1)
    weights = np.random.default_rng(0).normal(0, 0.5, (3, 2, 3, 2)).astype(np.float32)
    chain = Chain((2, 6, 5)).conv(3).add("Clip", np.float32(-1), np.float32(0.5)).add("Mul", factors)
    model = chain.add("ConvTranspose", weights, strides=[2, 1]).add("Clip", np.float32(0.25), np.float32(0.75)).readout().model()
    layer = converted(model, **({"mode": "unchecked"} if slope == "fan_in" else {"mode": "exact", "slope": slope})).layers[2]
    (expected,) = Reference(Chain((3, 4, 3)).add("ConvTranspose", weights, strides=[2, 1]).model())(
        np.full((1, 3, 4, 3), 1.5, np.float32) * factors
    ).values()
    sums = np.moveaxis(np.broadcast_to(layer.weight_sums, layer.shape), -1, 0)
    np.testing.assert_allclose(sums, expected[0] / 0.5, rtol=0, atol=1e-5)


def test_the_network_of_one_transposed_convolution_as_the_readout():
    chain = transposed(Chain((3, 4, 4)).conv(4).add("Relu"), 2, (3, 3), strides=[2, 2], pads=[1, 1, 0, 2])
    network = exact(chain.model(), chain.images())
    assert network.layers[-1].onnx_shape == (2, 4, 2)


def test_of_the_input():
    chain = signed(transposed(Chain((3, 4, 4)), 4, (3, 3), strides=[2, 2])).readout()
    network = exact(chain.model(), chain.images(3, -1, 2), input_range=(-1, 2))
    assert network.layers[0].channels_first and [layer.kind for layer in network.layers] == ["input", "spiking", "readout"]
    assert exact(chain.model(), chain.images(3, -1, 2), input_range=None).layers[0].coding == "direct"


def test_u_net_with_skips():
    chain = Chain((1, 8, 12)).conv(4, pads=[1] * 4).add("Relu")
    skips = [chain.at]
    chain.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).conv(6, pads=[1] * 4).batch_norm(-1).add("Relu")
    skips.append(chain.at)
    chain.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).conv(8, pads=[1] * 4).add("Relu")
    for outputs in (6, 4):
        transposed(chain, outputs, (2, 2), strides=[2, 2]).add("Concat", skips.pop(), axis=1).conv(outputs, pads=[1] * 4).add("Relu")
    network = exact(chain.conv(2, (1, 1)).model(), chain.images())
    assert sum(layer.kind == "concat" for layer in network.layers) == 2 and network.layers[-1].onnx_shape == (2, 8, 12)


def test_dcgan_generator():
    chain = Chain((6,)).gemm(8 * 4).add("Reshape", np.array([0, 8, 2, 2])).batch_norm().add("Relu")
    transposed(chain, 6, (4, 4), strides=[2, 2], pads=[1] * 4).batch_norm().add("Relu")
    transposed(chain, 3, (4, 4), strides=[2, 2], pads=[1] * 4).add("Tanh")
    exact(chain.model(), chain.images(5))


@pytest.mark.parametrize(
    "between",
    (
        lambda chain: chain.add("Mul", np.array([1, -2, 0.5], np.float32).reshape(3, 1, 1)),
        lambda chain: chain.batch_norm(-1),
        lambda chain: chain.add("MaxPool", kernel_shape=[2, 2]),
        lambda chain: chain.add("AveragePool", kernel_shape=[2, 2]),
        lambda chain: chain.add("Add", np.linspace(0, 1, 5, dtype=np.float32)[:, None]),
        lambda chain: chain.add("Transpose", perm=[0, 1, 3, 2]),
    ),
)
def test_linear_steps_behind_it(between):
    chain = between(transposed(Chain((2, 2, 2)).conv(4, (1, 1)).add("Relu"), 3, (3, 3), strides=[2, 2]))
    exact(signed(chain).conv(2, (2, 2)).add("Relu").readout().model(), chain.images())


def test_residual_sum_of_two():
    chain = Chain((2, 4, 4)).conv(4, (1, 1)).add("Relu")
    start = chain.at
    first, chain.at = transposed(chain, 3, (3, 3), strides=[2, 2]).at, start
    transposed(chain, 3, (1, 1), strides=[2, 2], output_padding=[1, 1], pads=[0] * 4)
    transposed(chain, 3, (2, 2)).add("Add", first)
    exact(signed(chain).readout().model(), chain.images())


def test_a_channels_last_graph():
    chain = Chain((4, 4, 2)).add("Transpose", perm=[0, 3, 1, 2]).conv(3, (2, 2)).add("Relu")
    transposed(chain, 3, (2, 2), strides=[2, 2]).add("Transpose", perm=[0, 2, 3, 1])
    exact(signed(chain).readout().model(), chain.images())


@pytest.mark.parametrize("steps", (8, 50))
@pytest.mark.parametrize("slope", ("gated", "reference"))
def test_on_a_grid(steps, slope):
    """From inputs on the grid, the error is that of rounding the spike time."""
    chain = signed(transposed(Chain((3, 6, 5)), 3, (3, 3), strides=[2, 2])).readout()
    network = converted(chain.model(), mode="exact", steps=steps, slope=slope)
    hidden = network.layers[1]
    x = np.round(chain.images() * steps).astype(np.float32) / np.float32(steps)
    found = np.moveaxis(simulate(network, x).activations(hidden.name), -1, 1)
    expected = (Reference(chain.model(), [hidden.tensor])(x)[hidden.tensor] + 1.5) / 2.5
    assert 0.3 / steps < np.abs(found - expected).max() <= 0.5 / steps + 1e-5


@pytest.mark.parametrize("attributes", ({"pads": [3, 0, 0, 0]}, {"pads": [0, 0, 0, 3], "strides": [2, 2]}))
def test_pads_beyond_the_kernel_are_refused(attributes):
    chain = transposed(Chain((3, 4, 4)).conv(4).add("Relu"), 2, (3, 3), **attributes).add("Relu").readout()
    with pytest.raises(UnsupportedModel, match="beyond its kernel") as refusal:
        converted(chain.model(), mode="unchecked")
    assert refusal.value.nodes[0][1] == "ConvTranspose"


def test_three_axes_are_refused():
    chain = Chain((2, 16)).conv(2, (1,)).add("Relu").add("Reshape", np.array([0, 2, 2, 2, 4]))
    transposed(chain, 2, (2, 2, 2)).add("Relu").readout()
    with pytest.raises(UnsupportedModel, match="3-D transposed convolution"):
        converted(chain.model(), mode="unchecked")


def test_weights_that_the_network_computes_are_refused():
    """A model for one image: with more, the weights' first axis would not be the channels'."""
    chain = Chain((1, 4, 4)).conv(1, (2, 2)).add("Relu")
    weights, chain.at = chain.at, "x"
    chain.add("ConvTranspose", weights).add("Relu").readout()
    with pytest.raises(UnsupportedModel, match="computed by the network"):
        converted(chain.model(), mode="unchecked")
