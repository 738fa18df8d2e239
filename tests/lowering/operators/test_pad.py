"""Pad: zeros and other constants, reflections, repetitions, and crops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models import Chain, assert_equals_onnx_runtime, converted, exact, newer_runtime, unity
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.simulation.engines import simulate

QUICK = settings(derandomize=True, deadline=None, max_examples=16)
RANGES = {
    "max-pooled": lambda chain: chain.add("MaxPool", kernel_shape=[3] * axes_of(chain), pads=[1] * 2 * axes_of(chain)),
    "ReLU": lambda chain: chain.add("Relu"),
    "shifted": lambda chain: chain.add("Clip", np.float32(-1), np.float32(0.5)),
    "above 0": lambda chain: chain.add("Clip", np.float32(0.25), np.float32(2)),
    "below 0": lambda chain: chain.add("Relu").add("Neg"),
    "normed": lambda chain: chain.add("Relu").batch_norm(-1, 1),
    "potential": lambda chain: chain,
}


def signed(chain):
    """An activation that lets negative values through, so that no range makes the output vanish."""
    return chain.add("Clip", np.float32(-1.5), np.float32(1))


def axes_of(chain):
    return len(chain.shape) - 1


READERS = {
    "conv": lambda chain: signed(chain.conv(3, (3,) * axes_of(chain), total=0.0)),
    "activation": lambda chain: signed(chain),
    "max": lambda chain: signed(chain.add("MaxPool", kernel_shape=[2] * axes_of(chain))),
    "average": lambda chain: signed(chain.add("AveragePool", kernel_shape=[2] * axes_of(chain)).conv(2, (1,) * axes_of(chain))),
    "gemm": lambda chain: signed(chain.add("Flatten").gemm(5)),
    "again": lambda chain: signed(pad(chain, [1, 0] * axes_of(chain), np.float32(0.75)).conv(3, (2,) * axes_of(chain))),
    "output": lambda chain: chain,
}


def features(shape=(2, 6, 5)):
    """Values behind a convolution, from about -3 to 3."""
    return Chain(shape).conv(3, (3,) * (len(shape) - 1), pads=[1] * 2 * (len(shape) - 1), total=0.0).add("Mul", np.float32(2))


def pad(chain, positions, *constant, **attributes):
    """positions: before, then after, per spatial axis."""
    axes = len(positions) // 2
    return chain.add("Pad", np.array([0, 0, *positions[:axes], 0, 0, *positions[axes:]]), *constant, **attributes)


def number_of(network, kind):
    return sum(layer.kind == kind for layer in network.layers)


@st.composite
def padded(draw, low=-2):
    """(input shape, positions) of 1-D and 2-D pads."""
    axes = draw(st.integers(1, 2))
    positions = draw(st.lists(st.integers(low, 2), min_size=2 * axes, max_size=2 * axes).filter(any))
    return (2, 7, 7)[: axes + 1], positions


@newer_runtime  # it moves a pad into a pool that it is too wide for
@QUICK
@given(padded(), st.sampled_from(sorted(RANGES)), st.sampled_from(sorted(READERS)), st.sampled_from((None, 0.0, 0.3, -2.0, 5.0)))
def test_constants(geometry, values, reader, constant):
    shape, positions = geometry
    chain = pad(RANGES[values](features(shape)), positions, *(() if constant is None else (np.float32(constant),)))
    READERS[reader](chain)
    exact((chain if reader == "output" else chain.readout()).model(), chain.images(4))


@QUICK
@given(padded(), st.sampled_from(sorted(RANGES)), st.sampled_from(sorted(READERS)), st.sampled_from(("reflect", "edge", "wrap")))
def test_what_is_there_already(geometry, values, reader, mode):
    shape, positions = geometry
    chain = pad(RANGES[values](features(shape)), positions, mode=mode)
    build_behind(chain, reader, 19)
    exact(chain.model(opset=19), chain.images(4))


def build_behind(chain, reader, opset):
    """`reader` and the readout; `Chain.width` knows opset 17 only."""
    chain.width = lambda axis: chain.model(opset=opset).graph.output[0].type.tensor_type.shape.dim[axis].dim_value
    READERS[reader](chain)
    return chain if reader == "output" else chain.readout()


@pytest.mark.parametrize("axes, pads", (([2], [1, 2]), ([3], [0, 2]), ([-1, 2], [1, 2, 3, 0]), ([-2], [-1, 2]), ([3, 2, 1], [1, 2, 0, 0, 1, 0])))
@pytest.mark.parametrize("mode", ("constant", "edge"))
def test_axes_as_an_input(axes, pads, mode):
    constant = np.float32(0.5) if mode == "constant" else None
    chain = features().add("Relu").add("Pad", np.array(pads), constant, np.array(axes), mode=mode)
    build_behind(chain, "conv", 18)
    exact(chain.model(opset=18), chain.images())


@pytest.mark.parametrize("opset", (7, 10))
@pytest.mark.parametrize("attributes", ({"value": 0.0}, {"value": 0.75}, {}, {"mode": "reflect"}, {"mode": "edge"}))
def test_pads_as_an_attribute(opset, attributes):
    """Until opset 10."""
    chain = features().add("Relu").add("Pad", pads=[0, 0, 1, 2, 0, 0, 0, 1], **attributes)
    chain.add("Conv", chain.rng.normal(0, 0.5, (4, 3, 3, 3)).astype(np.float32)).add("Relu")
    exact(chain.model(opset=opset), chain.images())


@pytest.mark.parametrize("values, constant", (("ReLU", 0.0), ("shifted", 0.5), ("normed", 0.0), ("potential", 0.5), ("max-pooled", 0.5)))
def test_beside_a_skip_and_in_a_sum(values, constant):
    chain = RANGES[values](features())
    skip = chain.at
    chain.conv(3, (4, 3), total=0.0).add("Relu")
    small = pad(chain, [1, 1, 2, 1], np.float32(constant)).at
    chain.add("Add", skip).add("Relu")
    total, chain.at = chain.at, small
    exact(chain.add("Concat", total, skip, axis=1).conv(4).add("Relu").readout().model(), chain.images())


def test_zeros_in_front_of_a_convolution_are_its_padding():
    chain = pad(features().add("Relu"), [1, 2, 0, 1]).conv(4).add("Relu").readout()
    network = exact(chain.model(), chain.images())
    assert [layer.kind for layer in network.layers] == ["input", "spiking", "spiking", "readout"]


@pytest.mark.parametrize("mode", ("reflect", "edge"))
def test_repetitions_are_wiring(mode):
    chain = pad(features().add("Relu"), [1, 2, 0, 1], mode=mode).conv(4).add("Relu").readout()
    network = exact(chain.model(), chain.images())
    assert [layer.kind for layer in network.layers] == ["input", "spiking", "reorder", "spiking", "readout"]


def test_pads_of_nothing_leave_no_trace():
    chain = pad(features().add("Relu"), [0] * 4).conv(4).add("Relu").readout()
    assert len(exact(chain.model(), chain.images()).layers) == 4


@pytest.mark.parametrize("positions", ([-1, -2, 0, -1], [-1, 1, 1, -1]))
def test_negative_pads_crop(positions):
    chain = pad(features().add("Relu"), positions).conv(4, (2, 2)).add("Relu").readout()
    network = exact(chain.model(), chain.images())
    assert number_of(network, "spiking") == 2 and number_of(network, "reorder") == 1


@pytest.mark.parametrize("constant", (0.0, 0.4))
@pytest.mark.parametrize("input_range", ((0, 1), (-1, 2)))
def test_of_the_input(constant, input_range):
    chain = pad(Chain((3, 6, 5)), [1, 2, 0, 1], np.float32(constant)).conv(4).add("Relu").readout()
    exact(chain.model(), chain.images(3, *input_range), input_range=input_range)


def test_of_analog_input():
    chain = pad(Chain((3, 6, 5)), [1, 2, 0, 1], np.float32(0.5)).conv(4).add("Relu").readout()
    network = exact(chain.model(), chain.images(3, -1, 2), input_range=None)
    assert network.layers[0].coding == "direct"


@pytest.mark.parametrize("mode", ("constant", "reflect", "edge"))
def test_strict_mode_with_unity_weights(mode):
    chain = pad(Chain((3, 6, 5)).conv(4).relu1(), [1, 2, 0, 1], mode=mode).conv(4).relu1().readout()
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert number_of(network, "spiking") == 2


@pytest.mark.parametrize("constant", (0.0, 0.5))
def test_strict_mode_in_front_of_a_fully_connected_layer(constant):
    chain = pad(Chain((3, 6, 5)).conv(4).relu1(), [1, 0, 0, 1], np.float32(constant)).add("Flatten").gemm(7).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


@pytest.mark.parametrize("pooling", ("synaptic", "spiking"))
def test_beside_a_pool(pooling):
    chain = Chain((3, 6, 5)).conv(4).add("Relu").add("AveragePool", kernel_shape=[2, 2])
    pad(chain, [1, 1, 1, 1], np.float32(0.5)).conv(4).add("Relu").readout()
    exact(chain.model(), chain.images(), pooling=pooling)


def test_channels_last_graph_as_keras_exports_it():
    chain = Chain((8, 7, 3)).add("Transpose", perm=[0, 3, 1, 2]).conv(4, pads=[1] * 4).add("Relu").add("Transpose", perm=[0, 2, 3, 1])
    chain.add("Pad", np.array([0, 1, 1, 0, 0, 1, 1, 0])).add("Transpose", perm=[0, 3, 1, 2]).conv(4, (2, 2)).add("Relu").readout()
    exact(chain.model(), chain.images())


@st.composite
def padded_anywhere(draw):
    """(input shape without batch, pads of all axes) of any rank; elements are added or cropped along any axes but the batch."""
    shape = (3, 4, 5)[: draw(st.integers(1, 3))] if draw(st.booleans()) else (6,)
    before, after = ([draw(st.integers(low, 2)) for _ in shape] for low in (-1, 0))
    return shape, [0, *before, 0, *after]


ANYTHING = {
    "activation": lambda chain: chain.add("Relu"),
    "normed": lambda chain: chain.add("Relu").add(
        "Mul", chain.rng.uniform(0.5, 2, (1, chain.width(1), *(1,) * (len(chain.shape) - 1))).astype(np.float32)
    ),
    "by position": lambda chain: chain.add("Relu").add("Mul", chain.rng.uniform(0.5, 2, (1, *chain.shape)).astype(np.float32)),
    "potential": lambda chain: chain,
    "sliced": lambda chain: chain.add("Relu").add("Slice", np.array([0]), np.array([2**31 - 1]), np.array([1]), np.array([2])),
    "turned": lambda chain: chain.add("Relu").add("Transpose", perm=[0, *range(len(chain.shape), 0, -1)]),
}


@settings(derandomize=True, deadline=None, max_examples=40)
@given(padded_anywhere(), st.sampled_from(sorted(ANYTHING)), st.sampled_from((0.0, 0.3, -0.5)))
def test_any_axes(geometry, values, constant):
    """Of spikes and of pre-activations, in any order and with any factors."""
    shape, pads = geometry
    chain = Chain(shape)
    chain.conv(shape[0], (1,) * (len(shape) - 1), total=0.5) if len(shape) > 1 else chain.gemm(shape[0], 0.5)
    ANYTHING[values](chain).add("Pad", np.array(pads), np.float32(constant))
    exact(chain.add("Clip", np.float32(-1.5), np.float32(1)).readout().model(), chain.images())


def option_a(channels):
    """Every second pixel and zero channels around, added to a convolution of stride 2: the residual block of He et al. on CIFAR."""
    chain = Chain((3, 6, 6)).conv(4, pads=[1] * 4, total=1).relu1()
    start = chain.at
    chain.add("Slice", np.array([0, 0]), np.array([9, 9]), np.array([2, 3]), np.array([2, 2]))
    shortcut = chain.add("Pad", np.array([0, channels, 0, 0, 0, channels, 0, 0])).at
    chain.at = start
    return chain.conv(4 + 2 * channels, pads=[1] * 4, strides=[2, 2], total=0.5).add("Add", shortcut)


def test_the_parameter_free_shortcut_of_a_residual_block():
    chain = option_a(2).add("Relu").readout()
    network = exact(chain.model(), chain.images())
    assert [layer.kind for layer in network.layers] == ["input", "spiking", "spiking", "readout"]
    zeros = network.layers[2].connections[1].path[0]
    assert zeros.kind == "sparse" and zeros.indices.size == 3 * 3 * 4  # one synapse for each neuron that has one


def test_zero_channels_bring_no_weight():
    """Slope fan_in: where the shortcut adds nothing, the convolution's weights alone are the sum."""
    network = converted(option_a(2).relu1().readout().model(), mode="unchecked")
    sums = np.broadcast_to(network.layers[2].weight_sums, (3, 3, 8))
    np.testing.assert_allclose(sums, np.broadcast_to([0.5, 0.5, 1.5, 1.5, 1.5, 1.5, 0.5, 0.5], (3, 3, 8)), atol=1e-6)


