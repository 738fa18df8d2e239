"""Concat: populations side by side, each channel with its own range; a part that comes early waits for the others."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from tests.models import Chain, assert_equals_onnx_runtime, converted, exact, unity
from ttfs_convert.conversion.refusals import ConstraintError
from ttfs_convert.lowering.builder import Builder
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.lowering.operators.concat import lower_concat
from ttfs_convert.lowering.ranges.of_layers import Ranges
from ttfs_convert.lowering.unsupported import UnsupportedNode
from ttfs_convert.lowering.values import Constant, Spikes, channels_first
from ttfs_convert.onnx_model.node import Node
from ttfs_convert.simulation.engines import simulate

QUICK = settings(derandomize=True, deadline=None, max_examples=15)


def branch(chain, start, *operators):
    """The tensor behind `operators`, applied to the tensor `start`; `chain` goes on from there."""
    chain.at = start
    for operator in operators:
        operator(chain)
    return chain.at


def conv(outputs, scale=1.0, **attributes):
    return lambda chain: chain.conv(outputs, pads=[1] * 4, **attributes).add("Mul", np.float32(scale))


def relu(chain):
    return chain.add("Relu")


def relu6(chain):
    return chain.add("Clip", np.float32(0), np.float32(6))


def shifted(chain):
    return chain.add("Clip", np.float32(-1), np.float32(0.5))


def concats(network):
    return [layer for layer in network.layers if layer.kind == "concat"]


PARTS = {
    "ReLU": (conv(2, 5.0), relu),
    "ReLU6": (conv(3, 8.0), relu6),
    "shifted": (conv(1), shifted),
    "linear": (conv(2, -3.0),),
    "input": (),
    "pooled": (conv(2), relu, lambda chain: chain.add("MaxPool", kernel_shape=[3, 3], pads=[1] * 4)),
    "averaged": (conv(2), relu, lambda chain: chain.add("AveragePool", kernel_shape=[3, 3], pads=[1] * 4)),
    "normed": (conv(3), relu, lambda chain: chain.batch_norm(-1, 1)),
    "late": (conv(2), relu, conv(2), relu, conv(1), relu),
}


@QUICK
@given(st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=4), st.sampled_from((1, -3, 2, 3, -1)))
def test_any_parts_along_any_axis(parts, axis):
    chain = Chain((2, 6, 5))
    tensors = []
    for part in parts:
        tensors.append(branch(chain, "x", *PARTS[part]))
        if axis not in (1, -3) and chain.width(1) != 2:  # along the others the channels have to be as many
            tensors[-1] = branch(chain, tensors[-1], lambda chain: chain.conv(2, (1, 1)))
    chain.at = tensors[0]
    chain.add("Concat", *tensors[1:], axis=axis).conv(3, pads=[1] * 4).add("Relu").readout()
    exact(chain.model(), chain.images(4))


def test_every_channel_keeps_its_range():
    chain = Chain((2, 6, 5))
    first, second = branch(chain, "x", *PARTS["shifted"]), branch(chain, "x", *PARTS["ReLU6"])
    chain.at = first
    network = exact(chain.add("Concat", second, axis=1).conv(3, pads=[1] * 4).add("Relu").readout().model(), chain.images())
    (joined,) = concats(network)
    by_name = {layer.name: layer for layer in network.layers}
    assert [(by_name[name].lo.tolist(), by_name[name].hi.tolist()) for name in joined.joined] == [([-1], [0.5]), ([0] * 3, [6] * 3)]
    assert joined.shape == (6, 5, 4)
    (step,) = network.layers[-2].connections[0].path
    arrays = map(onnx.numpy_helper.to_array, chain.model().graph.initializer)
    values = next(array for array in arrays if array.shape == (3, 4, 3, 3))
    width = (network.layers[-2].hi - network.layers[-2].lo)[:, None, None, None]
    expected = values * np.array([1.5, 6, 6, 6], np.float32)[:, None, None] / width
    np.testing.assert_allclose(step.weights, expected.transpose(2, 3, 1, 0), rtol=1e-5, atol=1e-7)


def test_spikes_of_an_earlier_window_wait_in_a_delay_line():
    chain = Chain((2, 6, 5))
    late = branch(chain, "x", *PARTS["late"])
    chain.at = "x"
    network = exact(chain.add("Concat", late, axis=1).conv(3).add("Relu").readout().model(), chain.images())
    (joined,) = concats(network)
    assert joined.joined[0] == "x" and joined.window == 3 and network.windows == 5
    x = chain.images()
    recording = simulate(network, x)
    np.testing.assert_array_equal(recording.spike_times[joined.name][..., :2], recording.spike_times["x"])


@pytest.mark.parametrize("axis", (1, -1))
def test_features(axis):
    chain = Chain((9,))
    first = branch(chain, "x", lambda chain: chain.gemm(5), relu)
    second = branch(chain, "x", lambda chain: chain.gemm(3), relu6)
    chain.at = first
    network = exact(chain.add("Concat", "x", second, axis=axis).gemm(6).add("Relu").readout().model(), chain.images())
    (joined,) = concats(network)
    assert joined.shape == (17,) and joined.joined[1] == "x"


def test_flattened_images_beside_features():
    chain = Chain((2, 6, 5))
    first = branch(chain, "x", conv(3), relu, lambda chain: chain.add("Flatten"))
    second = branch(chain, first, lambda chain: chain.gemm(7), relu)
    chain.at = first
    exact(chain.add("Concat", second, axis=1).gemm(6).add("Relu").readout().model(), chain.images())


def test_channels_last_images_along_their_last_axis():
    chain = Chain((2, 6, 5))
    first, second = (
        branch(chain, "x", conv(outputs), activation, lambda chain: chain.add("Transpose", perm=[0, 2, 3, 1]))
        for outputs, activation in ((2, relu), (3, relu6))
    )
    chain.at = first
    chain.add("Concat", second, axis=3).add("Transpose", perm=[0, 3, 1, 2])
    exact(chain.conv(3, pads=[1] * 4).add("Relu").readout().model(), chain.images())


def test_positions_along_a_line():
    chain = Chain((2, 9))
    first = branch(chain, "x", lambda chain: chain.conv(3, (3,), pads=[1, 1]), relu)
    second = branch(chain, "x", lambda chain: chain.conv(3, (3,), strides=[2]), relu6)
    chain.at = first
    exact(chain.add("Concat", second, axis=2).conv(2, (3,), pads=[1, 1]).add("Relu").readout().model(), chain.images())


@pytest.mark.parametrize("axis", (1, 2))
def test_a_max_pool_behind_it_keeps_channels_apart_but_not_positions(axis):
    """Along a spatial axis one pool window may see two ranges: then neurons give the channel one."""
    chain = Chain((2, 6, 5))
    first, second = branch(chain, "x", conv(2), relu), branch(chain, "x", conv(2, 4.0), relu6)
    chain.at = first
    network = exact(chain.add("Concat", second, axis=axis).add("MaxPool", kernel_shape=[3, 3]).readout().model(), chain.images())
    assert sum(layer.kind == "spiking" for layer in network.layers) == (2 if axis == 1 else 3)


def test_a_relu_behind_it_changes_nothing_unless_some_part_is_negative():
    for part, count in (("ReLU6", 2), ("shifted", 3)):
        chain = Chain((2, 6, 5))
        first, second = branch(chain, "x", *PARTS["ReLU"]), branch(chain, "x", *PARTS[part])
        chain.at = first
        network = exact(chain.add("Concat", second, axis=1).add("Relu").readout().model(), chain.images())
        assert sum(layer.kind == "spiking" for layer in network.layers) == count


def test_pre_activations_are_spike_coded_with_both_ends():
    chain = Chain((2, 6, 5))
    first, second = branch(chain, "x", conv(2)), branch(chain, "x", *PARTS["ReLU"])
    chain.at = first
    network = exact(chain.add("Concat", second, axis=1).conv(2).add("Relu").readout().model(), chain.images())
    layer = next(layer for layer in network.layers if layer.tensor == first)
    assert (layer.low, layer.high) == (None, None) and (layer.lo < 0).all() and (layer.hi > 0).all()


def test_the_same_tensor_twice_is_one_population_read_twice():
    chain = Chain((2, 6, 5))
    first = branch(chain, "x", *PARTS["ReLU"])
    network = exact(chain.add("Concat", first, axis=1).conv(3).add("Relu").readout().model(), chain.images())
    (joined,) = concats(network)
    assert joined.joined[0] == joined.joined[1] and sum(layer.kind == "spiking" for layer in network.layers) == 2


def test_pre_activations_twice_are_coded_once():
    chain = Chain((2, 6, 5))
    first = branch(chain, "x", conv(2))
    network = exact(chain.add("Concat", first, axis=1).conv(3).add("Relu").readout().model(), chain.images())
    assert len(set(concats(network)[0].joined)) == 1 and sum(layer.kind == "spiking" for layer in network.layers) == 2


def test_as_the_output():
    chain = Chain((2, 6, 5))
    first, second = branch(chain, "x", *PARTS["shifted"]), branch(chain, "x", *PARTS["ReLU"])
    chain.at = first
    network = exact(chain.add("Concat", second, axis=1).model(), chain.images())
    assert network.tail is not None and len(network.readouts) == 2


def test_dense_block_of_three_layers():
    """Every layer reads the input and all layers before it."""
    chain = Chain((2, 6, 5)).conv(3, pads=[1] * 4)
    for _ in range(3):
        before = chain.at
        chain.batch_norm(-1).add("Relu").conv(2, pads=[1] * 4).add("Concat", before, axis=1)
    network = exact(chain.batch_norm().add("Relu").readout().model(), chain.images())
    assert len(concats(network)) == 3 and network.windows == 9


def test_strict_mode_takes_relu1_branches():
    chain = Chain((2, 6, 5))
    first, second = (branch(chain, "x", lambda chain: chain.conv(3, pads=[1] * 4).relu1()) for _ in range(2))
    chain.at = first
    model = chain.add("Concat", second, axis=1).conv(4).relu1().readout().model()
    network = assert_equals_onnx_runtime(model, chain.images())
    assert not network.violations and network.layers[-2].slope == "fan_in"


def test_strict_mode_names_linear_parts():
    chain = Chain((2, 6, 5))
    first, second = branch(chain, "x", conv(2)), branch(chain, "x", lambda chain: chain.conv(3, pads=[1] * 4).relu1())
    chain.at = first
    with pytest.raises(ConstraintError, match="no activation before concat"):
        converted(chain.add("Concat", second, axis=1).conv(4).relu1().readout().model())


def test_joined_along_the_batch_axis_every_sample_has_two_rows():
    chain = Chain((2, 6, 5))
    first, second = branch(chain, "x", *PARTS["ReLU"]), branch(chain, "x", *PARTS["ReLU"])
    chain.at = second
    chain.add("Concat", first, axis=0).conv(2).add("Relu").add("Reshape", np.array([1, -1])).readout()
    exact(chain.model(), chain.images())


def test_a_constant_part_is_refused():
    builder = Builder("synaptic", "gated", 1e-4, Ranges("exact", {}))
    builder.values = {
        "x": Spikes("x", channels_first((2, 2, 3)), (2, 2, 3), np.ones(3), np.zeros(3)),
        "c": Constant(lambda: np.ones((1, 1, 2, 2), np.float32)),
    }
    with pytest.raises(UnsupportedNode, match="constant"):
        lower_concat(Node.of(helper.make_node("Concat", ["x", "c"], ["y"], axis=1)), builder)


def test_a_constant_part_of_a_model_is_named():
    chain = Chain((3, 6)).add("MatMul", unity(np.random.default_rng(0).normal(size=(6, 4)), 1)).relu1()
    chain.add("Concat", np.ones((1, 1, 4), np.float32), axis=1).readout()
    with pytest.raises(UnsupportedModel, match="a part of it is a constant") as refusal:
        converted(chain.model())
    assert [node[1] for node in refusal.value.nodes] == ["Concat"]
