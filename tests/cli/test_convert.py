"""`ttfs-convert` as its users see it: tables, files, errors, exit codes."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import helper, numpy_helper

from ttfs_convert.cli.convert import main
from ttfs_convert.store import load

EXAMPLE = Path(__file__).parents[2] / "examples" / "fashion_mnist" / "model.onnx"


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def model_file(path, nodes, weights, shape=(4,), output="y"):
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", *shape])],
                              [helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, ["batch", None])],
                              [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.fixture
def offender(tmp_path):
    """Two layers that break the constraints in different ways, and a readout."""
    return model_file(tmp_path / "offender.onnx", [
        helper.make_node("Gemm", ["x", "w1"], ["a"], name="first"), helper.make_node("Clip", ["a", "zero", "one"], ["b"]),
        helper.make_node("Gemm", ["b", "w2"], ["c"], name="second"), helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "w3"], ["y"], name="last")],
        {"w1": [[0.25, 0.5], [0.25, 0.5], [0.25, 0.5], [0.25, 0.5]], "w2": [[0.5] * 3, [0.5] * 3], "w3": np.ones((3, 2)), "zero": 0, "one": 1})


def test_example_converts(tmp_path):
    out = tmp_path / "snn.npz"
    result = run(EXAMPLE, "--out", out)
    assert result.exit_code == 0, result.output
    for text in ("node_Conv_71", "average_pool+conv", "fan_in", "18,816", "3,873,024", "(exempt)", "7 windows, 50 steps per window"):
        assert text in result.stdout
    network = load(out)
    assert [layer.window for layer in network.layers] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert network.onnx.tobytes() and network.mode == "strict"


def test_spiking_pools_take_windows(tmp_path):
    result = run(EXAMPLE, "--out", tmp_path / "snn.npz", "--pooling", "spiking", "--steps", "continuous", "--no-embed", "--json", "-")
    content = json.loads(result.stdout)
    assert content["windows"] == 9 and content["steps"] is None
    assert [layer["kind"] for layer in content["layers"]].count("average_pool") == 2
    assert load(tmp_path / "snn.npz").onnx is None


def test_all_offenders_in_one_table(offender, tmp_path):
    result = run(offender, "--out", tmp_path / "snn.npz")
    assert result.exit_code == 3
    assert not (tmp_path / "snn.npz").exists()
    for text in ("first", "weight sum is not 1", "second", "activation is ReLU, not ReLU1", "train with"):
        assert text in result.stderr
    first = next(line for line in result.stderr.splitlines() if line.strip().startswith("first "))
    assert first.split()[6:8] == ["1", "1"]  # one neuron of two is off, by 2 - 1
    assert "error: " in result.stderr and "2 layers would not convert without loss" in result.stderr


def test_unchecked_lists_but_converts(offender, tmp_path):
    result = run(offender, "--out", tmp_path / "snn.npz", "--mode", "unchecked")
    assert result.exit_code == 0
    assert "weight sum is not 1" in result.stdout and "activation is ReLU" in result.stdout
    assert "note: mode unchecked" in result.stderr
    assert load(tmp_path / "snn.npz").mode == "unchecked"


def test_all_unsupported_nodes_at_once(tmp_path):
    path = model_file(tmp_path / "m.onnx", [helper.make_node("Elu", ["x"], ["a"], name="elu"), helper.make_node("Gemm", ["x", "w"], ["b"]),
                                            helper.make_node("LeakyRelu", ["b"], ["c"], name="leaky"), helper.make_node("Add", ["a", "c"], ["y"])],
                      {"w": np.eye(4)})
    result = run(path, "--out", tmp_path / "snn.npz")
    assert result.exit_code == 3
    for text in ("elu", "Elu", "leaky", "LeakyRelu", "a neuron cannot send a negative value", "train with ReLU1", "2 unsupported nodes"):
        assert text in result.stderr


@pytest.mark.parametrize("arguments,text", [
    (("--steps", "0"), "0 is not between 1 and 65535"), (("--steps", "many"), "neither a whole number nor 'continuous'"),
    (("--tolerance", "-1"), "-1"), (("--mode", "gentle"), "gentle"),
])
def test_usage_errors(tmp_path, arguments, text):
    result = run(EXAMPLE, "--out", tmp_path / "snn.npz", *arguments)
    assert result.exit_code == 2 and text in result.stderr
    assert not list(tmp_path.iterdir())


def test_missing_model_and_missing_folder(tmp_path):
    assert run(tmp_path / "none.onnx", "--out", tmp_path / "snn.npz").exit_code == 2
    result = run(EXAMPLE, "--out", tmp_path / "no" / "snn.npz")
    assert result.exit_code == 2 and "name a folder that exists" in result.stderr


def broken_files(folder):
    good = EXAMPLE.read_bytes()
    (folder / "text.onnx").write_text("not a model at all")
    (folder / "cut.onnx").write_bytes(good[:len(good) // 2])
    (folder / "empty.onnx").write_bytes(b"")
    model = onnx.load(EXAMPLE)
    onnx.save(model, folder / "external.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    (folder / "weights.bin").unlink()
    return {"text.onnx": "is not an ONNX model", "cut.onnx": "is not an ONNX model or is cut short",
            "empty.onnx": "without an ONNX graph", "external.onnx": "external data"}


@pytest.mark.parametrize("name", ["text.onnx", "cut.onnx", "empty.onnx", "external.onnx"])
def test_broken_models_give_one_line(tmp_path, name):
    text = broken_files(tmp_path)[name]
    result = run(tmp_path / name, "--out", tmp_path / "snn.npz")
    assert result.exit_code == 3
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and name in lines[0] and text in lines[0]
    assert not (tmp_path / "snn.npz").exists()
