"""The original network under ONNX Runtime, its inner tensors, models of a fixed batch, and weights in a folder."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ttfs_convert.errors import DataError, ModelError
from ttfs_convert.onnx_model.reference import Reference, _Apart, equal

RNG = np.random.default_rng(0)
W1, B1, W2 = (RNG.normal(size=shape).astype(np.float32) for shape in ((6, 5), (5,), (5, 3)))
X = RNG.uniform(size=(10, 6)).astype(np.float32)


def model_of(batch: str | int) -> onnx.ModelProto:
    constants = {"w1": W1, "b1": B1, "w2": W2, "zero": np.float32(0), "one": np.float32(1)}
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["potential"]),
        helper.make_node("Clip", ["potential", "zero", "one"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "w2"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 3])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def by_hand(x: np.ndarray) -> dict[str, np.ndarray]:
    potential = x.astype(np.float64) @ W1 + B1
    hidden = np.minimum(np.maximum(potential, 0), 1)
    return {"potential": potential, "hidden": hidden, "y": hidden @ W2}


def assert_by_hand(values: dict[str, np.ndarray], names: set[str], x: np.ndarray) -> None:
    assert set(values) == names
    for name in names:
        assert values[name].dtype == np.float32
        np.testing.assert_allclose(values[name], by_hand(x)[name], atol=1e-5)


def test_tapped_tensors():
    reference = Reference(model_of("n"), ["hidden", "nowhere", "potential", "hidden", "y", "x", "w1"])
    assert reference.available == ["hidden", "potential", "y"] and reference.names == ["y", "hidden", "potential"]
    assert_by_hand(reference(X), {"potential", "hidden", "y"}, X)


def test_without_taps_there_are_only_the_outputs():
    assert_by_hand(Reference(model_of("n"))(X), {"y"}, X)


def test_the_model_itself_stays_as_it_is():
    model = model_of("n")
    Reference(model, ["hidden"])
    assert model == model_of("n")


@pytest.mark.parametrize("batch", [1, 4, 10])
@pytest.mark.parametrize("images", [1, 3, 4, 8, 10])
def test_a_fixed_batch_gives_the_same(batch, images):
    names = ["potential", "hidden"]
    values, dynamic = Reference(model_of(batch), names)(X[:images]), Reference(model_of("n"), names)(X[:images])
    assert_by_hand(values, {"potential", "hidden", "y"}, X[:images])
    for name in values:
        assert values[name].shape == dynamic[name].shape
        np.testing.assert_allclose(values[name], dynamic[name], atol=1e-6)


def test_initialisers_among_the_inputs_are_no_inputs():
    model = model_of("n")
    model.graph.input.insert(0, helper.make_tensor_value_info("w1", TensorProto.FLOAT, [6, 5]))
    assert_by_hand(Reference(model)(X), {"y"}, X)


def test_several_inputs_are_given_by_name():
    model = model_of("n")
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["n", 6]))
    model.graph.output.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["n", 6]))
    reference = Reference(model)
    assert list(reference.inputs) == [model.graph.input[0].name, "mask"] and reference.inputs["mask"][0] == (6,)
    with pytest.raises(DataError, match="nothing for the input mask"):
        reference(np.zeros((2, *reference.inputs[model.graph.input[0].name][0]), np.float32))


def test_refuses_what_onnx_runtime_cannot_run():
    model = model_of("n")
    model.graph.node[2].domain = "somebody.else"
    model.opset_import.append(helper.make_opsetid("somebody.else", 1))
    with pytest.raises(ModelError, match="ONNX Runtime cannot run it.*somebody.else") as caught:
        Reference(model)
    assert "\n" not in str(caught.value)


# Weights in a folder


def in_folder(folder: Path, batch: str | int = "n") -> onnx.ModelProto:
    onnx.save(model_of(batch), folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    return onnx.load(folder / "model.onnx", load_external_data=False)


def test_external_data_beside_the_model(tmp_path):
    model = in_folder(tmp_path)
    reference = Reference(model, ["potential", "hidden"], folder=tmp_path)
    assert_by_hand(reference(X), {"potential", "hidden", "y"}, X)
    assert model == onnx.load(tmp_path / "model.onnx", load_external_data=False)


def test_two_sessions_share_a_folder_and_outlive_it(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    tapped, fixed = Reference(in_folder(folder), ["hidden"], folder=folder), Reference(in_folder(folder, 4), folder=folder)
    shutil.rmtree(folder)
    assert_by_hand(tapped(X), {"hidden", "y"}, X)
    assert_by_hand(fixed(X), {"y"}, X)


def test_a_folder_does_no_harm_to_a_model_with_its_weights_inside(tmp_path):
    assert_by_hand(Reference(model_of("n"), ["hidden"], folder=tmp_path)(X), {"hidden", "y"}, X)


def test_refuses_external_data_without_its_folder_or_file(tmp_path, monkeypatch):
    model = in_folder(tmp_path)
    (tmp_path / "weights.bin").unlink()
    monkeypatch.chdir(tmp_path)
    for folder in (None, tmp_path):
        with pytest.raises(ModelError, match="ONNX Runtime cannot run it") as caught:
            Reference(model, folder=folder)
        assert caught.value.exit_code == 3 and "\n" not in str(caught.value)


VALUES = np.random.default_rng(3).normal(size=(4, 5)).astype(np.float32)
OTHERS = {
    "the same": lambda x: x,
    "rounding": lambda x: x * np.float32(1 + 2e-6),
    "one off": lambda x: np.where(np.arange(20).reshape(4, 5) == 17, x + np.float32(1e-2), x),
    "not a number, both": lambda x: x,
    "not a number": lambda x: np.where(x > 0, np.float32(np.nan), x),
    "infinite": lambda x: np.where(x > 0, np.float32(np.inf), x),
    "another shape": lambda x: x[:, :4],
    "integers": lambda x: x.astype(np.int64) + 1,
}


@pytest.mark.parametrize("name", OTHERS)
def test_part_by_part_as_the_whole(name):
    together, alone = VALUES.copy(), OTHERS[name](VALUES.copy())
    if name == "not a number, both":
        together[2, 1] = alone[2, 1] = np.nan
    if name == "integers":
        together = VALUES.astype(np.int64)
    found = _Apart()
    for row in range(4):
        found.add(name, together, alone[row : row + 1], slice(row, row + 1), 4)
    assert found.equal == equal(together, alone) == (name in ("the same", "rounding", "not a number, both"))
    nothing = _Apart()
    nothing.add(name, None, alone, slice(0, 4), 4)
    assert not nothing.equal
