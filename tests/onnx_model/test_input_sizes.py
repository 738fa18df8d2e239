"""Sizes that a model leaves open beyond the batch: from the option, or from the calibration data."""

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.models import Chain, dataset, save
from ttfs_convert.cli.convert import main as convert_command
from ttfs_convert.cli.inspect import main as inspect_command
from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.data import Dataset
from ttfs_convert.errors import DataError, ModelError, UsageError
from ttfs_convert.network import store
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.studies.evaluation import evaluate
from ttfs_convert.studies.inspection import inspect_model


def open_model(shape=(3, 8, 6), dims=("n", 3, "h", "w"), **others):
    """Fully convolutional, the sizes of its input as `dims`."""
    chain = Chain(shape, **others).conv(4, pads=[1] * 4).add("Relu").add("GlobalAveragePool").readout()
    model = chain.model()
    for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim, dims):
        dim.Clear()
        if isinstance(size, str):
            dim.dim_param = size
        elif size:
            dim.dim_value = size
    return model, chain


def sizes_of(network):
    return {layer.onnx_name: layer.onnx_shape for layer in network.inputs}


@pytest.mark.parametrize("dims", [("n", 3, "h", "w"), (None, 3, None, None), ("n", "c", "h", "w"), (1, 3, "h", 6), ("n", 3, 0, 0)])
@pytest.mark.parametrize("layout", ["chw", "hwc", "image"])
def test_sizes_of_the_calibration_data(dims, layout, tmp_path):
    model, chain = open_model(dims=dims)
    x = chain.images(5)
    data = dataset(x if layout == "chw" else x.transpose(0, 2, 3, 1))
    if layout == "image":
        data = Dataset("pictures", np.rint(255 * data.x).astype(np.uint8), None, "", 5, (), True)
    network = convert(save(model, tmp_path), mode="exact", steps=None, calibrate=data)
    assert sizes_of(network) == {"x": (3, 8, 6)} and network.input_sizes == {"x": (3, 8, 6)}
    store.save(network, tmp_path / "snn.npz")
    report = evaluate(store.load(tmp_path / "snn.npz"), data, quantised=False).report
    assert report.drift.max_output_error < 1e-5 and report.drift.agreement == 1
    other = dataset(np.random.default_rng(2).uniform(0, x.max(), (2, 3, 9, 9)).astype(np.float32))
    if 6 in dims:
        with pytest.raises(DataError, match=r"samples of shape \(3, 9, 9\); expected 3x.x6 as the model's input"):
            evaluate(network, other)
    else:
        found = evaluate(network, other)
        assert any("the samples are 3x9x9, the network was converted for 3x8x6" in note for note in found.notes)
        assert found.report.drift.max_output_error < 0.1 * np.ptp(found.report.drift.output_range)  # what lies beyond the ranges is cut off


def test_gray_pictures_for_a_colour_model(tmp_path):
    data = Dataset("pictures", np.random.default_rng(0).integers(0, 256, (5, 7, 9, 1), dtype=np.uint8), None, "", 5, (), True)
    network = convert(save(open_model()[0], tmp_path), mode="exact", steps=None, calibrate=data)
    assert sizes_of(network) == {"x": (3, 7, 9)} and evaluate(network, data).report.drift.max_output_error < 1e-5


@pytest.mark.parametrize("given", [(3, 9, 7), (1, 3, 9, 7), {"x": (3, 9, 7)}, {"": (1, 3, 9, 7)}])
def test_sizes_of_the_option(given, tmp_path):
    """Before those of the data, which then have to fit."""
    model, _ = open_model()
    model.graph.node[1].op_type = "Clip"
    model.graph.node[1].input.extend(["zero", "one"])
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.float32(value), name) for value, name in ((0, "zero"), (1, "one")))
    network = convert(save(model, tmp_path), mode="exact", steps=None, input_shape=given)
    assert sizes_of(network) == {"x": (3, 9, 7)}
    x = np.random.default_rng(0).random((4, 3, 9, 7), dtype=np.float32)
    assert evaluate(network, dataset(x)).report.drift.max_output_error < 1e-5
    assert inspect_model(tmp_path / "model.onnx", given).modes["exact"].layers[0].onnx_shape == (3, 9, 7)


