"""Elementwise Max: the earliest of several spikes, where these stand for the same values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models import Chain, assert_equals_onnx_runtime, converted, exact
from ttfs_convert.conversion.refusals import ConstraintError
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.simulation.engines import simulate

QUICK = settings(derandomize=True, deadline=None, max_examples=15)


def clip(low, high):
    return lambda chain: chain.add("Clip", *(None if end is None else np.float32(end) for end in (low, high)))


def relu(chain):
    return chain.add("Relu")


def conv(scale=1.0, **attributes):
    return lambda chain: chain.conv(3, pads=[1] * 4, total=0.0, **attributes).add("Mul", np.float32(scale))


def branch(chain, start, *operators):
    chain.at = start
    for operator in operators:
        operator(chain)
    return chain.at


def joined(chain, *tensors):
    chain.at = tensors[0]
    return chain.add("Max", *tensors[1:])


def number_of(network, kind):
    return sum(layer.kind == kind for layer in network.layers)


RELU6 = clip(0, 6)
PARTS = {
    "ReLU": (conv(3), relu),
    "large ReLU": (conv(30), relu),
    "ReLU6": (conv(8), RELU6),
    "negative": (conv(8), clip(-6, -0.5)),
    "signed": (conv(4), clip(-1, 2)),
    "potential": (conv(2),),
    "input": (),
    "late": (conv(4), relu, conv(2), relu),
    "max-pooled": (conv(4), relu, lambda chain: chain.add("MaxPool", kernel_shape=[3, 3], pads=[1] * 4)),
    "averaged": (conv(4), relu, lambda chain: chain.add("AveragePool", kernel_shape=[3, 3], pads=[1] * 4)),
    "normed": (conv(4), relu, lambda chain: chain.batch_norm(-1, 1)),
    "negated": (conv(4), relu, lambda chain: chain.add("Neg")),
    "strided": (lambda chain: chain.add("Pad", np.array([0, 0, 3, 2, 0, 0, 3, 3])), conv(4, strides=[2, 2]), relu),
}


@QUICK
@given(st.lists(st.sampled_from(sorted(PARTS)), min_size=2, max_size=3))
def test_any_parts(parts):
    chain = Chain((3, 6, 5))
    joined(chain, *[branch(chain, "x", *PARTS[part]) for part in parts]).conv(4).add("Relu").readout()
    exact(chain.model(), chain.images(4))


@pytest.mark.parametrize("count", (2, 3))
def test_equal_ranges_take_no_neurons(count):
    chain = Chain((3, 6, 5))
    joined(chain, *[branch(chain, "x", *PARTS["ReLU6"]) for _ in range(count)]).conv(4).add("Relu").readout()
    network = exact(chain.model(), chain.images())
    assert (number_of(network, "spiking"), number_of(network, "max_pool"), network.windows) == (count + 1, 1, 3)
    pool = next(layer for layer in network.layers if layer.kind == "max_pool")
    assert (set(pool.lo.tolist()), set(pool.hi.tolist())) == ({0}, {6})


def test_different_ranges_are_encoded_anew_into_one_that_holds_both():
    chain = Chain((3, 6, 5))
    first, second = branch(chain, "x", *PARTS["ReLU6"]), branch(chain, "x", conv(8), clip(-2, 4))
    network = exact(joined(chain, first, second).conv(4).add("Relu").readout().model(), chain.images())
    again = [layer for layer in network.layers if layer.kind == "spiking" and layer.connections[0].source != "x"][:2]
    assert [(layer.lo.tolist(), layer.hi.tolist()) for layer in again] == [([-2] * 3, [6] * 3)] * 2 and network.windows == 4
    assert all(step.kind == "scale" for layer in again for step in layer.connections[0].path), "not one connection per neuron"


def test_only_the_part_in_another_range_is_encoded_anew():
    chain = Chain((3, 6, 5))
    first, second = branch(chain, "x", *PARTS["ReLU6"]), branch(chain, "x", conv(8), clip(0, 4))
    network = exact(joined(chain, first, second).conv(4).add("Relu").readout().model(), chain.images())
    assert number_of(network, "spiking") == 4


def test_calibrated_ranges_differ_by_channel():
    chain = Chain((3, 6, 5))
    first, second = branch(chain, "x", *PARTS["ReLU"]), branch(chain, "x", *PARTS["large ReLU"])
    network = exact(joined(chain, first, second).conv(4).add("Relu").readout().model(), chain.images())
    pool = next(layer for layer in network.layers if layer.kind == "max_pool")
    parts = [next(layer for layer in network.layers if layer.tensor == name) for name in (first, second)]
    np.testing.assert_array_equal(pool.hi.reshape(-1, 3)[0], np.maximum(*(layer.hi for layer in parts)))
    assert (parts[0].hi < parts[1].hi).all() and len(set(parts[1].hi.tolist())) == 3


def test_every_spike_is_the_earliest():
    chain = Chain((3, 6, 5))
    first, second, third = (branch(chain, "x", *PARTS["ReLU6"]) for _ in range(3))
    model = joined(chain, first, second, third).conv(4).add("Relu").readout().model()
    network = exact(model, chain.images())
    times = simulate(network, chain.images()).spike_times
    pool = next(layer for layer in network.layers if layer.kind == "max_pool")
    parts = [times[layer.name].reshape(3, -1) for layer in network.layers if layer.tensor in (first, second, third)]
    np.testing.assert_array_equal(times[pool.name].reshape(3, -1), np.min(parts, 0))
    assert all((part == np.min(parts, 0)).mean() > 0.1 for part in parts), "one part is always the first"


@pytest.mark.parametrize("perm", ([0, 2, 3, 1], [0, 3, 1, 2], [0, 1, 3, 2]))
@pytest.mark.parametrize("bare", (False, True))
def test_different_layouts(perm, bare):
    chain, back = Chain((4, 4, 4)), np.argsort(perm).tolist()
    activation = () if bare else (RELU6,)
    first = branch(chain, "x", lambda chain: chain.conv(4, pads=[1] * 4), *activation, lambda chain: chain.add("Transpose", perm=perm))
    second = branch(chain, "x", lambda chain: chain.add("Transpose", perm=back), lambda chain: chain.conv(4, pads=[1] * 4), RELU6)
    network = exact(joined(chain, first, second).conv(3).add("Relu").readout().model(), chain.images())
    assert number_of(network, "max_pool") == 1


def test_different_windows_wait_for_each_other():
    chain = Chain((3, 6, 5))
    early = branch(chain, "x", *PARTS["ReLU6"])
    late = branch(chain, early, conv(4), RELU6, conv(4), RELU6)
    network = exact(joined(chain, early, late).conv(4).add("Relu").readout().model(), chain.images())
    assert (number_of(network, "spiking"), network.windows) == (4, 5)


def test_features():
    chain = Chain((9,))
    first, second = (branch(chain, "x", lambda chain: chain.gemm(7, total=0.0), activation) for activation in (relu, clip(-1, 0.5)))
    exact(joined(chain, first, second).gemm(5).add("Relu").readout().model(), chain.images(5))


def test_parts_of_one_tensor_as_maxout():
    """Maxout: the larger of two halves of the channels."""
    chain = Chain((3, 6, 5)).conv(6, total=0.0).add("Split", axis=1, outputs=2)
    halves = chain.at, chain.at.replace("_out", "_extra1")
    network = exact(joined(chain, *halves).conv(4).add("Relu").readout().model(), chain.images())
    assert number_of(network, "max_pool") == 1


def test_the_same_tensor_twice():
    chain = Chain((3, 6, 5))
    first = branch(chain, "x", *PARTS["ReLU6"])
    exact(joined(chain, first, first).conv(4).add("Relu").readout().model(), chain.images())


def test_a_tensor_and_its_negative_is_the_absolute_value():
    chain = Chain((3, 6, 5))
    first = branch(chain, "x", *PARTS["potential"])
    second = branch(chain, first, lambda chain: chain.add("Neg"))
    exact(joined(chain, first, second).conv(4).add("Relu").readout().model(), chain.images())


def test_of_one_tensor_alone_it_is_nothing():
    chain = Chain((3, 6, 5)).conv(4).add("Max").add("Relu").readout()
    network = exact(chain.model(), chain.images())
    assert number_of(network, "spiking") == 1


def test_behind_a_max_pool_of_pre_activations():
    chain = Chain((3, 6, 5))
    pool = {"kernel_shape": [3, 3], "pads": [1] * 4}
    first, second = (branch(chain, "x", conv(scale), lambda chain: chain.add("MaxPool", **pool)) for scale in (2, 3))
    exact(joined(chain, first, second).add("Relu").conv(4).add("Relu").readout().model(), chain.images())


def test_clamped_behind_it():
    chain = Chain((3, 6, 5))
    first, second = branch(chain, "x", *PARTS["potential"]), branch(chain, "x", *PARTS["signed"])
    exact(joined(chain, first, second).add("Relu").add("Min", np.float32(1)).readout().model(), chain.images())


@pytest.mark.parametrize(
    "next_layer",
    (
        lambda chain: chain.add("MaxPool", kernel_shape=[2, 2]),
        lambda chain: chain.add("AveragePool", kernel_shape=[2, 2]),
        lambda chain: chain.add("Flatten"),
        lambda chain: chain.add("Add", "x"),
        lambda chain: chain.batch_norm(-1),
        lambda chain: chain.add("Max", "x"),
        lambda chain: chain.add("Concat", "x", axis=1).conv(3),
    ),
)
@pytest.mark.parametrize("parts", (("ReLU6", "ReLU6"), ("ReLU", "signed")))
def test_in_front_of(parts, next_layer):
    chain = Chain((3, 6, 5))
    joined(chain, *[branch(chain, "x", *PARTS[part]) for part in parts])
    exact(next_layer(chain).add("Relu").readout().model(), chain.images())


def test_as_the_output():
    chain = Chain((3, 6, 5))
    first, second = branch(chain, "x", *PARTS["ReLU6"]), branch(chain, "x", *PARTS["ReLU6"])
    exact(joined(chain, first, second).model(), chain.images())


def test_analog_input_is_encoded():
    chain = Chain((3, 6, 5))
    first = branch(chain, "x", *PARTS["ReLU"])
    exact(joined(chain, first, "x").conv(4).add("Relu").readout().model(), chain.images(4, -2, 2), input_range=None)


def relu1_branches():
    chain = Chain((3, 6, 5))
    first, second = (branch(chain, "x", lambda chain: chain.conv(4).relu1()) for _ in range(2))
    return joined(chain, first, second).conv(4, (2, 2)).relu1().readout()


def test_strict_mode_takes_the_earliest_of_relu1():
    chain = relu1_branches()
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert number_of(network, "spiking") == 3


@pytest.mark.parametrize("steps", (1, 7, 50))
def test_on_a_grid_the_earliest_step_wins(steps):
    chain = relu1_branches()
    network = converted(chain.model(), mode="exact", steps=steps)
    times = simulate(network, chain.images()).spike_times
    parts = [times[layer.name].reshape(3, -1) for layer in network.layers if layer.kind == "spiking"][:2]
    pool = next(layer for layer in network.layers if layer.kind == "max_pool")
    np.testing.assert_array_equal(times[pool.name].reshape(3, -1), np.minimum(*parts))


def test_strict_mode_refuses_pre_activations():
    chain = Chain((3, 6, 5))
    first, second = (branch(chain, "x", lambda chain: chain.conv(4)) for _ in range(2))
    with pytest.raises(ConstraintError, match="no activation before max"):
        converted(joined(chain, first, second).relu1().readout().model())


@pytest.mark.parametrize(
    "build, reason",
    (
        (lambda chain, tensor: joined(chain, tensor, branch(chain, tensor, lambda chain: chain.add("GlobalMaxPool"))), "differ in shape"),
        (lambda chain, tensor: joined(chain, tensor, branch(chain, tensor, lambda chain: chain.conv(1, (1, 1)), relu)), "differ in shape"),
        (lambda chain, tensor: joined(chain, tensor, "x", np.float32(1).reshape(1)), "several tensors and a constant"),
        (lambda chain, tensor: joined(chain, tensor, "x", np.float32([1, 2, 3, 4, 5])), "differs by element"),
        (lambda chain, tensor: branch(chain, tensor, lambda chain: chain.add("Min", "x")), "latest of several spikes"),
    ),
)
def test_what_is_refused(build, reason):
    chain = Chain((3, 6, 5))
    tensor = branch(chain, "x", *PARTS["ReLU6"])
    build(chain, tensor)
    chain.conv(3).add("Relu").readout()
    with pytest.raises(UnsupportedModel, match=reason) as refusal:
        converted(chain.model(), mode="unchecked")
    assert len(refusal.value.nodes) == 1 and refusal.value.nodes[0][1] in ("Max", "Min")
