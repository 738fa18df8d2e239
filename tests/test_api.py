"""The public Python API: its names, and that it takes what people have."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import numpy as np
import onnx
import pytest

import ttfs_convert
from tests.models import Chain, dataset
from ttfs_convert.errors import DataError, ModelError, UsageError
from ttfs_convert.network.network import Network
from ttfs_convert.studies.setting import Setting

ROOT = Path(__file__).parent.parent
CHAIN = Chain((6,), seed=3).gemm(14).relu1().gemm(10).relu1().readout(3)
MODEL = CHAIN.model()
X = CHAIN.images(24)
Y = np.arange(24) % 3


@pytest.fixture(scope="module")
def network() -> Network:
    return ttfs_convert.convert(MODEL, steps=20)


@pytest.fixture(scope="module")
def files(tmp_path_factory, network):
    folder = tmp_path_factory.mktemp("files")
    ttfs_convert.save(network, folder / "snn.npz")
    np.savez(folder / "data.npz", x=X, y=Y)
    return folder


# Names


def test_every_name_is_listed_once_for_loading_and_once_for_type_checkers():
    lazy = [name for names in ttfs_convert._MODULES.values() for name in names]
    assert sorted([*lazy, "__version__"]) == ttfs_convert.__all__
    source = (ROOT / "ttfs_convert" / "__init__.py").read_text()
    typed = re.findall(r"^    from \.([\w.]+) import (.+)$", source, re.M)
    assert {module: tuple(names.split(", ")) for module, names in typed} == ttfs_convert._MODULES
    for name in ttfs_convert.__all__:
        assert getattr(ttfs_convert, name).__doc__ and name in dir(ttfs_convert)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ttfs_convert.nothing  # noqa: B018


def test_importing_costs_nothing():
    code = "import sys, ttfs_convert, ttfs_convert.cli.run; print(sorted({'numpy', 'onnx', 'numba', 'rich', 'pydantic'} & set(sys.modules)))"
    assert python("-c", code).stdout == "[]\n"
    assert (ROOT / "ttfs_convert" / "py.typed").exists()


def test_options_of_studies_are_those_of_a_setting():
    keywords = set(get_type_hints(ttfs_convert.StudyOptions)) - {"steps", "limit", "data_dir", "skip_broken"}
    assert keywords == {field.name for field in dataclasses.fields(Setting)} - {"network", "data"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'bacth'"):
        ttfs_convert.evaluate("snn.npz", X, bacth=3)


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("name", ("convert", "run", "check", "inspect", "tune"))
def test_the_module_passes_on_to_each_command(name):
    short, long = (python("-m", "ttfs_convert", name, option) for option in ("-h", "--help"))
    assert short.returncode == long.returncode == 0 and short.stdout == long.stdout
    assert short.stdout.startswith(f"Usage: python -m ttfs_convert {name} [OPTIONS]")


def test_the_module_says_which_commands_there_are():
    for arguments in ((), ("-h",), ("--help",)):
        result = python("-m", "ttfs_convert", *arguments)
        assert result.returncode == 0
        assert re.findall(r"^  (\w+) +(\w.+)\.$", result.stdout, re.M)[1] == (
            "run",
            "Run a spiking network on data and report what the conversion cost",
        )
        assert len(re.findall(r"^  \w+ ", result.stdout, re.M)) == 6
    result = python("-m", "ttfs_convert", "simulate")
    assert result.returncode == 2 and "no command 'simulate'" in result.stderr and not result.stdout


# Models


def test_a_model_at_hand_is_that_of_its_file(network, tmp_path):
    content = MODEL.SerializeToString(deterministic=True)
    (tmp_path / "model.onnx").write_bytes(content)
    of_file = ttfs_convert.convert(tmp_path / "model.onnx", steps=20)
    assert network.onnx_sha256 == of_file.onnx_sha256 and network.onnx.tobytes() == content
    assert network.name == MODEL.graph.name and all(a.name == b.name for a, b in zip(network.layers, of_file.layers))
    assert np.array_equal(ttfs_convert.run(network, X).potentials, ttfs_convert.run(of_file, X).potentials)
    assert ttfs_convert.inspect_model(MODEL).modes["strict"].error is None
    assert ttfs_convert.inspect_model(MODEL).onnx_sha256 == network.onnx_sha256


def test_an_odd_graph_name_makes_a_plain_name():
    model = onnx.ModelProto()
    model.CopyFrom(MODEL)
    for name, expected in (("", "model"), ("main graph/1", "main_graph_1")):
        model.graph.name = name
        try:
            assert ttfs_convert.convert(model).name == expected
        except ModelError as error:  # onnx's checker wants a name
            assert not name and "model 'model'" in str(error)


def test_models_that_cannot_be_taken_are_named():
    with pytest.raises(ModelError, match="model 'model': a protobuf without an ONNX graph"):
        ttfs_convert.convert(onnx.ModelProto())
    outside = onnx.ModelProto()
    outside.CopyFrom(MODEL)
    tensor = outside.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    with pytest.raises(
        ModelError, match=f"initializer '{tensor.name}' is in a file that was not loaded; expected its weights inside; give the model's path"
    ):
        ttfs_convert.convert(outside)
    broken = onnx.ModelProto()
    broken.CopyFrom(MODEL)
    broken.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(ModelError) as refused:
        ttfs_convert.convert(broken)
    assert str(refused.value).startswith(f"model '{MODEL.graph.name}': ") and "tmp" not in str(refused.value)


# Data


@pytest.mark.parametrize("given", ("path", "text", "arrays", "lists", "dataset"))
def test_every_form_of_data_gives_the_same_figures(network, files, given):
    data = {
        "path": files / "data.npz",
        "text": str(files / "data.npz"),
        "arrays": (X, Y),
        "lists": (X, Y.tolist()),
        "dataset": ttfs_convert.load_dataset(files / "data.npz"),
    }[given]
    expected = ttfs_convert.evaluate(network, dataclasses.replace(dataset(X), y=Y)).report
    for each in (network, files / "snn.npz", str(files / "snn.npz")):
        report = ttfs_convert.evaluate(each, data).report
        assert report.snn == expected.snn and report.ann == expected.ann and report.drift == expected.drift and report.layers == expected.layers
        assert report.data.sha256 == ttfs_convert.load_dataset(files / "data.npz").sha256 and report.data.samples == 24


def test_samples_without_labels(network):
    for data in (X, (X, None), {"x": X}):
        report = ttfs_convert.evaluate(network, data).report
        assert report.ann.accuracy is None and report.drift.agreement is not None and report.data.name == "arrays"


def test_arrays_that_do_not_fit(network):
    for data, message in (
        ((X, Y[:-1]), "arrays: 23 labels y; expected 24"),
        (X[:, :5], r"arrays: samples of shape \(5,\)"),
        ({}, "arrays: no samples"),
        (X * np.float32(np.nan), "arrays: x with values that are not finite"),
        ({"x": X, "v": X[1:]}, "arrays: samples per input"),
    ):
        with pytest.raises(DataError, match=message):
            ttfs_convert.evaluate(network, data)


def test_a_limit_takes_the_first_samples(network, files):
    expected = ttfs_convert.evaluate(network, (X[:7], Y[:7])).report
    for data in ((X, Y), files / "data.npz", ttfs_convert.load_dataset(files / "data.npz")):
        report = ttfs_convert.evaluate(network, data, limit=7, batch=3).report
        assert report.data.samples == 7 and report.data.sha256 == expected.data.sha256 and report.snn == expected.snn
        with pytest.raises(UsageError, match="--limit: 0; expected 1 or more"):
            ttfs_convert.evaluate(network, data, limit=0)


def test_a_folder_for_raw_data(network, tmp_path, monkeypatch):
    monkeypatch.setenv("TTFS_DATA", str(tmp_path))
    told = []
    monkeypatch.setattr(
        "ttfs_convert.data.raw_files.find", lambda *arguments: told.append(arguments) or (_ for _ in ()).throw(DataError("mnist", "told"))
    )
    with pytest.raises(DataError, match="told"):
        ttfs_convert.evaluate(network, "mnist", data_dir=str(tmp_path))
    assert told == [("mnist", "test", tmp_path)]


def test_sweeps_and_tuning_take_the_same(network, files):
    swept = [ttfs_convert.sweep(each, data, "steps=3", steps=10) for each, data in ((network, (X, Y)), (files / "snn.npz", files / "data.npz"))]
    assert swept[0].points == swept[1].points and [point.kind for point in swept[0].points] == ["none", "steps"]
    assert swept[0].points[0].accuracy == ttfs_convert.evaluate(network.with_steps(10), (X, Y)).report.snn.accuracy
    tuned = [ttfs_convert.tune(each, data, 100, steps=6) for each, data in ((network, (X, Y)), (files / "snn.npz", str(files / "data.npz")))]
    assert tuned[0].variants == tuned[1].variants and set(tuned[0].variants[0].steps.values()) == {6}


def test_calibration_takes_arrays():
    model = Chain((6,), seed=3).gemm(8).add("Relu").gemm(5).add("Relu").readout(3).model()
    found = [ttfs_convert.convert(model, mode="exact", calibrate=each) for each in (X, (X, Y), dataset(X))]
    assert all(np.array_equal(a.hi, b.hi) for other in found[1:] for a, b in zip(found[0].layers[:-1], other.layers[:-1]))


# Steps


@pytest.mark.parametrize("steps", (0, -1, 65536, True, False, 2.0, 7.5, "9", np.float64(3), np.bool_(True)))
def test_what_is_no_number_of_steps_is_refused(network, steps):
    for call in (network.with_steps, lambda steps: ttfs_convert.evaluate(network, X, steps=steps)):
        with pytest.raises(UsageError, match=r"steps: .*; expected a whole number from 1 to 65535, or None for continuous time"):
            call(steps)


def test_steps_reach_layers_with_steps_of_their_own(network):
    own = network.with_layer_steps({network.layers[1].name: 7, "x": 255})
    for steps in (1, 9, 65535, np.int64(9), None):
        changed = own.with_steps(steps)
        assert set(changed.steps_per_layer().values()) == {steps} and type(changed.steps) in (int, type(None))
    assert ttfs_convert.evaluate(own, X, steps=9).report.snn == ttfs_convert.evaluate(network.with_steps(9), X).report.snn
    assert {layer.steps for layer in ttfs_convert.evaluate(own, X).report.layers} == {255, 7, 20}
    assert ttfs_convert.evaluate(own, X, steps=None).report.model.steps is None
    with pytest.raises(UsageError, match="rounding: 'up'; expected nearest or ceil"):
        network.with_steps(9, "up")


def test_a_change_is_checked(network):
    layer = network.layers[1]
    assert network.changed(rounding="ceil").rounding == "ceil" and network.changed(layers=network.layers) == network
    for record, fields in (
        (network, {"rounding": "up"}),
        (network, {"stepz": 3}),
        (network, {"layers": network.layers[1:]}),
        (layer, {"bias": np.full(layer.shape, np.nan, np.float32)}),
        (layer, {"steps": 0}),
    ):
        with pytest.raises(ValueError):
            record.changed(**fields)


# Frames


def test_frames(network):
    pytest.importorskip("pandas")
    report = ttfs_convert.evaluate(network, (X, Y), histogram=True).report
    layers = report.to_frame()
    assert list(layers["name"]) == [layer.name for layer in report.layers] and layers["range.high"][0] == 1
    assert list(layers["max_error"][1:3]) == [layer.max_error for layer in report.layers[1:3]]
    assert layers["spike_times.late"][1] == report.layers[1].spike_times.late and not any("histogram" in name for name in layers)
    row = report.to_row()
    assert row.shape[0] == 1 and row["snn.accuracy"][0] == report.snn.accuracy and row["energy.event.p_proxy"][0] == report.energy.event.p_proxy
    assert (row["drift.ci95_pp.low"][0], row["drift.ci95_pp.high"][0]) == report.drift.ci95_pp
    points = ttfs_convert.sweep(network, (X, Y), "steps=3,9").to_frame()
    assert list(points["kind"]) == ["none", "steps", "steps"] and list(points["value"][1:]) == [3, 9]
    tuning = ttfs_convert.tune(network, (X, Y), 100)
    variants = tuning.to_frame()
    assert list(variants["name"]) == [each.name for each in tuning.variants] and list(variants["kept"]).count(True) == 1
    assert list(variants["steps.x"]) == [each.steps["x"] for each in tuning.variants]


def test_without_pandas(network, monkeypatch):
    report = ttfs_convert.evaluate(network, X).report
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match=r"pandas is not installed; pip install 'ttfs-convert\[frames\]'"):
        report.to_frame()
