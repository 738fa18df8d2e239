"""`ttfs-convert` as its users see it: tables, files, errors, exit codes."""

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import helper, numpy_helper

from tests.models import Chain, save
from ttfs_convert.cli.convert import main
from ttfs_convert.data import load_dataset
from ttfs_convert.lowering.operators.table import NO_REMEDY
from ttfs_convert.lowering.ranges.calibration import RangeRequest, Rule, ranges
from ttfs_convert.network.store import load
from ttfs_convert.onnx_model.reference import Reference

EXAMPLE = Path(__file__).parents[2] / "examples" / "fashion_mnist" / "model.onnx"


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def model_file(path, nodes, weights, shape=(4,), output="y"):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, ["batch", None])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.fixture
def offender(tmp_path):
    """Two layers that break the constraints in different ways, and a readout."""
    return model_file(
        tmp_path / "offender.onnx",
        [
            helper.make_node("Gemm", ["x", "w1"], ["a"], name="first"),
            helper.make_node("Clip", ["a", "zero", "one"], ["b"]),
            helper.make_node("Gemm", ["b", "w2"], ["c"], name="second"),
            helper.make_node("Relu", ["c"], ["d"]),
            helper.make_node("Gemm", ["d", "w3"], ["y"], name="last"),
        ],
        {"w1": [[0.25, 0.5]] * 4, "w2": [[0.5] * 3] * 2, "w3": np.ones((3, 2)), "zero": 0, "one": 1},
    )


def test_example_converts(tmp_path):
    out = tmp_path / "snn.npz"
    result = run(EXAMPLE, "--out", out)
    assert result.exit_code == 0, result.output
    for text in ("node_conv2d", "average_pool+conv", "fan_in", "18,816", "3,873,024", "(exempt)", "7 windows, 50 steps per window"):
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
    assert first.split()[1] == first.split()[-1] == "1"  # one neuron of two is off, by 2 - 1
    assert "error: " in result.stderr and "2 layers would not convert without loss" in result.stderr


def test_unchecked_lists_but_converts(offender, tmp_path):
    result = run(offender, "--out", tmp_path / "snn.npz", "--mode", "unchecked")
    assert result.exit_code == 0
    assert "weight sum is not 1" in result.stdout and "activation is ReLU" in result.stdout
    assert "note: mode unchecked" in result.stderr
    assert load(tmp_path / "snn.npz").mode == "unchecked"


def test_all_unsupported_nodes_at_once(tmp_path):
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["a"]),
        helper.make_node("Elu", ["a"], ["b"], name="elu"),
        helper.make_node("Gemm", ["a", "w"], ["c"]),
        helper.make_node("Asinh", ["c"], ["d"], name="sin"),
        helper.make_node("Add", ["b", "d"], ["e"]),
        helper.make_node("Gemm", ["e", "w"], ["y"]),
    ]
    path = model_file(tmp_path / "m.onnx", nodes, {"w": 2 * np.eye(4)})
    result = run(path, "--out", tmp_path / "snn.npz")
    assert result.exit_code == 3
    for text in ("elu", "Elu", "sin", "Asinh", *NO_REMEDY, "2 unsupported nodes"):
        assert text in result.stderr


