"""A U-Net along a signed signal, with a skip, a transposed convolution and odd lengths: samples of its size and of others, with targets or not."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ttfs_convert import convert, evaluate
from ttfs_convert.onnx_model.reference import Reference


def unet() -> onnx.ModelProto:
    """Strides of 2 down and up again; one sample that the transposed convolution gives too many is cut off, whatever the length."""
    rng, constants = np.random.default_rng(0), []

    def weights(name, *shape):
        constants.append(numpy_helper.from_array(rng.normal(0, 0.6 / np.sqrt(shape[1]), shape).astype(np.float32), name))
        return name

    constants += [numpy_helper.from_array(np.array([each], np.int64), name) for name, each in (("zero", 0), ("axis", 2))]
    nodes = [
        helper.make_node("Conv", ["x", weights("w1", 6, 1, 3)], ["c1"], "down1", pads=[1, 1]),
        helper.make_node("Relu", ["c1"], ["a1"], "relu1"),
        helper.make_node("Conv", ["a1", weights("w2", 8, 6, 3)], ["c2"], "down2", pads=[1, 1], strides=[2]),
        helper.make_node("LeakyRelu", ["c2"], ["a2"], "relu2", alpha=0.1),
        helper.make_node("ConvTranspose", ["a2", weights("w3", 8, 6, 4)], ["c3"], "up", pads=[1, 1], strides=[2]),
        helper.make_node("Relu", ["c3"], ["a3"], "relu3"),
        helper.make_node("Shape", ["x"], ["length"], "length", start=2),
        helper.make_node("Slice", ["a3", "zero", "length", "axis"], ["cut"], "cut"),
        helper.make_node("Concat", ["cut", "a1"], ["both"], "skip", axis=1),
        helper.make_node("Conv", ["both", weights("w4", 1, 12, 1)], ["y"], "last"),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1, "length"]) for name in ("x", "y")]
    return helper.make_model(
        helper.make_graph(nodes, "unet", values[:1], values[1:], constants), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )


def signals(length, seed):
    return np.random.default_rng(seed).normal(0, 1, (40, 1, length)).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    return convert(unet(), mode="exact", calibrate=np.concatenate([signals(101, seed) for seed in range(5)]), input_range=None)


@pytest.mark.parametrize("length", (101, 64, 77))
def test_samples_of_any_length_run(network, length):
    x = signals(length, length)
    found = evaluate(network, x, steps=None)
    (output,) = found.report.outputs
    assert found.report.drift.max_output_error < 0.05 * np.abs(Reference(unet())(x)["y"]).max()  # values beyond the ranges are cut off
    assert output.name == "y"
    again = [note for note in found.notes if "was converted again for this size" in note]
    assert len(again) == (length != 101) and (
        length == 101 or again[0].startswith(f"the samples are 1x{length}, the network was converted for 1x101")
    )


@pytest.mark.parametrize("task, measure", (("regression", "rmse"), ("reconstruction", "psnr")))
def test_targets_of_another_length(network, task, measure):
    x = signals(64, 1)
    targets = Reference(unet())(x)["y"] + np.random.default_rng(2).normal(0, 0.3, x.shape).astype(np.float32)
    found = evaluate(network, (x, targets), task=task)
    score = found.scores[measure]
    assert score.samples == 40 and abs(score.drift) < 0.05 * abs(score.ann)
