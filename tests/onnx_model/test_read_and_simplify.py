"""Untrusted ONNX files: one clear line for every kind of broken one, what simplification folds away, and weights that stay on disk."""

import hashlib
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.errors import ModelError
from ttfs_convert.network.store import save
from ttfs_convert.onnx_model import external_data
from ttfs_convert.onnx_model.read import load_onnx
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.onnx_model.sha256 import sha256_of
from ttfs_convert.onnx_model.simplify import simplified
from ttfs_convert.studies.inspection import inspect_model


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files; whatever a test does, success or failure, nothing may be left in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())


def model_of(nodes, constants, shape, out_shape) -> onnx.ModelProto:
    tensors = [value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out_shape)],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def linear(batch: str | int = "n") -> onnx.ModelProto:
    weights = np.arange(12, dtype=np.float32).reshape(4, 3)
    return model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": weights}, [batch, 4], [batch, 3])


RNG = np.random.default_rng(5)
LARGE = {
    "w1": RNG.normal(size=(40, 33)).astype(np.float32),
    "b1": RNG.normal(size=33).astype(np.float32),
    "w2": RNG.normal(size=(33, 31)).astype(np.float32),
    "zero": np.array(0, np.float32),
    "one": np.array(1, np.float32),
}


def large(**changes) -> onnx.ModelProto:
    """Two fully connected layers with ReLU1 between, both weights larger than `external_data.SMALL` and of odd sizes."""
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["a"]),
        helper.make_node("Clip", ["a", "zero", "one"], ["b"]),
        helper.make_node("MatMul", ["b", "w2"], ["y"]),
    ]
    return model_of(nodes, {**LARGE, **changes}, ["n", 40], ["n", 31])


def assert_refused(path: Path, *fragments: str, by=(convert, load_onnx)) -> None:
    for function in by:
        with pytest.raises(ModelError) as caught:
            function(path)
        text = str(caught.value)
        assert caught.value.exit_code == 3 and text.startswith(str(path)) and "\n" not in text and len(text) < 1000
        for fragment in fragments:
            assert fragment in text