@pytest.mark.parametrize(
    "arguments,text",
    [
        (("--steps", "0"), "0 is not between 1 and 65535"),
        (("--steps", "many"), "neither a whole number nor 'continuous'"),
        (("--tolerance", "-1"), "-1"),
        (("--mode", "gentle"), "gentle"),
    ],
)
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
    (folder / "cut.onnx").write_bytes(good[: len(good) // 2])
    (folder / "empty.onnx").write_bytes(b"")
    model = onnx.load(EXAMPLE)
    onnx.save(model, folder / "external.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    (folder / "weights.bin").unlink()
    return {
        "text.onnx": "is a text file; expected an ONNX model",
        "cut.onnx": "is not an ONNX model or is cut short",
        "empty.onnx": "is empty; expected an ONNX model",
        "external.onnx": "external data",
    }


@pytest.mark.parametrize("name", ["text.onnx", "cut.onnx", "empty.onnx", "external.onnx"])
def test_broken_models_give_one_line(tmp_path, name):
    text = broken_files(tmp_path)[name]
    result = run(tmp_path / name, "--out", tmp_path / "snn.npz")
    assert result.exit_code == 3
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and name in lines[0] and text in lines[0]
    assert not (tmp_path / "snn.npz").exists()


# Mode exact

RELU = Chain((6,), seed=3).gemm(8).add("Relu").gemm(7).add("Relu").readout(3).model()
IMAGES = Chain((6,)).images(40)


@pytest.fixture
def relu(tmp_path):
    return save(RELU, tmp_path)


@pytest.fixture
def images(tmp_path):
    np.savez(tmp_path / "images.npz", x=IMAGES)
    return tmp_path / "images.npz"


def hidden(network):
    return [layer for layer in network.layers if layer.kind == "spiking"]


def exact(model, data, *options):
    """Written beside the model as snn.npz."""
    return run(model, "--out", model.with_name("snn.npz"), "--mode", "exact", "--calibrate", data, *options)


def assert_refused(result, code, *fragments):
    """One line on standard error and nothing on standard output."""
    assert result.exit_code == code and not result.stdout
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: ")
    for fragment in fragments:
        assert str(fragment) in line


def test_exact_measures_ranges_and_tells_where_they_are_from(relu, images, tmp_path):
    result = exact(relu, images, "--json", tmp_path / "snn.json")
    assert result.exit_code == 0 and "note" not in result.stderr
    network, content = load(tmp_path / "snn.npz"), json.loads((tmp_path / "snn.json").read_text())
    seen = Reference(RELU, [layer.tensor for layer in hidden(network)])(IMAGES)
    for layer in hidden(network):
        np.testing.assert_array_equal(layer.lo, 0)
        live = layer.hi[seen[layer.tensor].max(0) > 0]
        np.testing.assert_allclose(live, 1.1 * seen[layer.tensor].max(0)[seen[layer.tensor].max(0) > 0], rtol=1e-6)
    assert content["mode"] == "exact" and content["slope"] == "gated" and content["violations"] == [] and content["windows"] == 3
    assert content["calibration"] == network.calibration.model_dump(mode="json")
    assert content["calibration"].pop("sha256") == load_dataset(str(images)).sha256
    assert content["calibration"] == {"data": "images.npz", "samples": 40, "method": "maximum", "margin": 0.1, "notes": []}
    spiking = [layer for layer in content["layers"] if layer["slope"]]
    assert [layer["slope"] for layer in spiking] == ["gated", "gated"]
    assert [layer["range"] for layer in spiking] == [[0, float(layer.hi.max())] for layer in hidden(network)]
    assert content["layers"][0]["range"] == [0, 1] and content["layers"][-1]["range"] is None
    for layer in hidden(network):
        row = next(line.split() for line in result.stdout.splitlines() if line.split()[:1] == [layer.name])
        assert row[1:4] == ["0", "..", f"{layer.hi.max():.3g}"] and row[8:10] == ["dense", "gated"]


@pytest.mark.parametrize(
    "arguments, rule, recorded",
    [
        (("--margin", "0"), Rule("maximum"), ("maximum", 0)),
        (("--margin", "0.5"), Rule("maximum", margin=0.5), ("maximum", 0.5)),
        (("--method", "mse", "--steps", "7"), Rule("mse", steps=7), ("mse", 0.1)),
        (("--method", "99.9"), Rule("percentile", 99.9), ("99.9", 0.1)),
        (("--method", "60"), Rule("percentile", 60), ("60", 0.1)),
    ],
)
def test_ends_follow_the_method(relu, images, tmp_path, arguments, rule, recorded):
    assert exact(relu, images, *arguments).exit_code == 0
    network = load(tmp_path / "snn.npz")
    assert (network.calibration.method, network.calibration.margin) == recorded
    tensors = [layer.tensor for layer in hidden(network)]
    expected = ranges([RangeRequest(tensor, 1, 0, np.inf) for tensor in tensors], Reference(RELU, tensors), lambda: [IMAGES], rule)
    for layer in hidden(network):
        np.testing.assert_array_equal((layer.lo, layer.hi), expected[layer.tensor])


def test_slope_reference(relu, images, tmp_path):
    result = exact(relu, images, "--slope", "reference")
    network = load(tmp_path / "snn.npz")
    assert network.slope == "reference" and [layer.slope for layer in hidden(network)] == ["reference", "reference"]
    assert sum("   reference   " in line for line in result.stdout.splitlines()) == 2


def test_calibration_limit(relu, images, tmp_path):
    result = exact(relu, images, "--calibration-limit", "7", "--margin", "0")
    network = load(tmp_path / "snn.npz")
    assert result.exit_code == 0 and network.calibration.samples == 7
    seen = Reference(RELU, [hidden(network)[0].tensor])(IMAGES[:7])[hidden(network)[0].tensor]
    np.testing.assert_array_equal(hidden(network)[0].hi[seen.max(0) > 0], seen.max(0)[seen.max(0) > 0])


def test_a_named_data_set_gives_its_training_images(tmp_path):
    rng = np.random.default_rng(0)
    x = {part: rng.integers(0, 256, (5, 28, 28), dtype=np.uint8) for part in ("train", "t10k")}
    for part, pixels in x.items():
        for kind, header, data in (("images-idx3", (2051, 5, 28, 28), pixels.tobytes()), ("labels-idx1", (2049, 5), bytes(5))):
            (tmp_path / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(struct.pack(f">{len(header)}I", *header) + data, 1))
    model = Chain((1, 28, 28)).add("Flatten").gemm(4).add("Relu").readout(3).model()
    result = exact(save(model, tmp_path), "mnist", "--data-dir", tmp_path, "--margin", "0")
    assert result.exit_code == 0, result.output
    network = load(tmp_path / "snn.npz")
    assert network.calibration.data == "mnist (train)" and network.calibration.samples == 5
    tensor = hidden(network)[0].tensor
    top = {part: Reference(model, [tensor])(pixels[:, None].astype(np.float32) / 255)[tensor].max(0) for part, pixels in x.items()}
    np.testing.assert_allclose(hidden(network)[0].hi[top["train"] > 0], top["train"][top["train"] > 0], rtol=1e-5)
    assert not np.allclose(top["train"], top["t10k"], rtol=1e-2)


def test_relu1_needs_no_calibration(offender, tmp_path):
    path = save(Chain((6,)).gemm(8).relu1().readout(3).model(), tmp_path)
    result = run(path, "--out", tmp_path / "snn.npz", "--mode", "exact", "--json", "-")
    assert result.exit_code == 0 and json.loads(result.stdout)["calibration"] is None
    network = load(tmp_path / "snn.npz")
    np.testing.assert_array_equal(hidden(network)[0].hi, 1)
    assert network.calibration is None and not network.violations
    refused = run(offender, "--out", tmp_path / "other.npz", "--mode", "exact")
    assert_refused(refused, 2, "a layer has unbounded activations", "'second'", "--calibrate")
    assert not (tmp_path / "other.npz").exists()


def test_input_range_and_direct_input(relu, tmp_path):
    np.savez(tmp_path / "signed.npz", x=2 * IMAGES - 1)
    ranged = json.loads(exact(relu, tmp_path / "signed.npz", "--json", "-", "--input-range", "-1", "1").stdout)
    assert ranged["layers"][0]["range"] == [-1, 1] and ranged["windows"] == 3
    assert load(tmp_path / "snn.npz").layers[0].bounds == (-1, 1)
    direct = json.loads(exact(relu, tmp_path / "signed.npz", "--json", "-", "--direct-input", "--slope", "reference").stdout)
    assert [layer["window"] for layer in direct["layers"]] == [-1, 0, 1, 2] and direct["windows"] == 2
    assert [layer["slope"] for layer in direct["layers"]] == [None, "gated", "reference", None]  # analog current has no spikes
    assert load(tmp_path / "snn.npz").layers[0].bounds is None
    assert "direct" in exact(relu, tmp_path / "signed.npz", "--direct-input").stdout


@pytest.mark.parametrize(
    "arguments, fragments",
    [
        (("--mode", "exact"), ("model.onnx", "2 layers have unbounded", "'gemm0'", "--calibrate")),
        (("--mode", "exact", "--calibrate", "images.npz", "--method", "nonsense"), ("method", "nonsense", "mse")),
        (("--mode", "exact", "--calibrate", "images.npz", "--method", "50"), ("percentile 50", "above 50")),
        (("--mode", "exact", "--calibrate", "images.npz", "--method", "nan"), ("percentile nan",)),
        (("--mode", "exact", "--calibrate", "images.npz", "--margin", "inf"), ("margin inf",)),
        (("--mode", "exact", "--calibrate", "images.npz", "--margin", "nan"), ("margin nan",)),
        (("--mode", "exact", "--calibrate", "images.npz", "--input-range", "1", "-1"), ("1 to -1", "the smaller one first")),
        (("--mode", "unchecked", "--input-range", "0", "0"), ("0 to 0",)),
        (("--mode", "unchecked", "--input-range", "0", "inf"), ("inf",)),
        (("--mode", "unchecked", "--input-range", "nan", "1"), ("nan",)),
        (("--mode", "unchecked", "--direct-input", "--input-range", "0", "1"), ("--direct-input", "--input-range")),
        (("--calibrate", "images.npz"), ("--calibrate", "mode strict", "--mode exact")),
        (("--mode", "unchecked", "--calibrate", "images.npz"), ("--calibrate", "mode unchecked")),
        (("--slope", "reference"), ("--slope", "mode strict")),
        (("--mode", "unchecked", "--slope", "gated"), ("--slope", "mode unchecked")),
    ],
)
def test_options_that_do_not_fit(relu, images, tmp_path, monkeypatch, arguments, fragments):
    before = set(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    assert_refused(run(relu, "--out", tmp_path / "snn.npz", "--json", tmp_path / "snn.json", *arguments), 2, *fragments)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("ends", [("0", "1e39"), ("0", "1e-50"), ("1", "1.00000001")])
def test_an_input_range_that_float32_cannot_hold(relu, tmp_path, ends):
    assert_refused(run(relu, "--out", tmp_path / "snn.npz", "--mode", "unchecked", "--input-range", *ends), 2, "input range")


@pytest.mark.parametrize(
    "arrays, options, fragments",
    [
        ({"x": IMAGES[:, :5]}, (), ("(5,)", "expected (6,)")),
        ({"y": IMAGES}, (), ("an array x",)),
        ({"x": IMAGES * 2}, (), ("values from 0 to", "expected 0 to 1", "--input-range")),
        ({"x": IMAGES}, ("--input-range", "0.25", "1"), ("expected 0.25 to 1",)),
        ({"x": IMAGES[:0]}, (), ("one or more samples",)),
        ({"x": np.where(IMAGES > 0.9, np.inf, IMAGES)}, ("--direct-input",), ("not finite",)),
        ({"x": IMAGES * np.float32(3e38)}, ("--direct-input",), ("activations that are not finite",)),
    ],
)
def test_calibration_data_that_does_not_fit(relu, tmp_path, arrays, options, fragments):
    np.savez(tmp_path / "data.npz", **arrays)
    before = set(tmp_path.iterdir())
    result = exact(relu, tmp_path / "data.npz", "--json", tmp_path / "snn.json", *options)
    assert_refused(result, 4, *fragments)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("data", ["nothing.npz", str(EXAMPLE), "no-such-set"])
def test_calibration_data_that_is_none(relu, tmp_path, data):
    assert_refused(exact(relu, data), 4, data)
    assert not (tmp_path / "snn.npz").exists()


# Ranges of inputs

TABLE = np.random.default_rng(0).random((50, 6), dtype=np.float32) * np.float32([1, 10, 1000, 1, 0.1, 1])


@pytest.fixture
def table(tmp_path):
    np.savez(tmp_path / "table.npz", x=TABLE)
    return save(Chain((6,)).gemm(7).relu1().readout().model(), tmp_path)


@pytest.mark.parametrize(
    "words, lows, highs",
    [
        (["--input-range", "data"], TABLE.min(0), TABLE.max(0)),
        (["--input-range=data"], TABLE.min(0), TABLE.max(0)),
        (["--input-range", "x:data"], TABLE.min(0), TABLE.max(0)),
        (["--input-range", "0", "1000"], [0] * 6, [1000] * 6),
        (["--input-range=0", "1000"], [0] * 6, [1000] * 6),
        (["--input-range", "x:-5:1e3"], [-5] * 6, [1000] * 6),
        (["--input-range", "-1", "1000"], [-1] * 6, [1000] * 6),
    ],
)
def test_ranges_of_inputs(table, tmp_path, words, lows, highs):
    data = ["--calibrate", tmp_path / "table.npz", "--margin", 0, "--mode", "exact"] if "data" in words[-1] else []
    result = run(table, "--out", tmp_path / "snn.npz", "--mode", "unchecked", *data, *words)
    assert result.exit_code == 0, result.output
    (layer,) = load(tmp_path / "snn.npz").inputs
    np.testing.assert_allclose(layer.lo, np.float32(lows), rtol=1e-6)
    np.testing.assert_allclose(layer.hi, np.float32(highs), rtol=1e-6)


@pytest.mark.parametrize(
    "words, text",
    [
        (["--input-range", "data"], "data to take it from; name some with --calibrate"),
        (["--input-range", "wide", "1"], "neither a number nor data"),
        (["--input-range", "x:1"], "expected NAME:LO:HI"),
        (["--input-range", "x:a:b"], "expected NAME:LO:HI"),
        (["--input-range", "z:0:1"], "z; expected inputs"),
        (["--input-range", "1", "0"], "input range: 1 to 0"),
        (["--input-range", "0", "1", "--input-range", "data"], "several ranges"),
        (["--input-range", "data", "--direct-input"], "--direct-input: given with --input-range"),
        (["--input-range"], "requires"),
    ],
)
def test_ranges_that_are_none(table, tmp_path, words, text):
    result = run(table, "--out", tmp_path / "snn.npz", "--mode", "exact", *words)
    assert result.exit_code == 2 and text in result.stderr and not (tmp_path / "snn.npz").exists()


def test_direct_by_name_and_notes(table, tmp_path):
    assert run(table, "--out", tmp_path / "snn.npz", "--mode", "exact", "--input-range", "x:direct").exit_code == 0
    assert load(tmp_path / "snn.npz").inputs[0].coding == "direct"
    result = run(
        table,
        "--out",
        tmp_path / "snn.npz",
        "--mode",
        "exact",
        "--input-range",
        0,
        1000,
        "--calibrate",
        tmp_path / "table.npz",
        "--json",
        tmp_path / "snn.json",
    )
    (note,) = json.loads((tmp_path / "snn.json").read_text())["notes"]
    assert f"note: {note}" in result.stderr and "5 of 6 columns" in note and "--direct-input" in note


def test_a_derived_range_is_said(tmp_path):
    model = save(Chain((6,)).add("Div", np.float32(255)).gemm(7).relu1().readout().model(), tmp_path)
    result = run(model, "--out", tmp_path / "snn.npz", "--mode", "exact")
    assert result.exit_code == 0 and "its range is 0 to 255" in result.stderr
