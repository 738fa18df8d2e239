"""Layers find their tensors in the original graph although ONNX Runtime has renamed or moved them."""

import dataclasses

import numpy as np
import onnx
import pytest

from tests.models import Chain, assert_equals_onnx_runtime, converted, dataset, exact, layer_errors_of, save
from ttfs_convert.conversion.matching import PROBES, _renamed, match_tensors
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.onnx_model.simplify import simplified


def keras_conv(chain, outputs, activation=True, **attributes):
    """As tf2onnx exports a channels-last convolution: a Transpose on either side."""
    chain.add("Transpose", perm=[0, 3, 1, 2]).conv(outputs, pads=[1] * 4, **attributes).add("Transpose", perm=[0, 2, 3, 1])
    return chain.add("Relu") if activation else chain


def keras_network():
    """Channels last, of one size along two axes, so that a wrong order would fit: convolutions, pool, residual sum, mean, dense."""
    chain = keras_conv(keras_conv(Chain((8, 8, 3)), 4), 8)
    chain.add("Transpose", perm=[0, 3, 1, 2]).add("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).add("Transpose", perm=[0, 2, 3, 1])
    shortcut = keras_conv(chain, 5, activation=False).at
    keras_conv(chain, 5, activation=False).add("Add", shortcut).add("Relu")
    return chain.add("ReduceMean", axes=[1, 2], keepdims=0).gemm(6).add("Relu").gemm(4)


def outputs(model):
    return {name for node in model.graph.node for name in node.output}


def test_every_layer_of_a_channels_last_network_is_compared(tmp_path):
    model, x = keras_network().model(), keras_network().images(4)
    with simplified(save(model, tmp_path)) as pair:
        lost = outputs(pair.original) - outputs(pair.graph)
    network = exact(model, x)
    layer_errors = layer_errors_of(network, model, x)
    assert layer_errors.not_compared() == []
    assert all(layer_errors.layers[layer.name].largest_error < 1e-5 for layer in network.layers if layer.kind == "spiking")
    found = {layer.tensor for layer in network.layers if layer.kind == "spiking"}
    assert {"relu3_out", "relu7_out"} <= found and found & lost, "nothing was renamed: the test proves nothing"
    assert found <= outputs(model)


@pytest.fixture
def pair(tmp_path):
    """A model beside its simplification, which has a Relu of another name in another order of channels."""
    with simplified(save(keras_network().model(), tmp_path)) as pair:
        yield pair


@pytest.fixture
def layer(pair):
    """The input and the first convolution of the network, matched to the simplified graph alone."""
    first = next(node for node in pair.graph.graph.node if node.op_type == "Relu")
    assert first.output[0] not in outputs(pair.original)
    network = converted(keras_network().model(), mode="exact", calibrate=dataset(keras_network().images(4)))
    return [network.layers[0], network.layers[1].model_copy(update={"tensor": first.output[0], "channels_first": True})]


def test_a_renamed_tensor_is_found_by_its_values_in_its_own_order(pair, layer):
    (_, matched), _ = match_tensors(layer, pair)
    assert (matched.tensor, matched.channels_first) == ("relu3_out", False)


def test_rounding_hides_no_tensor_that_is_in_another_order(layer):
    """Sums in another order move values by a share of the largest, which of a small one is more than all of it."""
    size = int(np.prod(layer[1].shape))
    moved = layer[1].model_copy(update={"tensor_index": np.arange(size, dtype=np.int64)})
    values = np.random.default_rng(0).normal(size=(PROBES, size)).astype(np.float32)
    values[:, :9] *= 1e-6
    rounded = values + np.float32(1e-5) * np.random.default_rng(1).uniform(-1, 1, values.shape).astype(np.float32)
    assert _renamed(moved, values, {"other": rounded[:, ::-1], "same": rounded}).tensor == "same"
    assert _renamed(moved, values, {"other": rounded[:, ::-1]}).tensor is None


def test_a_tensor_of_the_same_name_stays(pair, layer):
    layers = [layer[0], layer[1].model_copy(update={"tensor": "relu3_out", "channels_first": False})]
    assert match_tensors(layers, pair) == (layers, None)


def test_a_layer_without_equal_values_anywhere_is_not_compared(pair, layer):
    other = onnx.ModelProto()
    other.CopyFrom(pair.original)
    for tensor in other.graph.initializer:
        if tensor.name == "constant0":
            tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * np.float32(1.001), tensor.name))
    (_, matched), _ = match_tensors(layer, dataclasses.replace(pair, original=other))
    assert matched.tensor is None