def test_a_series_and_two_inputs(tmp_path):
    chain = Chain((1, 12), v=(5, 7)).conv(4, (3,)).relu1().add("GlobalAveragePool").add("Flatten")
    first, chain.at = chain.at, "v"
    other = chain.add("Conv", chain.rng.normal(size=(3, 5, 3)).astype(np.float32)).relu1().add("GlobalAveragePool").add("Flatten").at
    chain.at = first
    model = chain.add("Concat", other, axis=1).readout().model()
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[2].Clear()
    path, rng = save(model, tmp_path), np.random.default_rng(0)
    arrays = {"x": rng.random((4, 15), dtype=np.float32), "v": rng.random((4, 5, 9), dtype=np.float32)}
    data = Dataset("series", arrays["x"], None, "", 4, (), False, arrays)
    network = convert(path, mode="exact", steps=None, calibrate=data)
    assert sizes_of(network) == {"x": (1, 15), "v": (5, 9)} and evaluate(network, data).report.drift.max_output_error < 1e-5
    assert sizes_of(convert(path, mode="exact", input_shape={"v": (5, 9)}, calibrate=data)) == {"x": (1, 15), "v": (5, 9)}
    with pytest.raises(DataError, match=r"expected \(1, 20\) as the model's input"):
        convert(path, mode="exact", input_shape={"x": (1, 20)}, calibrate=data)
    assert sizes_of(convert(path, mode="exact", input_shape={"x": (1, 20), "v": (1, 5, 8)})) == {"x": (1, 20), "v": (5, 8)}
    with pytest.raises(UsageError, match="without the name of an input; expected NAME:SIZES, NAME one of x, v"):
        convert(path, mode="exact", input_shape=(1, 20))
    with pytest.raises(ModelError, match="axis 2 of input 'v' .* --input-shape v:5x"):
        convert(path, mode="exact", input_shape={"x": (1, 20)})


def test_a_head_of_open_sizes(tmp_path):
    """The head's own graph has the sizes too."""
    chain = Chain((3, 8, 6)).add("Softmax", axis=1).conv(4).relu1().add("GlobalAveragePool").readout()
    model = chain.model()
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].Clear()
    x = chain.images(4)
    network = convert(save(model, tmp_path), mode="exact", steps=None, calibrate=dataset(x))
    assert network.head is not None and network.input_sizes == {"x": (3, 8, 6)}
    assert evaluate(network, dataset(x)).report.drift.max_output_error < 1e-5


@pytest.mark.parametrize(
    "given, error, text",
    [
        ({"z": (3, 4, 4)}, UsageError, "--input-shape: z; expected inputs that the model has: x"),
        ((4, 8, 8), UsageError, "4x8x8 for input 'x'; expected sizes"),
        ((3, 8), UsageError, "3x8 for input"),
        ((3, 0, 8), UsageError, "3x0x8"),
        ((2, 3, 8, 8), UsageError, "2x3x8x8"),
        (None, ModelError, "axis 2 of input 'x' has no fixed size.*ttfs-convert --input-shape x:3x.x., or give ttfs-convert --calibrate data"),
    ],
)
def test_refused(given, error, text, tmp_path):
    path = save(open_model()[0], tmp_path)
    for command in (lambda: convert(path, mode="exact", input_shape=given), lambda: inspect_model(path, given)):
        with pytest.raises(error, match=text):
            command()


def test_samples_of_other_sizes_than_the_fixed_ones(tmp_path):
    path = save(open_model(dims=("n", 3, "h", 6))[0], tmp_path)
    with pytest.raises(
        DataError, match=r"samples of shape \(3, 9, 9\); expected 3x.x6 as the model's input 'x'; name its sizes with --input-shape x:SIZES"
    ):
        convert(path, mode="exact", calibrate=dataset(np.zeros((2, 3, 9, 9), np.float32)))


