"""ReduceMean, ReduceSum, ReduceL1, ReduceMax and global pools over any axes, of spikes and of pre-activations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models import Chain, assert_equals_onnx_runtime, converted, exact, newer_runtime
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.simulation.engines import simulate

VALUES = {
    "ReLU": lambda chain: chain.add("Relu"),
    "normed": lambda chain: chain.add("Relu").add(
        "Mul", chain.rng.uniform(0.5, 2, (1, chain.width(1), *(1,) * (len(chain.shape) - 1))).astype(np.float32)
    ),
    "negative": lambda chain: chain.add("Add", np.float32(1)).add("Relu").add("Neg"),
    "by position": lambda chain: chain.add("Relu").add("Mul", chain.rng.uniform(0.5, 2, (1, *chain.shape)).astype(np.float32)),
    "potential": lambda chain: chain,
    "turned": lambda chain: chain.add("Relu").add("Transpose", perm=[0, *range(len(chain.shape), 0, -1)]),
    "turned potential": lambda chain: chain.add("Transpose", perm=[0, *range(len(chain.shape), 0, -1)]),
    "pooled": lambda chain: chain.add("Relu").add("GlobalAveragePool").add("Add", chain.at) if len(chain.shape) > 1 else chain.add("Relu"),
    "sliced": lambda chain: chain.add("Relu").add("Slice", np.array([0]), np.array([2**31 - 1]), np.array([len(chain.shape)]), np.array([2])),
}


def features(shape):
    chain = Chain(shape)
    return chain.conv(shape[0], (1,) * (len(shape) - 1), total=0.4) if len(shape) > 1 else chain.gemm(shape[0], 0.4)


@st.composite
def reductions(draw):
    """(input shape, axes, keepdims)"""
    shape = draw(st.sampled_from(((6,), (4, 6), (4, 3, 5), (3, 4, 1))))
    axes = draw(st.lists(st.sampled_from(range(1, len(shape) + 1)), min_size=1, unique=True))
    return shape, [axis - len(shape) - 1 if draw(st.booleans()) else axis for axis in axes], draw(st.integers(0, 1))


@settings(derandomize=True, deadline=None, max_examples=120)
@given(reductions(), st.sampled_from(("ReduceMean", "ReduceSum", "ReduceMax")), st.sampled_from(sorted(VALUES)), st.booleans())
def test_any_axes(geometry, operator, values, activation):
    shape, axes, keepdims = geometry
    chain = VALUES[values](features(shape))
    if operator == "ReduceSum":
        chain.add(operator, np.array(axes), keepdims=keepdims)
    else:
        chain.add(operator, axes=axes, keepdims=keepdims)
    if activation:
        chain.add("Clip", np.float32(-1.5), np.float32(2))
    if not keepdims and len(axes) == len(shape):
        chain.add("Unsqueeze", np.array([1]))
    exact(chain.readout().model(), chain.images(5))


@newer_runtime
@pytest.mark.parametrize("operator", ("ReduceMean", "ReduceMax", "ReduceL1"))
def test_axes_as_an_input_and_none(operator):
    """Of opset 18; without axes and noop_with_empty_axes nothing is reduced."""
    chain = features((4, 3, 5)).add("Relu").add(operator, np.array([2, -1])).add(operator, noop_with_empty_axes=1)
    chain.add("Flatten").add("MatMul", chain.rng.normal(size=(4, 3)).astype(np.float32))
    exact(chain.model(opset=18), chain.images())


def test_absolute_values_are_summed_where_none_is_negative():
    chain = features((4, 3, 5)).add("Relu").add("ReduceL1", axes=[1], keepdims=0).readout()
    exact(chain.model(), chain.images())
    refused = features((4, 3, 5)).add("ReduceL1", axes=[1], keepdims=0).add("Relu").readout()
    with pytest.raises(UnsupportedModel, match="some may be negative"):
        converted(refused.model(), mode="unchecked")


@pytest.mark.parametrize("operator, options", (("ReduceMean", {"axes": [0]}), ("ReduceMax", {"axes": [0, 2]}), ("ReduceMax", {})))
def test_over_the_batch_axis_a_sample_alone_is_as_it_is(operator, options):
    chain = features((4, 3, 5)).add("Relu").add(operator, **options).add("Reshape", np.array([1, -1]))
    exact(chain.gemm(3, total=0.0).add("Relu").gemm(2).model(), chain.images())


@pytest.mark.parametrize("operator", ("ReduceMean", "ReduceSum", "ReduceMax"))
@pytest.mark.parametrize("axes", ([0], [1], [2], [0, 2], [2, 3], [0, 1, 3]))
def test_of_images_that_are_folded_into_the_batch_axis(operator, axes):
    chain = Chain((3, 2, 4, 5)).add("Reshape", np.array([-1, 2, 4, 5])).conv(3, pads=[1] * 4, total=0.2).add("Relu").batch_norm(-1, 1)
    given = [np.array(axes)] if operator == "ReduceSum" else []
    chain.add(operator, *given, keepdims=1, **({} if given else {"axes": axes})).add("Reshape", np.array([1, -1]))
    exact(chain.gemm(3, total=0.0).add("Relu").gemm(2).model(), chain.images())


@pytest.mark.parametrize("pooling", ("synaptic", "spiking"))
@pytest.mark.parametrize("axes", ([1], [2], [1, 3], [2, 3]))
@pytest.mark.parametrize("operator", ("ReduceMean", "ReduceL1"))
def test_both_kinds_of_pooling(operator, axes, pooling):
    chain = features((4, 3, 5)).add("Relu").add(operator, axes=axes, keepdims=1).add("Flatten").gemm(6).add("Relu").readout()
    network = exact(chain.model(), chain.images(), pooling=pooling)
    assert len([layer for layer in network.layers if layer.kind == "spiking"]) == 2 + (pooling == "spiking")


def test_channels_with_ranges_of_their_own_cost_no_window_in_a_mean():
    chain = VALUES["normed"](features((4, 3, 5))).add("ReduceMean", axes=[1], keepdims=0).add("Flatten").gemm(6).add("Relu").readout()
    network = exact(chain.model(), chain.images())
    assert [layer.kind for layer in network.layers] == ["input", "spiking", "spiking", "readout"]


def test_a_maximum_over_positions_is_wiring_and_over_channels_of_one_range_too():
    for axes in ([2], [3], [2, 3], [1]):
        chain = features((4, 3, 5)).relu1().add("ReduceMax", axes=axes, keepdims=1).add("Flatten").gemm(6).relu1().readout()
        network = assert_equals_onnx_runtime(chain.model(), chain.images(), mode="exact")
        assert [layer.kind for layer in network.layers if layer.kind != "reorder"] == ["input", "spiking", "max_pool", "spiking", "readout"]


def test_maxout_waits_for_its_activation():
    """The largest of channels of pre-activations, then the activation: neurons of one range, and their earliest spike."""
    chain = features((4, 3, 5)).add("ReduceMax", axes=[1], keepdims=1).add("Relu").add("Flatten").gemm(6).add("Relu").readout()
    network = exact(chain.model(), chain.images())
    assert [layer.kind for layer in network.layers] == ["input", "spiking", "max_pool", "spiking", "readout"]
    assert network.layers[1].low == 0 and network.layers[2].shape[-1] == 1


@pytest.mark.parametrize("operator", ("GlobalAveragePool", "GlobalMaxPool"))
def test_global_pools_over_three_axes(operator):
    chain = Chain((3, 4, 8)).conv(4, pads=[1] * 4).relu1().add("Reshape", np.array([0, 4, 4, 2, 4])).add(operator)
    chain.add("Flatten").gemm(5).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images(), mode="exact")


@pytest.mark.parametrize("operator", ("ReduceMean", "ReduceMax"))
def test_strict_mode(operator):
    """A mean keeps unity, and so does a maximum of one range."""
    chain = Chain((3, 6, 5)).conv(4).relu1().add(operator, axes=[3], keepdims=0).conv(4, (2,)).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


@pytest.mark.parametrize("engine", ("clock", "event"))
@pytest.mark.parametrize("slope", ("gated", "reference", "fan_in"))
def test_every_engine(engine, slope):
    mode = {"mode": "unchecked"} if slope == "fan_in" else {"mode": "exact", "slope": slope}
    chain = Chain((3, 6, 5)).conv(4, pads=[1] * 4).relu1().add("ReduceMean", axes=[1], keepdims=1).conv(3, pads=[1] * 4).relu1()
    chain.add("ReduceMean", axes=[2], keepdims=0).conv(4, (3,), pads=[1, 1]).relu1().add("ReduceMax", axes=[1], keepdims=0).readout()
    network, x = converted(chain.model(), **mode, steps=20), chain.images()
    network = network.with_steps(None) if engine == "event" else network
    ours, theirs = simulate(network, x, engine), simulate(network, x)
    for name, times in theirs.spike_times.items():
        np.testing.assert_allclose(ours.spike_times[name], times, rtol=0, atol=2e-4)
    np.testing.assert_allclose(ours.potentials, theirs.potentials, rtol=0, atol=1e-4)
