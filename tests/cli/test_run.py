"""`ttfs-run` as its users see it: the report, its JSON, the gate, errors and exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ttfs_convert.cli.convert import main as convert_main
from ttfs_convert.cli.run import main

EXAMPLE = Path(__file__).parents[2] / "examples" / "fashion_mnist"
IMAGES = EXAMPLE / "images.npz"


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    for name, options in (("snn", ()), ("bare", ("--no-embed",)), ("coarse", ("--steps", "3", "--rounding", "ceil"))):
        assert CliRunner().invoke(convert_main, [str(EXAMPLE / "model.onnx"), "--out", str(folder / f"{name}.npz"), *options]).exit_code == 0
    return folder


@pytest.fixture(scope="module")
def report(networks):
    path = networks / "report.json"
    assert run(networks / "snn.npz", "--data", IMAGES, "--limit", "500", "--json", path).exit_code == 0
    return json.loads(path.read_text())


def test_json_has_exactly_the_documented_fields(report):
    assert report["schema_version"] == 1
    assert {key: set(value) for key, value in report.items() if isinstance(value, dict)} == {
        "model": {"name", "onnx_sha256", "layers", "neurons", "synapses", "windows", "steps", "rounding", "spiking_mac_share"},
        "data": {"name", "sha256", "samples"},
        "ann": {"accuracy"},
        "snn": {"accuracy", "latency_steps", "spikes_per_neuron"},
        "drift": {"accuracy_pp", "ci95_pp", "agreement", "max_output_error"},
        "energy": {"paper", "synaptic", "event", "event_if_gated", "ann_macs"},
        "timing": {"ann_seconds", "snn_seconds", "compile_seconds"}}
    for count in ("paper", "synaptic", "event", "event_if_gated"):
        part = report["energy"][count]
        assert part["p_proxy"] == part["synops"] + part["neuronops"]
    for layer in report["layers"]:
        assert set(layer) == {"name", "kind", "slope", "window", "neurons", "synapses", "weight_sum_max_deviation", "max_error",
                              "mean_error", "saturated", "silent", "synops", "neuronops"}


def test_json_adds_up(report):
    layers = report["layers"]
    assert sum(layer["neurons"] for layer in layers) == report["model"]["neurons"] == 61_290
    assert sum(layer["synapses"] for layer in layers) == report["model"]["synapses"] == report["energy"]["synaptic"]["synops"]
    assert sum(layer["synops"] for layer in layers) == report["energy"]["event"]["synops"]
    assert report["energy"]["event_if_gated"]["synops"] < report["energy"]["synaptic"]["synops"] < report["energy"]["event"]["synops"]
    assert report["snn"]["latency_steps"] == 7 * 50 and report["model"]["spiking_mac_share"] == 1.0
    assert report["drift"]["accuracy_pp"] == pytest.approx(100 * (report["snn"]["accuracy"] - report["ann"]["accuracy"]))


def test_report_on_the_terminal(networks):
    result = run(networks / "snn.npz", "--data", IMAGES, "--limit", "200")
    assert result.exit_code == 0, result.output
    for text in ("node_Conv_71", "ANN accuracy", "SNN accuracy", "95 % interval", "agreement", "latency 350 steps (7 windows)", "paper",
                 "synaptic", "event_if_gated", "first layer out of tolerance"):
        assert text in result.stdout
    assert "note: --limit: a subset, 200 of 2,000 samples" in result.stderr
    assert "\x1b" not in result.output


def test_gate_passes_fails_and_straddles(networks):
    passed = run(networks / "snn.npz", "--data", IMAGES, "--max-drop", "0.5")
    assert passed.exit_code == 0 and "gate 0.5 pp: passed" in passed.stderr
    undecided = run(networks / "snn.npz", "--data", IMAGES, "--max-drop", "0.1")
    assert undecided.exit_code == 5 and "gate 0.1 pp: inconclusive" in undecided.stderr
    assert "2,000 samples" in undecided.stderr and "0.1 pp needs about" in undecided.stderr
    failed = run(networks / "coarse.npz", "--data", IMAGES, "--limit", "500", "--max-drop", "0.5")
    assert failed.exit_code == 99 and "gate 0.5 pp: failed" in failed.stderr


def test_batch_and_threads_change_no_figure(networks, report, tmp_path):
    other = tmp_path / "other.json"
    run(networks / "snn.npz", "--data", IMAGES, "--limit", "500", "--batch", "37", "--threads", "1", "--json", other)
    changed = json.loads(other.read_text())
    for part in ("model", "data", "ann", "snn", "energy"):
        assert changed[part] == report[part]
    assert changed["drift"]["agreement"] == report["drift"]["agreement"]


def test_continuous_time_equals_the_original(networks):
    result = run(networks / "snn.npz", "--data", IMAGES, "--limit", "300", "--steps", "continuous", "--json", "-")
    content = json.loads(result.stdout)
    assert content["drift"]["agreement"] == 1.0 and content["model"]["steps"] is None
    assert content["snn"]["latency_steps"] is None and content["energy"]["paper"]["p_proxy"] is None
    assert max(layer["max_error"] for layer in content["layers"] if layer["slope"]) <= 1e-5


def test_unlabelled_data(networks, tmp_path):
    with np.load(IMAGES) as archive:
        np.savez(tmp_path / "x.npz", x=archive["x"][:100])
    content = json.loads(run(networks / "snn.npz", "--data", tmp_path / "x.npz", "--json", "-").stdout)
    assert content["ann"]["accuracy"] is None and content["drift"]["ci95_pp"] is None and content["drift"]["agreement"] > 0.9
    gated = run(networks / "snn.npz", "--data", tmp_path / "x.npz", "--max-drop", "1")
    assert gated.exit_code == 2 and "has no labels" in gated.stderr


def test_the_original_from_a_file(networks, tmp_path):
    without = run(networks / "bare.npz", "--data", IMAGES, "--limit", "20")
    assert without.exit_code == 2 and "name it with --onnx FILE" in without.stderr
    assert run(networks / "bare.npz", "--data", IMAGES, "--limit", "20", "--onnx", EXAMPLE / "model.onnx").exit_code == 0
    other = tmp_path / "other.onnx"
    other.write_bytes((EXAMPLE / "model.onnx").read_bytes() + b"\x00")
    wrong = run(networks / "bare.npz", "--data", IMAGES, "--limit", "20", "--onnx", other)
    assert wrong.exit_code == 3 and "the model that was converted" in wrong.stderr


@pytest.mark.parametrize("data,code,text", [("nothing.npz", 4, "nothing.npz"), (str(EXAMPLE / "model.onnx"), 4, "model.onnx")])
def test_data_errors(networks, data, code, text):
    result = run(networks / "snn.npz", "--data", data)
    assert result.exit_code == code and text in result.stderr and len(result.stderr.strip().splitlines()) == 1


def test_labels_that_the_model_has_no_class_for(networks, tmp_path):
    with np.load(IMAGES) as archive:
        np.savez(tmp_path / "shifted.npz", x=archive["x"][:100], y=archive["y"][:100] + 1)
    result = run(networks / "snn.npz", "--data", tmp_path / "shifted.npz")
    assert result.exit_code == 4 and "label 10; expected labels from 0 to 9" in result.stderr


def test_an_unwritable_report_is_refused_before_the_run(networks, tmp_path):
    for target in (tmp_path / "none" / "r.json", tmp_path):
        result = run(networks / "snn.npz", "--data", "no-such-data", "--json", target)
        assert result.exit_code == 2 and "cannot be written" in result.stderr
    assert not list(tmp_path.iterdir())


def test_values_outside_the_unit_interval(networks, tmp_path):
    np.savez(tmp_path / "x.npz", x=np.full((3, 1, 28, 28), 1.5, np.float32))
    result = run(networks / "snn.npz", "--data", tmp_path / "x.npz")
    assert result.exit_code == 4 and "1.5" in result.stderr and "scale" in result.stderr


def test_a_network_file_that_is_none(tmp_path):
    (tmp_path / "snn.npz").write_bytes(b"PK\x03\x04 nothing")
    result = run(tmp_path / "snn.npz", "--data", IMAGES)
    assert result.exit_code == 3 and "snn.npz" in result.stderr


def test_help_imports_nothing_heavy():
    code = ("import sys; from click.testing import CliRunner; from ttfs_convert.cli.run import main\n"
            "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
            "print([name for name in ('numpy', 'numba', 'onnx', 'onnxruntime', 'pydantic', 'rich') if name in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