@pytest.mark.parametrize("engine", ("clock", "event"))
@pytest.mark.parametrize("slope", ("gated", "reference", "fan_in"))
def test_zero_channels_on_every_engine(engine, slope):
    mode = {"mode": "unchecked"} if slope == "fan_in" else {"mode": "exact", "slope": slope}
    chain = option_a(1)
    chain = chain.relu1().add("Pad", np.array([0, 1, 1, 0, 0, 0, 0, 1])).conv(3, pads=[1] * 4).relu1().readout()
    network, x = converted(chain.model(), **mode, steps=20), chain.images()
    network = network.with_steps(None) if engine == "event" else network
    ours, theirs = simulate(network, x, engine), simulate(network, x)
    for name, times in theirs.spike_times.items():
        np.testing.assert_allclose(ours.spike_times[name], times, rtol=0, atol=1e-4)
    np.testing.assert_allclose(ours.potentials, theirs.potentials, rtol=0, atol=1e-4)


def test_minus_infinity_is_refused():
    chain = features().add("Relu").add("Pad", np.array([0, 1, 0, 0, 0, 0, 0, 0]), np.float32(-np.inf)).conv(2).add("Relu").readout()
    with pytest.raises(UnsupportedModel, match="not finite"):
        converted(chain.model(), mode="unchecked")


@pytest.mark.parametrize("mode", ("reflect", "edge"))
def test_channels_repeated_are_wiring(mode):
    chain = features().add("Relu").add("Pad", np.array([0, 1, 0, 0, 0, 1, 0, 0]), mode=mode).conv(4).add("Relu").readout()
    network = exact(chain.model(), chain.images())
    assert network.layers[2].kind == "reorder"


def test_the_batch_is_not_padded():
    chain = features().add("Relu").add("Pad", np.array([1, 0, 0, 0, 0, 0, 0, 0]))
    chain.add("Conv", unity(chain.rng.normal(0, 1, (2, 3, 1, 1)))).add("Relu")
    with pytest.raises(UnsupportedModel, match=r"it pads axes \[0\]"):
        converted(chain.model(), mode="unchecked")