def write(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def test_loads_a_good_model_whatever_its_name(tmp_path):
    for name in ("good.onnx", "model.json"):
        path = write(tmp_path / name, linear())
        assert load_onnx(path) == linear() == load_onnx(str(path))


@pytest.mark.parametrize(
    "name, content, fragment",
    [
        ("empty.onnx", b"", "is empty"),
        ("text.onnx", b"not a model\nat all", "is a text file; expected an ONNX model"),
        ("text.json", b'{"no": "model"}', "is a JSON file; expected an ONNX model"),
        ("text.onnxtxt", b"<no model", "is a text file; expected an ONNX model"),
        ("text.textproto", b"no model", "is a text file; expected an ONNX model"),
        ("random.onnx", np.random.default_rng(0).bytes(1000), "not an ONNX model"),
        ("tensor.onnx", numpy_helper.from_array(np.arange(50.0)).SerializeToString(), "ONNX"),
        ("graph.onnx", linear().graph.SerializeToString(), "ONNX"),
        ("no_nodes.onnx", model_of([], {}, ["n", 4], ["n", 4]).SerializeToString(), "without an ONNX graph"),
    ],
)
def test_refuses_what_is_no_model(tmp_path, name, content, fragment):
    path = tmp_path / name
    path.write_bytes(content)
    assert_refused(path, fragment)


def test_refuses_files_that_cannot_be_read(tmp_path):
    assert_refused(tmp_path, "cannot be read")
    assert_refused(tmp_path / "absent.onnx", "No such file")


def test_refuses_every_truncation(tmp_path):
    path = tmp_path / "cut.onnx"
    for content, stride in ((linear().SerializeToString(), 1), (large().SerializeToString(), 499)):
        for end in range(1, len(content), stride):
            path.write_bytes(content[:end])
            assert_refused(path)


# External data


def external(folder: Path, model: onnx.ModelProto | None = None, location: str = "weights.bin", **fields: str) -> Path:
    """`model` (the linear one) with its weights at `location` in `folder`, the first entry of its data changed by `fields`."""
    path = folder / "external.onnx"
    (folder / location).parent.mkdir(exist_ok=True)
    onnx.save(model or linear(), path, save_as_external_data=True, location=location, size_threshold=0)
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
    path = external(tmp_path, large())
    weights = tmp_path / "weights.bin"
    weights.write_bytes(weights.read_bytes()[:20])
    assert_refused(path, "external data cannot be read")
    weights.unlink()
    assert_refused(path, "external data cannot be read", "keep both files together")
    weights.mkdir()
    assert_refused(path, "external data cannot be read")


@pytest.mark.parametrize("location", ["../weights.bin", "inner/../../weights.bin", "absolute"])
def test_refuses_external_data_outside_the_folder(tmp_path, location):
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    external(tmp_path)  # so that the file outside exists
    path = external(folder)
    model = onnx.load(path, load_external_data=False)
    entry = next(entry for entry in model.graph.initializer[0].external_data if entry.key == "location")
    entry.value = str(tmp_path / "weights.bin") if location == "absolute" else location
    assert_refused(write(path, model), "external data cannot be read", "inside its folder")


def test_refuses_external_data_by_a_symbolic_link_to_the_outside(tmp_path):
    (tmp_path / "model").mkdir()
    path = external(tmp_path / "model")
    (tmp_path / "model" / "weights.bin").rename(tmp_path / "outside.bin")
    (tmp_path / "model" / "weights.bin").symlink_to(tmp_path / "outside.bin")
    assert_refused(path, "external data cannot be read", "symbolic link")


@pytest.mark.parametrize("fields", [{"length": str(10**15)}, {"offset": "100000"}, {"offset": "-4"}, {"length": "many"}])
@pytest.mark.parametrize("model", [linear(), large()])
def test_refuses_external_data_of_impossible_size(tmp_path, model, fields):
    assert_refused(external(tmp_path, model, **fields), "external data cannot be read")


def test_refuses_what_the_checker_refuses(tmp_path):
    model = linear()
    model.graph.node[0].input[0] = "nowhere"
    assert_refused(write(tmp_path / "bad.onnx", model), "checker", "nowhere", "topologically sorted")
    model = linear()
    model.graph.initializer[0].raw_data = b"123"
    checked = tuple(map(int, onnx.__version__.split(".")[:2])) >= (1, 23)  # by older versions not, but ONNX Runtime refuses it
    assert_refused(write(tmp_path / "short.onnx", model), "size", by=(convert, load_onnx) if checked else [convert])


@pytest.mark.parametrize("content", [LARGE["w1"].tobytes()[:-4], LARGE["w1"].tobytes() + bytes(4), LARGE["w1"].tobytes() * 2])
def test_refuses_weights_whose_length_contradicts_their_shape(tmp_path, content):
    model = large()
    model.graph.initializer[0].raw_data = content
    assert_refused(write(tmp_path / "length.onnx", model), "w1", f"{len(content)} bytes", f"{LARGE['w1'].nbytes}", by=[convert])
    path = external(tmp_path, large(), length=str(LARGE["w1"].nbytes - 4))
    assert_refused(path, "w1", f"{LARGE['w1'].nbytes - 4} bytes", by=[convert])


@pytest.mark.parametrize("dims", [(-40, 33), (40, 33, 0), (40,), (2**40, 2**40)])
def test_refuses_weights_of_impossible_shape(tmp_path, dims):
    model = large()
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend(dims)
    assert_refused(write(tmp_path / "dims.onnx", model), by=[convert])


@pytest.mark.parametrize("data_type", [0, 99])
def test_refuses_large_weights_of_an_unknown_type(tmp_path, data_type):
    model = large()
    model.graph.initializer[0].data_type = data_type
    assert_refused(write(tmp_path / "type.onnx", model), by=[convert])


def test_refuses_sparse_weights_that_do_not_fit(tmp_path):
    model = linear()
    del model.graph.initializer[:]
    values, places = numpy_helper.from_array(np.ones(3, np.float32), "w"), numpy_helper.from_array(np.array([0, 5, 12]), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [4, 3]))
    assert_refused(write(tmp_path / "sparse.onnx", model), by=[convert])


