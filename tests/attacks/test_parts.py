"""Head, body, tail and the embedded original have to be parts of one model: what cannot be seen in the file is refused in its first batch."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.attacks.conftest import assert_refused, run

FLOAT = TensorProto.FLOAT


def part(nodes, inputs, outputs, constants=None):
    """An ONNX model as bytes."""
    graph = helper.make_graph(
        [helper.make_node(operator, given, [made], **attributes) for operator, given, made, attributes in nodes],
        "part",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return np.frombuffer(model.SerializeToString(), np.uint8)


def with_part(field, content, **of_input):
    def change(manifest, arrays):
        arrays[f"network.{field}.npy"] = content
        manifest[field] = {"array": f"network.{field}.npy", "dtype": "|u1", "shape": [content.size]}
        next(layer for layer in manifest["layers"] if layer["kind"] == "input").update(of_input)

    return change


def head(nodes, constants=None):
    return with_part("head", part(nodes, {"x": ["n", 2, 8, 8]}, ["h"], constants), onnx_name="h")


BY_DATA = [
    ("ReduceMax", ["x"], "m", {"axes": [1, 2, 3], "keepdims": 0}),
    ("Greater", ["m", "t"], "g", {}),
    ("Compress", ["x", "g"], "h", {"axis": 0}),
]
NOT_A_NUMBER = [("Sub", ["x", "x"], "q", {}), ("Log", ["q"], "l", {}), ("Sub", ["l", "l"], "h", {})]


@pytest.mark.parametrize(
    "change, code, words",
    (
        (head(BY_DATA, {"t": np.float32(0.99)}), 3, ("'h'", "rows of")),
        (head(NOT_A_NUMBER), 4, ("x for 'h'", "nan")),
        (head([("Mul", ["x", "k"], "h", {})], {"k": np.float32(1e30)}), 4, ("x for 'h'",)),
        (
            head([("Slice", ["x", "s", "e", "a"], "h", {})], {"s": np.array([0]), "e": np.array([4]), "a": np.array([2])}),
            4,
            ("x for 'h'", "expected (n, 2, 8, 8)"),
        ),
        (with_part("tail", part([("ReduceMean", ["x"], "y", {"axes": [2, 3], "keepdims": 0})], {"x": ["n", 2, 8, 8]}, ["y"])), 3, ("tail", "'y0'")),
        (with_part("tail", part([("Softmax", ["y0"], "z", {})], {"y0": ["n", 4]}, ["z"])), 3, ("output 'y'",)),
        (lambda manifest, arrays: next(iter(manifest["layers"])).update(onnx_name="nothing"), 3, ("'nothing'",)),
        (lambda manifest, arrays: arrays.update({"network.onnx.npy": arrays["network.onnx.npy"][:500]}), 3, ("embedded model",)),
    ),
    ids=("rows by data", "NaN", "1e30", "fewer values", "tail that ignores readouts", "tail of another output", "no such input", "cut short"),
)
def test_parts_of_another_model_are_refused(attacked, small, change, code, words):
    assert_refused(run(attacked(change), "--data", small / "d.npz", "--batch", "16"), code, *words)


@pytest.mark.parametrize("tensor", ("y0", "f", "w1"))
def test_tensors_of_another_size_are_refused(attacked, small, tensor):
    """A name that the original computes has to be a tensor of one number for each neuron."""

    def change(manifest, arrays):
        manifest["layers"][1]["tensor"] = tensor

    result = run(attacked(change), "--data", small / "d.npz")
    if tensor == "w1":  # which the original does not compute: there is nothing to compare with
        assert result.exit_code == 0
    else:
        assert_refused(result, 3, f"its tensor '{tensor}' has the shape", "one for each neuron")