def test_what_a_tail_reads_keeps_its_name():
    """ONNX Runtime moves a sum in front of a Transpose, under a new name, and the tail begins behind it."""
    chain = keras_conv(keras_conv(Chain((6, 6, 3)), 4), 5, activation=False)
    chain.add("Add", chain.constant(np.arange(5, dtype=np.float32))).add("Asinh").add("Transpose", perm=[0, 3, 1, 2])
    model, x = chain.model(), chain.images(4)
    network = assert_equals_onnx_runtime(model, x, mode="exact", calibrate=dataset(x))
    assert network.tail is not None and network.readouts[0].tensor not in outputs(model), "nothing was renamed: the test proves nothing"


@pytest.mark.parametrize("input_range", ((0, 1), (-1, 1), None))
def test_neurons_for_the_input_itself_need_no_tensor(input_range):
    """Their values are the input's, which no node computes."""
    chain = Chain((3, 6, 6)).add("MaxPool", kernel_shape=[3, 3])
    hidden = chain.at
    chain.conv(4).add("Relu").add("Flatten").gemm(5).add("Relu").readout()
    network = exact(chain.model(), chain.images(), input_range=input_range)
    assert next(layer for layer in network.layers if layer.kind == "max_pool").tensor == hidden


def test_a_constant_in_front_of_its_operand_is_no_layers_tensor():
    """c - maxpool(x): the pool's neurons are not matched to c, nor calibrated on it."""
    chain = Chain((3, 8, 8)).conv(4).add("MaxPool", kernel_shape=[2, 2])
    pooled, chain.at = chain.at, chain.constant(np.full((4, 1, 1), 0.5, np.float32))
    chain.add("Sub", pooled).conv(3, (2, 2)).add("Relu").readout()
    network = exact(chain.model(), chain.images())
    assert pooled in {layer.tensor for layer in network.layers}


def test_tensors_that_batch_norm_fused_away_are_found():
    chain = Chain((3, 6, 6)).conv(4, pads=[1] * 4).batch_norm(-1).add("Relu").conv(4, pads=[1] * 4).batch_norm().readout()
    model, x = chain.model(), chain.images()
    network = exact(model, x)
    layer_errors = layer_errors_of(network, model, x)
    assert layer_errors.not_compared() == []
    reference = Reference(model, [layer.tensor for layer in network.layers if layer.tensor])
    assert {layer.tensor for layer in network.layers if layer.kind == "spiking"} <= set(reference.available)


def test_probes_of_whole_numbers_suit_the_table_that_they_index(tmp_path):
    """Channels last behind an embedding of 12 words: its layers are found although most random numbers are no words."""
    model = keras_conv(Chain((8, 8, 3)), 4).add("Flatten").gemm(5).add("Relu").gemm(4).model()
    for node in model.graph.node:
        node.input[:] = ["embedded" if name == "x" else name for name in node.input]
    model.graph.node.insert(0, onnx.helper.make_node("Gather", ["words", "x"], ["embedded"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32), "words"))
    model.graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info("x", onnx.TensorProto.INT64, ["n", 8, 8]))
    x = np.random.default_rng(1).integers(0, 12, (6, 8, 8))
    network = converted(model, mode="exact", calibrate=dataset(x))
    assert all(layer.tensor for layer in network.layers if layer.kind == "spiking")
    layer_errors = layer_errors_of(network, model, x)
    assert layer_errors.first_out_of_tolerance() is None and not layer_errors.not_compared()
