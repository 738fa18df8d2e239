"""Untrusted ONNX files: one clear line for every kind of broken one, and what normalisation folds away."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from ttfs_convert.conversion import convert
from ttfs_convert.errors import ModelError
from ttfs_convert.onnx_file import load_onnx, normalise, sha256_of


def model_of(nodes, constants, shape, out_shape) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, out_shape)],
                              [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def linear(batch: str | int = "n") -> onnx.ModelProto:
    weights = np.arange(12, dtype=np.float32).reshape(4, 3)
    return model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": weights}, [batch, 4], [batch, 3])


def assert_refused(path: Path, *fragments: str) -> None:
    with pytest.raises(ModelError) as caught:
        convert(path)
    text = str(caught.value)
    assert caught.value.exit_code == 3 and text.startswith(str(path)) and "\n" not in text and len(text) < 1000
    for fragment in fragments:
        assert fragment in text


def write(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def test_loads_a_good_model(tmp_path):
    path = write(tmp_path / "good.onnx", linear())
    assert load_onnx(path) == linear() == load_onnx(str(path))


@pytest.mark.parametrize("name, content, fragment", [
    ("empty.onnx", b"", "without an ONNX graph"),
    ("text.onnx", b"not a model\nat all", "not an ONNX model"),
    ("text.json", b'{"no": "model"}', "not an ONNX model"),
    ("text.onnxtxt", b"<no model", "not an ONNX model"),
    ("text.textproto", b"no model", "not an ONNX model"),
    ("random.onnx", np.random.default_rng(0).bytes(1000), "not an ONNX model"),
    ("tensor.onnx", numpy_helper.from_array(np.arange(50.0)).SerializeToString(), "ONNX"),
    ("graph.onnx", linear().graph.SerializeToString(), "ONNX"),
    ("no_nodes.onnx", model_of([], {}, ["n", 4], ["n", 4]).SerializeToString(), "without an ONNX graph"),
])
def test_refuses_what_is_no_model(tmp_path, name, content, fragment):
    path = tmp_path / name
    path.write_bytes(content)
    assert_refused(path, fragment)


def test_the_file_name_does_not_choose_the_format(tmp_path):
    assert load_onnx(write(tmp_path / "model.json", linear())) == linear()


def test_refuses_files_that_cannot_be_read(tmp_path):
    assert_refused(tmp_path, "cannot be read")
    assert_refused(tmp_path / "absent.onnx", "No such file")


def test_refuses_every_truncation(tmp_path):
    content = linear().SerializeToString()
    path = tmp_path / "cut.onnx"
    for end in range(1, len(content)):
        path.write_bytes(content[:end])
        with pytest.raises(ModelError) as caught:
            load_onnx(path)
        assert caught.value.exit_code == 3 and str(path) in str(caught.value) and "\n" not in str(caught.value)


def external(folder: Path, **fields: str) -> Path:
    """The linear model with its weights in weights.bin, the entry of the external data changed by `fields`."""
    path = folder / "external.onnx"
    onnx.save(linear(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    model = onnx.load(path, load_external_data=False)
    entries = {entry.key: entry for entry in model.graph.initializer[0].external_data}
    for key, value in fields.items():
        entries[key].value = value
    return write(path, model)


def test_external_data_is_loaded(tmp_path):
    path = external(tmp_path)
    assert not onnx.load(path, load_external_data=False).graph.initializer[0].raw_data
    (loaded,), (original,) = load_onnx(path).graph.initializer, linear().graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(loaded), numpy_helper.to_array(original))


def test_refuses_external_data_that_is_missing_or_short(tmp_path):
    path = external(tmp_path)
    weights = tmp_path / "weights.bin"
    weights.write_bytes(weights.read_bytes()[:20])
    assert_refused(path, "external data cannot be read")
    weights.unlink()
    assert_refused(path, "external data cannot be read", "keep both files together")


@pytest.mark.parametrize("location", ["../weights.bin", "inner/../../weights.bin", "absolute"])
def test_refuses_external_data_outside_the_folder(tmp_path, location):
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    external(tmp_path)  # so that the file outside exists
    path = external(folder, location=str(tmp_path / "weights.bin") if location == "absolute" else location)
    assert_refused(path, "external data cannot be read", "inside its folder")


@pytest.mark.parametrize("fields", [{"length": str(10**15)}, {"offset": "100"}, {"offset": "-4"}, {"length": "many"}])
def test_refuses_external_data_of_impossible_size(tmp_path, fields):
    assert_refused(external(tmp_path, **fields), "external data cannot be read")


def test_refuses_what_the_checker_refuses(tmp_path):
    model = linear()
    model.graph.node[0].input[0] = "nowhere"
    assert_refused(write(tmp_path / "bad.onnx", model), "checker", "nowhere", "topologically sorted")
    model = linear()
    model.graph.initializer[0].raw_data = b"123"
    assert_refused(write(tmp_path / "short.onnx", model), "checker", "raw_data")


def test_refuses_what_onnx_runtime_cannot_run(tmp_path):
    model = linear()
    model.graph.node[0].domain = "somebody.else"
    model.opset_import.append(helper.make_opsetid("somebody.else", 1))
    assert_refused(write(tmp_path / "custom.onnx", model), "ONNX Runtime cannot run it", "somebody.else")
    wrong = model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": np.ones((5, 3), np.float32)}, ["n", 4], ["n", 3])
    assert_refused(write(tmp_path / "sizes.onnx", wrong), "ONNX Runtime cannot run it")


def test_refuses_a_fixed_batch_that_reshapes_rely_on(tmp_path):
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"])]
    constants = {"shape": np.array([4, 4]), "w": np.ones((4, 3), np.float32)}
    path = write(tmp_path / "batch.onnx", model_of(nodes, constants, [4, 2, 2], [4, 3]))
    assert_refused(path, "with one image", "dynamic batch")


def test_refuses_dynamic_axes_besides_the_batch(tmp_path):
    for size in ("width", None, 0):
        model = model_of([helper.make_node("Relu", ["x"], ["y"])], {}, ["n", 3, size], ["n", 3, size])
        with pytest.raises(ModelError, match="axis 2 of input 'x' has no fixed size .*only the batch") as caught:
            normalise(model, "model.onnx")
        assert caught.value.exit_code == 3 and str(caught.value).startswith("model.onnx")


def test_refuses_two_inputs(tmp_path):
    model = linear()
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["n", 4]))
    assert_refused(write(tmp_path / "two.onnx", model), "2 inputs (x, mask)")


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@pytest.fixture
def exported() -> onnx.ModelProto:
    """Conv, BatchNorm, Relu, Clip, Identity, Dropout, Flatten by shape arithmetic, Gemm; dynamic batch."""
    rng = np.random.default_rng(3)
    constants = {"w": rng.normal(size=(3, 2, 3, 3)).astype(np.float32), "scale": rng.uniform(0.5, 2, 3).astype(np.float32),
                 "shift": rng.normal(size=3).astype(np.float32), "mean": rng.normal(size=3).astype(np.float32),
                 "variance": rng.uniform(0.5, 2, 3).astype(np.float32), "zero": np.float32(0), "one": np.float32(1),
                 "first": np.array(0), "axes": np.array([0]), "rest": np.array([-1]),
                 "w2": rng.normal(size=(48, 5)).astype(np.float32), "b2": rng.normal(size=5).astype(np.float32)}
    nodes = [helper.make_node("Conv", ["x", "w"], ["conv"], pads=[1, 1, 1, 1]),
             helper.make_node("BatchNormalization", ["conv", "scale", "shift", "mean", "variance"], ["norm"]),
             helper.make_node("Relu", ["norm"], ["relu"]), helper.make_node("Clip", ["relu", "zero", "one"], ["clip"]),
             helper.make_node("Identity", ["clip"], ["same"]), helper.make_node("Dropout", ["same"], ["dropped"]),
             helper.make_node("Shape", ["dropped"], ["shape"]), helper.make_node("Gather", ["shape", "first"], ["batch"]),
             helper.make_node("Unsqueeze", ["batch", "axes"], ["row"]),
             helper.make_node("Concat", ["row", "rest"], ["wanted"], axis=0),
             helper.make_node("Reshape", ["dropped", "wanted"], ["flat"]), helper.make_node("Gemm", ["flat", "w2", "b2"], ["y"])]
    model = model_of(nodes, constants, ["n", 2, 4, 4], ["n", 5])
    onnx.checker.check_model(model)
    return model


def test_normalise_folds_what_is_not_ours(exported):
    before = exported.SerializeToString()
    simple = normalise(exported, "model.onnx")
    assert [node.op_type for node in simple.graph.node] == ["Conv", "Clip", "Reshape", "Gemm"]
    assert len(simple.graph.node[0].input) == 3  # BatchNorm has become a bias
    assert exported.SerializeToString() == before
    x = np.random.default_rng(4).uniform(size=(1, 2, 4, 4)).astype(np.float32)
    np.testing.assert_allclose(run(simple, x), run(exported, x), atol=1e-5)


def test_normalise_fixes_the_batch_and_knows_all_shapes(exported):
    simple = normalise(exported, "model.onnx")
    values = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
              for value in (*simple.graph.input, *simple.graph.value_info, *simple.graph.output)}
    shapes = [values[node.output[0]] for node in simple.graph.node]
    assert values["x"] == [1, 2, 4, 4] and shapes == [[1, 3, 4, 4], [1, 3, 4, 4], [1, 48], [1, 5]]


def test_normalise_replaces_a_fixed_batch_everywhere():
    nodes = [helper.make_node("Sigmoid", ["x"], ["hidden"]), helper.make_node("MatMul", ["hidden", "w"], ["y"])]
    model = model_of(nodes, {"w": np.ones((4, 3), np.float32)}, [8, 4], [8, 3])
    model.graph.value_info.append(helper.make_tensor_value_info("hidden", TensorProto.FLOAT, [8, 4]))
    simple = normalise(model, "model.onnx")
    values = (*simple.graph.input, *simple.graph.value_info, *simple.graph.output)
    assert {value.name: value.type.tensor_type.shape.dim[0].dim_value for value in values} == {"x": 1, "hidden": 1, "y": 1}


def test_normalise_takes_initialisers_that_are_also_inputs():
    model = linear()
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 3]))
    simple = normalise(model, "model.onnx")
    x = np.ones((1, 4), np.float32)
    np.testing.assert_array_equal(run(simple, x), run(linear(), x))


def test_sha256_of_bytes():
    assert sha256_of(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
