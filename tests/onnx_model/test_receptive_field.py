"""The receptive field read off a graph, held against what really changes when one sample does."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from ttfs_convert.errors import ModelError
from ttfs_convert.onnx_model.receptive_field import ReceptiveField, receptive_field
from ttfs_convert.onnx_model.reference import Reference

SAMPLES = 96


def model(*nodes, **weights):
    tensors = [numpy_helper.from_array(np.full(shape, 0.5, np.float32), name) for name, shape in weights.items()]
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, outputs, **attributes) for operator, inputs, outputs, attributes in nodes],
        "signal",
        [helper.make_tensor_value_info("x", 1, ["batch", 1, "samples"])],
        [helper.make_tensor_value_info("y", 1, ["batch", None, None])],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def conv(source, target, weights, **attributes):
    return "Conv", [source, weights], [target], {"kernel_shape": [attributes.pop("kernel", 3)], **attributes}


MODELS = {
    "one": model(conv("x", "y", "w", pads=[1, 1]), w=(1, 1, 3)),
    "causal": model(conv("x", "y", "w", pads=[4, 0], dilations=[2]), w=(1, 1, 3)),
    "residual": model(conv("x", "a", "w", pads=[4, 4], dilations=[4]), ("Add", ["a", "x"], ["y"], {}), w=(1, 1, 3)),
    "strided": model(
        conv("x", "a", "w", pads=[2, 2], strides=[4], kernel=8),
        conv("a", "b", "v", pads=[3, 3], dilations=[3]),
        ("Sigmoid", ["b"], ["s"], {}),
        ("Mul", ["a", "s"], ["p"], {}),
        ("ConvTranspose", ["p", "u"], ["y"], {"kernel_shape": [8], "strides": [4], "pads": [2, 2]}),
        w=(2, 1, 8),
        v=(2, 2, 3),
        u=(2, 1, 8),
    ),
    "pooled": model(
        ("AveragePool", ["x"], ["a"], {"kernel_shape": [3], "strides": [3]}),
        ("ConvTranspose", ["a", "u"], ["y"], {"kernel_shape": [3], "strides": [3]}),
        u=(1, 1, 3),
    ),
}


def changed(graph: onnx.ModelProto, at: int) -> np.ndarray:
    """Which samples of the output change with sample `at` of the input."""
    x = np.random.default_rng(0).normal(size=(1, 1, SAMPLES)).astype(np.float32)
    other = x.copy()
    other[0, 0, at] += 1
    outputs = [Reference(graph)({"x": each})["y"][0, 0] for each in (x, other)]
    return np.flatnonzero(np.abs(outputs[0] - outputs[1]) > 1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_nothing_beyond_the_field_changes_and_what_lies_at_its_ends_does(name):
    field = receptive_field(MODELS[name])
    reached = [(at, int(i)) for at in range(36, 60) for i in changed(MODELS[name], at)]
    before, after = max(i - at for at, i in reached), max(at - i for at, i in reached)
    assert before <= field.before < before + field.grain and after <= field.after < after + field.grain
    assert SAMPLES % field.grain == 0


def test_the_grain_is_that_of_all_strides():
    assert [receptive_field(MODELS[name]).grain for name in ("one", "strided", "pooled")] == [1, 4, 3]
    assert receptive_field(MODELS["causal"]) == ReceptiveField(4, 0, 1)


@pytest.mark.parametrize(
    "node, text",
    (
        (("GlobalAveragePool", ["x"], ["y"], {}), "GlobalAveragePool, which may look at a whole signal"),
        (("Softmax", ["x"], ["y"], {"axis": -1}), "Softmax, which may"),
        (("Conv", ["x", "w"], ["y"], {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}), "1/2 samples for each"),
    ),
)
def test_what_looks_at_a_whole_signal_is_named(node, text):
    with pytest.raises(ModelError, match=text):
        receptive_field(model(node, w=(1, 1, 3)))
