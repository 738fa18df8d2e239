"""Networks whose ranges or weights data has shown at one size, at others."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ttfs_convert import convert
from ttfs_convert.conversion.other_sizes import OtherSizes
from ttfs_convert.errors import UsageError
from ttfs_convert.network.populations import Spiking
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.engines import simulate

SIZES = (24, 64, 101)


def model(activation="Relu") -> onnx.ModelProto:
    """Three convolutions along an axis of any length."""
    rng, nodes, constants = np.random.default_rng(0), [], []

    def constant(name, *shape):
        constants.append(numpy_helper.from_array(rng.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32), name))
        return name

    at, channels = "x", 2
    for k, (outputs, dilation) in enumerate(((6, 1), (5, 3))):
        weights, bias = constant(f"w{k}", outputs, channels, 3), constant(f"b{k}", outputs)
        nodes.append(
            helper.make_node("Conv", [at, weights, bias], [f"c{k}"], f"conv{k}", pads=[dilation] * 2, dilations=[dilation], kernel_shape=[3])
        )
        nodes.append(helper.make_node(activation, [f"c{k}"], [f"a{k}"], f"activation{k}"))
        at, channels = f"a{k}", outputs
    nodes.append(helper.make_node("Conv", [at, constant("w", 1, channels, 1)], ["y"], "last", kernel_shape=[1]))
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size, "length"]) for name, size in (("x", 2), ("y", None))]
    return helper.make_model(
        helper.make_graph(nodes, "signal", values[:1], values[1:], constants), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )


def signals(count, length, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (count, 2, length)).astype(np.float32)


def rms(network, original, length):
    x = signals(40, length, seed=length)
    return float(np.sqrt(np.mean((simulate(network, x).readouts["y"] - Reference(original)(x)["y"]) ** 2)))


@pytest.mark.parametrize("activation", ("Relu", "Tanh"))
def test_calibrated_ranges_hold_at_other_lengths(activation):
    original = model(activation=activation)
    network = convert(original, mode="exact", calibrate=signals(50, 64), steps=50)
    sizes = OtherSizes(network, original)
    for length in SIZES:
        again = sizes({"x": (2, length)})
        for before, after in zip(network.layers, again.layers):
            if isinstance(before, Spiking):
                assert np.array_equal(before.lo, after.lo) and np.array_equal(before.hi, after.hi)
        assert again.calibration == network.calibration
        assert rms(again.with_steps(None), original, length) < 2e-3  # what lies beyond the ranges is cut off


def test_measured_inputs_hold_at_other_lengths():
    original = model()
    network = convert(original, mode="exact", calibrate=signals(50, 64), input_range="data")
    again = OtherSizes(network, original)({"x": (2, 24)})
    assert np.array_equal(again.inputs[0].hi, network.inputs[0].hi) and again.inputs[0].measured
    assert rms(again.with_steps(None), original, 24) < 2e-3


def test_fitted_weights_hold_at_other_lengths():
    original = model()
    network = convert(original, mode="exact", calibrate=signals(60, 64), steps=6, compensate=True)
    plain = convert(original, mode="exact", calibrate=signals(60, 64), steps=6)
    assert any(fit.fitted == "weights" for fit in network.compensation.layers)
    sizes, without = OtherSizes(network, original), OtherSizes(plain, original)
    x = signals(20, 64, seed=1)
    assert np.abs(simulate(sizes({"x": (2, 64)}), x).readouts["y"] - simulate(network, x).readouts["y"]).max() < 1e-5
    for length in SIZES:
        again = sizes({"x": (2, length)})
        assert again.compensation == network.compensation and again.on_fitted_grid
        assert rms(again, original, length) < 0.9 * rms(without({"x": (2, length)}), original, length)
    other_grid = OtherSizes(network.with_steps(None), original)({"x": (2, 64)})
    assert other_grid.steps is None and rms(other_grid, original, 64) == pytest.approx(rms(network.with_steps(None), original, 64), rel=1e-3)


def test_charges_of_positions_belong_to_one_length():
    original = model()
    network = convert(original, mode="exact", calibrate=signals(60, 64), steps=6, compensate="bias")
    layers = [layer.changed(bias=rising(layer)) if layer.name == "conv1" else layer for layer in network.layers]
    with pytest.raises(UsageError, match="'conv1': charges that differ from position to position"):
        OtherSizes(network.changed(layers=tuple(layers)), original)({"x": (2, 24)})


def rising(layer):
    """Its charges, larger from position to position."""
    return (layer.bias + 0.01 * np.arange(64)[:, None]).astype(np.float32)


def test_a_range_that_no_layer_keeps_is_named():
    original = model()
    network = convert(original, mode="exact", calibrate=signals(50, 64))
    sizes = OtherSizes(network, original)
    sizes._shown.pop(next(layer.name for layer in network.layers if isinstance(layer, Spiking)))
    with pytest.raises(UsageError, match="shown at one size alone"):
        sizes({"x": (2, 24)})


def test_weights_of_few_bits_belong_to_one_length():
    original = model()
    network = convert(original, mode="exact", calibrate=signals(50, 64), steps=50, weight_bits=8)
    with pytest.raises(UsageError, match=r"weights of 8 bits; expected weights of float32.*convert without --weight-bits"):
        OtherSizes(network, original)
