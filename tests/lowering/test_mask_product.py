"""Networks that mask their own encoding: the mask's network spikes, encoder, product and decoder stay ONNX."""

import numpy as np
import pytest
from onnx import helper, numpy_helper

from tests.models import converted
from ttfs_convert.onnx_model.embedded import embedded_model
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.simulation.head_and_tail import Ends

FILTERS, SAMPLES = 6, 40


def masked(decoder: str = "ConvTranspose", activated: bool = False):
    """y = decoder(w sigmoid(mask(relu1(body(w))))), w = encoder(x), of random weights; the encoder's output is an activation where `activated`."""
    rng = np.random.default_rng(0)
    shapes = {"encoder": (FILTERS, 1, 4), "body": (5, FILTERS, 3), "mask": (FILTERS, 5, 1), "decoder": (FILTERS, 1, 4)}
    if decoder == "Conv":
        shapes["decoder"] = (2, FILTERS, 1)
    weights = {name: (rng.normal(size=shape) / np.sqrt(shape[1] * shape[2])).astype(np.float32) for name, shape in shapes.items()}
    w = "activated" if activated else "w"
    nodes = [
        helper.make_node("Conv", ["x", "encoder"], ["w"], strides=[2], pads=[2, 2]),
        *([helper.make_node("Clip", ["w", "zero", "one"], ["activated"])] if activated else []),
        helper.make_node("Conv", [w, "body"], ["b"], pads=[2, 2], dilations=[2]),
        helper.make_node("Clip", ["b", "zero", "one"], ["a"]),
        helper.make_node("Conv", ["a", "mask"], ["m"]),
        helper.make_node("Sigmoid", ["m"], ["s"]),
        helper.make_node("Mul", [w, "s"], ["p"]),
        helper.make_node(decoder, ["p", "decoder"], ["y"], **({"strides": [2], "pads": [2, 2]} if decoder == "ConvTranspose" else {})),
    ]
    ends = {"zero": np.float32(0), "one": np.float32(1)}
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in {**weights, **ends}.items()]
    graph = helper.make_graph(
        nodes,
        "masked",
        [helper.make_tensor_value_info("x", 1, ["batch", 1, SAMPLES])],
        [helper.make_tensor_value_info("y", 1, ["batch", None, None])],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def operators(part):
    return [] if part is None else [node.op_type for node in embedded_model(part, "part").graph.node]


def outputs(network, x):
    ends = Ends(network)
    return ends.outputs(simulate(network, ends.entries({"x": x})), {"x": x})["y"]


@pytest.mark.parametrize("steps", (None, 4000))
def test_signed_coefficients_enter_as_currents(steps):
    model, x = masked(), np.random.default_rng(1).normal(size=(3, 1, SAMPLES)).astype(np.float32)
    network = converted(model, mode="exact", steps=steps, input_range=None)
    assert operators(network.head) == ["Conv"] and "ConvTranspose" in operators(network.tail) and "Mul" in operators(network.tail)
    assert [layer.kind for layer in network.layers] == ["input", "spiking", "readout"] and network.inputs[0].coding == "direct"
    expected = Reference(model)({"x": x})["y"]
    assert np.abs(outputs(network, x) - expected).max() < (1e-5 if steps is None else 1e-2) * np.ptp(expected)


def test_an_encoder_that_fires_spikes():
    model, x = masked(activated=True), np.random.default_rng(1).random((3, 1, SAMPLES), np.float32)
    network = converted(model, mode="exact", steps=None)
    assert [layer.kind for layer in network.layers][:3] == ["input", "spiking", "spiking"]
    expected = Reference(model)({"x": x})["y"]
    assert np.abs(outputs(network, x) - expected).max() < 1e-5 * np.ptp(expected)