def test_commands(tmp_path):
    path = save(open_model()[0], tmp_path)
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).random((5, 3, 8, 6), dtype=np.float32))
    arguments = [str(path), "--out", str(tmp_path / "snn.npz"), "--mode", "exact", "--calibrate", str(tmp_path / "data.npz")]
    assert CliRunner().invoke(convert_command, arguments).exit_code == 0
    assert CliRunner().invoke(convert_command, [*arguments, "--input-shape", "x:1x3x8x6"]).exit_code == 0
    result = CliRunner().invoke(inspect_command, [str(path), "--input-shape", "3x20x20", "--json", "-"])
    assert json.loads(result.stdout)["layers"][0]["shape"] == [20, 20, 3]
    for words, text in (
        (["--input-shape", "3xaxb"], "'3xaxb'; expected sizes such as 3x224x224"),
        (["--input-shape", "y:3x8x6"], "y; expected inputs"),
    ):
        result = CliRunner().invoke(convert_command, [*arguments, *words])
        assert result.exit_code == 2 and text in result.stderr
    result = CliRunner().invoke(inspect_command, [str(path)])
    assert result.exit_code == 3 and "--input-shape" in result.stderr


def test_pictures_of_a_folder_are_held_against_the_model(tmp_path):
    for name, size in (("a/1", (8, 8)), ("b/1", (8, 9))):
        (tmp_path / name).parent.mkdir()
        Image.fromarray(np.zeros(size, np.uint8)).save(tmp_path / f"{name}.png")
    chain = Chain((1, 10, 12)).conv(4).relu1().readout()
    (tmp_path / "models").mkdir()
    path = save(chain.model(), tmp_path / "models")
    with pytest.raises(DataError, match=r"a/1.png: an image of 8 x 8; expected 12 x 10 \(width x height\), as the model takes; resize .* 12 x 10"):
        evaluate(convert(path, mode="exact"), str(tmp_path))
    with pytest.raises(DataError, match="a/1.png: an image of 8 x 8; expected 12 x 10"):
        convert(path, mode="exact", calibrate=str(tmp_path))


# Inputs that nothing reads


@pytest.mark.parametrize("kind, shape", [("FLOAT", ["n", 3]), ("BOOL", []), ("STRING", ["n"]), ("INT64", [7]), ("UINT4", [2])])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("dead", [True, False])
def test_an_input_that_nothing_reads_asks_for_no_data(kind, shape, first, dead, tmp_path):
    """Nor does one that only nodes read on which no output depends."""
    chain = Chain((6,)).gemm(5).relu1().readout()
    model = chain.model()
    value = onnx.helper.make_tensor_value_info("state", getattr(onnx.TensorProto, kind), shape)
    inputs = [value, *model.graph.input] if first else [*model.graph.input, value]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    if dead and kind in ("FLOAT", "INT64"):
        model.graph.node.append(onnx.helper.make_node("Neg", ["state"], ["unused"]))
    if kind == "UINT4":
        model.opset_import[0].version, model.ir_version = 21, 10
    network = convert(save(model, tmp_path), mode="exact", steps=None)
    x = chain.images(5)
    report = evaluate(network, dataset(x)).report
    assert report.drift.max_output_error < 1e-5 and list(report.data.treatments) == ["x"]
    assert list(Reference(model).inputs) == ["x"]


def test_an_input_of_strings_is_refused_by_name(tmp_path):
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node("StringNormalizer", ["words"], ["y"])],
            "g",
            [onnx.helper.make_tensor_value_info("words", onnx.TensorProto.STRING, [1])],
            [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.STRING, [None])],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=9,
    )
    with pytest.raises(ModelError, match="input 'words': takes strings; expected numbers"):
        convert(save(model, tmp_path), mode="exact")