def test_refuses_what_onnx_runtime_cannot_run(tmp_path):
    model = linear()
    model.graph.node[0].domain = "somebody.else"
    model.opset_import.append(helper.make_opsetid("somebody.else", 1))
    assert_refused(write(tmp_path / "custom.onnx", model), "MatMul 'y' is an operator of the domain somebody.else", by=[convert])
    assert_refused(write(tmp_path / "sizes.onnx", large(w2=np.ones((5, 31), np.float32))), "ONNX Runtime cannot run it", by=[convert])


def test_no_message_names_a_temporary_file(tmp_path, temporary):
    with pytest.raises(ModelError) as caught:
        convert(write(tmp_path / "sizes.onnx", large(w2=np.ones((5, 31), np.float32))))
    assert str(temporary) not in str(caught.value)


def test_refuses_a_fixed_batch_that_reshapes_rely_on(tmp_path):
    nodes = [
        helper.make_node("Reshape", ["x", "halves"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["z"]),
        helper.make_node("Reshape", ["z", "rows"], ["y"]),
    ]
    constants = {"halves": np.array([8, 2]), "rows": np.array([4, 6]), "w": np.ones((2, 3), np.float32)}
    path = write(tmp_path / "batch.onnx", model_of(nodes, constants, [4, 2, 2], [4, 6]))
    assert_refused(path, "with one image, instead of the 4 that it was exported for", "dynamic batch", by=[convert])


def test_refuses_dynamic_axes_besides_the_batch(tmp_path):
    for size in ("width", None, 0):
        model = model_of([helper.make_node("Relu", ["x"], ["y"])], {}, ["n", 3, size], ["n", 3, size])
        path = write(tmp_path / "model.onnx", model)
        assert_refused(path, "axis 2 of input 'x' has no fixed size", "only the batch", by=[convert, inspect_model])


# Simplification


def outputs(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


@pytest.fixture
def exported() -> onnx.ModelProto:
    """Conv, BatchNorm, Relu, Clip, Identity, Dropout, Flatten by shape arithmetic, Gemm; dynamic batch."""
    rng = np.random.default_rng(3)
    constants = {
        "w": rng.normal(size=(3, 2, 3, 3)).astype(np.float32),
        "scale": rng.uniform(0.5, 2, 3).astype(np.float32),
        "shift": rng.normal(size=3).astype(np.float32),
        "mean": rng.normal(size=3).astype(np.float32),
        "variance": rng.uniform(0.5, 2, 3).astype(np.float32),
        "zero": np.float32(0),
        "one": np.float32(1),
        "first": np.array(0),
        "axes": np.array([0]),
        "rest": np.array([-1]),
        "w2": rng.normal(size=(48, 7)).astype(np.float32),
        "b2": rng.normal(size=7).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["conv"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["conv", "scale", "shift", "mean", "variance"], ["norm"]),
        helper.make_node("Relu", ["norm"], ["relu"]),
        helper.make_node("Clip", ["relu", "zero", "one"], ["clip"]),
        helper.make_node("Identity", ["clip"], ["same"]),
        helper.make_node("Dropout", ["same"], ["dropped"]),
        helper.make_node("Shape", ["dropped"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["batch"]),
        helper.make_node("Unsqueeze", ["batch", "axes"], ["row"]),
        helper.make_node("Concat", ["row", "rest"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["dropped", "wanted"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w2", "b2"], ["y"]),
    ]
    return model_of(nodes, constants, ["n", 2, 4, 4], ["n", 7])


def test_simplification_folds_what_is_not_ours(exported, tmp_path):
    path = write(tmp_path / "model.onnx", exported)
    x = np.random.default_rng(4).uniform(size=(1, 2, 4, 4)).astype(np.float32)
    with simplified(path) as simple:
        assert [node.op_type for node in simple.graph.graph.node] == ["Conv", "Clip", "Reshape", "Gemm"]
        assert len(simple.graph.graph.node[0].input) == 3  # BatchNorm has become a bias
        np.testing.assert_allclose(Reference(simple.graph, folder=simple.folder)(x)["y"], outputs(exported, x), atol=1e-5)
        np.testing.assert_array_equal(Reference(simple.original, folder=simple.folder)(x)["y"], outputs(exported, x))
    assert path.read_bytes() == exported.SerializeToString()


def test_simplification_fixes_the_batch_and_knows_all_shapes(exported, tmp_path):
    with simplified(write(tmp_path / "model.onnx", exported)) as simple:
        graph = simple.graph.graph
    every = (*graph.input, *graph.value_info, *graph.output)
    values = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in every}
    shapes = [values[node.output[0]] for node in graph.node]
    assert values["x"] == [1, 2, 4, 4] and shapes == [[1, 3, 4, 4], [1, 3, 4, 4], [1, 48], [1, 7]]
    assert simple.original.graph.input == exported.graph.input


def test_simplification_replaces_a_fixed_batch_everywhere(tmp_path):
    nodes = [helper.make_node("Sigmoid", ["x"], ["hidden"]), helper.make_node("MatMul", ["hidden", "w"], ["y"])]
    model = model_of(nodes, {"w": np.ones((4, 3), np.float32)}, [8, 4], [8, 3])
    model.graph.value_info.append(helper.make_tensor_value_info("hidden", TensorProto.FLOAT, [8, 4]))
    with simplified(write(tmp_path / "model.onnx", model)) as simple:
        values = (*simple.graph.graph.input, *simple.graph.graph.value_info, *simple.graph.graph.output)
    assert {value.name: value.type.tensor_type.shape.dim[0].dim_value for value in values} == {"x": 1, "hidden": 1, "y": 1}


def test_simplification_takes_initialisers_that_are_also_inputs(tmp_path):
    model = large()
    model.graph.input.append(helper.make_tensor_value_info("w1", TensorProto.FLOAT, [40, 33]))
    x = np.ones((1, 40), np.float32)
    with simplified(write(tmp_path / "model.onnx", model)) as simple:
        np.testing.assert_allclose(Reference(simple.graph, folder=simple.folder)(x)["y"], outputs(large(), x), rtol=1e-6)


# Weights that stay on the disk


@pytest.mark.parametrize("dtype", ["float32", "int64", "int16", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (1,), (0,), (7,), (3, 0, 2), (1025,), (37, 41), (3, 5, 7, 11)])
def test_arrays_are_those_of_the_model(tmp_path, dtype, shape):
    array = np.asarray(np.random.default_rng(1).integers(0, 9, shape)).astype(dtype)
    model = large(before=array, odd=np.ones(1031, np.uint8), behind=array)
    with simplified(write(tmp_path / "model.onnx", model)) as simple:
        for tensors in (simple.original.graph.initializer, simple.graph.graph.initializer):
            arrays = {tensor.name: simple.array(tensor) for tensor in tensors}
            np.testing.assert_array_equal(arrays["w1"], LARGE["w1"], strict=True)
            np.testing.assert_array_equal(arrays["w2"], LARGE["w2"], strict=True)
        arrays = {tensor.name: simple.array(tensor) for tensor in simple.original.graph.initializer}
        np.testing.assert_array_equal([arrays["before"], arrays["behind"]], [array, array], strict=True)


def test_large_weights_are_read_when_asked_for(tmp_path):
    with simplified(write(tmp_path / "model.onnx", large())) as model:
        for graph in (model.original.graph, model.graph.graph):
            tensors = {tensor.name: tensor for tensor in graph.initializer}
            for name in ("w1", "w2"):
                assert tensors[name].data_location == TensorProto.EXTERNAL and not tensors[name].raw_data
                model.array(tensors[name])
                assert not tensors[name].raw_data and tensors[name].data_location == TensorProto.EXTERNAL
            assert tensors["b1"].data_location == TensorProto.DEFAULT


def as_values(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with its initializers in float_data instead of raw_data."""
    for position, tensor in enumerate(model.graph.initializer):
        values = numpy_helper.to_array(tensor).reshape(-1).tolist()
        model.graph.initializer[position].CopyFrom(helper.make_tensor(tensor.name, tensor.data_type, tensor.dims, values))
    return model


def converted(path: Path) -> tuple[bytes, onnx.ModelProto]:
    """The spiking network without its provenance, of which equal ones give equal bytes, and the model embedded in it."""
    network = convert(path, mode="unchecked")
    save(network.model_copy(update={"name": "net", "onnx": None, "onnx_sha256": ""}), path.with_suffix(".npz"))
    return path.with_suffix(".npz").read_bytes(), onnx.ModelProto.FromString(network.onnx.tobytes())


def test_where_weights_are_changes_no_bit(tmp_path, monkeypatch):
    inside = write(tmp_path / "inside.onnx", large())
    expected, embedded = converted(inside)
    assert embedded == large() and LARGE["w1"].tobytes() in expected
    for path in (
        write(tmp_path / "values.onnx", as_values(large())),
        external(tmp_path, large()),
        external(tmp_path, large(), location="inner/weights.data"),
    ):
        content, embedded = converted(path)
        assert content == expected
        for tensor in embedded.graph.initializer:  # the embedded model is whole
            assert tensor.data_location == TensorProto.DEFAULT
            np.testing.assert_array_equal(numpy_helper.to_array(tensor), LARGE[tensor.name], strict=True)
        assert [tensor.name for tensor in embedded.graph.initializer] == list(LARGE)
    monkeypatch.setattr(external_data, "SMALL", 1 << 30)  # nothing is moved
    assert converted(inside)[0] == expected


def test_the_embedded_model_needs_no_other_file(tmp_path):
    path = external(tmp_path, large())
    network = convert(path, mode="unchecked")
    assert network.onnx_sha256 == hashlib.sha256(path.read_bytes() + (tmp_path / "weights.bin").read_bytes()).hexdigest()
    (tmp_path / "weights.bin").unlink()
    x = np.random.default_rng(6).uniform(size=(3, 40)).astype(np.float32)
    np.testing.assert_array_equal(Reference(onnx.ModelProto.FromString(network.onnx.tobytes()))(x)["y"], outputs(large(), x))


@pytest.mark.parametrize("location", ["constant.bin", external_data.WEIGHTS])
def test_external_data_of_a_constant_node(tmp_path, location):
    (tmp_path / location).write_bytes(LARGE["w2"].T.tobytes())
    tensor = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=(31, 33), data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    model = model_of(
        [
            helper.make_node("Constant", [], ["c"], value=tensor),
            helper.make_node("MatMul", ["x", "w2"], ["a"]),
            helper.make_node("MatMul", ["a", "c"], ["y"]),
        ],
        {"w2": LARGE["w2"]},
        ["n", 33],
        ["n", 33],
    )
    network = convert(write(tmp_path / "model.onnx", model), mode="unchecked")
    np.testing.assert_array_equal(network.layers[-1].connections[0].path[-1].weights, LARGE["w2"].T)


def test_nothing_is_left_behind_when_the_caller_fails(tmp_path, temporary):
    with pytest.raises(RuntimeError, match="of the caller"), simplified(write(tmp_path / "model.onnx", large())) as model:
        assert model.folder.parent == temporary and list(model.folder.iterdir())
        raise RuntimeError("of the caller")


@pytest.mark.parametrize("content", [b"", b"abc", np.random.default_rng(0).bytes((1 << 20) + 1)])
def test_sha256_of_a_file(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == sha256_of(str(tmp_path / "file")) == hashlib.sha256(content).hexdigest()
