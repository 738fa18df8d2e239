"""Neurons for a potential, whoever asks for them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from onnx import helper

from tests.models import Chain, assert_equals_onnx_runtime
from ttfs_convert.lowering.builder import Builder
from ttfs_convert.lowering.ranges.of_layers import Ranges
from ttfs_convert.lowering.unsupported import UnsupportedNode
from ttfs_convert.lowering.values import Constant, Potential, Spikes, flat_index
from ttfs_convert.network.populations import Input
from ttfs_convert.onnx_model.node import Node

SHAPE = (2, 3)


def builder_with_input() -> tuple[Builder, Potential]:
    """A builder, and a potential of 2 x 3 neurons that read an input of 2 x 3 values."""
    builder = Builder("synaptic", "gated", 1e-4, Ranges("exact", {}))
    ends = {"lo": np.zeros(3, np.float32), "hi": np.ones(3, np.float32)}
    builder.add(Input(name="x", shape=SHAPE, window=0, tensor=None, onnx_name="x", onnx_shape=SHAPE, **ends))
    spikes = Spikes("x", flat_index((1, *SHAPE)), SHAPE, np.ones(3), np.zeros(3))
    builder.values = {"x": spikes, "c": Constant(lambda: np.ones(3, np.float32))}
    return builder, builder.potential(spikes, "layer")


def test_one_potential_has_one_population_however_it_is_turned_round():
    builder, potential = builder_with_input()
    turned = potential.index.transpose(0, 2, 1)
    first = builder.fire(potential, "t", 0.0, 0.5)
    second = builder.fire(replace(potential, index=turned), "u", 0.0, 0.5)
    assert first.source == second.source and [layer.name for layer in builder.layers] == ["x", "layer"]
    np.testing.assert_array_equal(first.index, potential.index)
    np.testing.assert_array_equal(second.index, turned)
    assert builder.layers[1].tensor == "t" and builder.layers[1].tensor_index is None


def test_the_first_index_may_be_the_turned_one():
    builder, potential = builder_with_input()
    builder.fire(replace(potential, index=potential.index.transpose(0, 2, 1)), "u", 0.0, 0.5)
    assert builder.layers[1].tensor == "u" and builder.layers[1].channels_first
    np.testing.assert_array_equal(builder.fire(potential, "t", 0.0, 0.5).index, potential.index)


def test_other_clamps_and_other_charges_get_neurons_of_their_own():
    builder, potential = builder_with_input()
    names = [
        builder.fire(potential, "t", 0.0, 0.5).source,
        builder.fire(potential, "u", 0.0, 1.0).source,
        builder.fire(replace(potential, bias=potential.bias + 1), "v", 0.0, 1.0).source,
        builder.fire(replace(potential, bounds=(np.zeros(1), np.full(1, 0.5))), "w", 0.0, math.inf).source,
    ]
    assert names == ["layer", "layer_2", "layer_3", "layer_4"]


def test_a_layer_read_in_two_orders_spikes_once():
    """ReLU1(Conv(x)) feeds one product as it is, ReLU1(Transpose(Conv(x))) another one."""
    chain = Chain((2, 4, 4)).conv(3, pads=[1] * 4)
    layer = chain.at
    plain = chain.relu1().readout().at
    chain.at = layer
    chain.add("Transpose", perm=[0, 1, 3, 2]).relu1().readout().add("Add", plain)
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert [layer.kind for layer in network.layers if layer.kind != "reorder"] == ["input", "spiking", "readout"]


def node(*inputs: str) -> Node:
    return Node.of(helper.make_node("Sum", inputs, ["y"], name="sum"))


def test_inputs_of_a_node():
    builder, _ = builder_with_input()
    given = node("x", "c", "")
    assert builder.inputs(given) == [builder.values["x"], builder.values["c"], None]
    assert builder.computed(given) == [0] and builder.data(given) is builder.values["x"]
    assert builder.constant(given, 1, "shift").tolist() == [1, 1, 1] and builder.constant(given, 2, "axes", None) is None
    assert list(builder.constants(given)) == ["c"]


def test_inputs_that_are_not_what_the_operator_needs():
    builder, _ = builder_with_input()
    with pytest.raises(UnsupportedNode, match="data input is a constant"):
        builder.data(node("c"))
    with pytest.raises(UnsupportedNode, match="its shift is computed by the network"):
        builder.constant(node("c", "x"), 1, "shift")
    with pytest.raises(UnsupportedNode, match="it has no shift"):
        builder.constant(node("x"), 1, "shift")
    with pytest.raises(UnsupportedNode, match="parameters are computed"):
        builder.constants(node("x", "x"))
