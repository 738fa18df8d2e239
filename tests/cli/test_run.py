"""`ttfs-run` as its users see it: the report, its JSON, the gate, errors and exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from tests.models import Chain, save
from ttfs_convert.cli.convert import main as convert_main
from ttfs_convert.cli.run import main
from ttfs_convert.network.store import load
from ttfs_convert.onnx_model.reference import Reference

EXAMPLE = Path(__file__).parents[2] / "examples" / "fashion_mnist"
IMAGES = EXAMPLE / "images.npz"


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def convert(model, out, *options):
    return CliRunner().invoke(convert_main, [str(argument) for argument in (model, "--out", out, *options)])


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    for name, options in (("snn", ()), ("bare", ("--no-embed",)), ("coarse", ("--steps", "3", "--rounding", "ceil"))):
        assert convert(EXAMPLE / "model.onnx", folder / f"{name}.npz", *options).exit_code == 0
    return folder


@pytest.fixture(scope="module")
def report(networks):
    path = networks / "report.json"
    assert run(networks / "snn.npz", "--data", IMAGES, "--limit", "200", "--json", path).exit_code == 0
    return json.loads(path.read_text())


def test_json_has_exactly_the_documented_fields(report):
    assert report["schema_version"] == 1
    assert {key: set(value) for key, value in report.items() if isinstance(value, dict)} == {
        "model": {
            "name",
            "onnx_sha256",
            "layers",
            "neurons",
            "synapses",
            "windows",
            "steps",
            "rounding",
            "spiking_mac_share",
            "mode",
            "slope",
            "weight_bits",
            "weight_bytes",
            "analog",
        },
        "engine": {"name", "threshold", "checked", "checked_samples", "neurons", "differing", "farthest"},
        "data": {"name", "sha256", "samples", "skipped", "treatments", "wanted"},
        "ann": {"accuracy", "mean_squared_error"},
        "snn": {"accuracy", "mean_squared_error", "latency_steps", "spikes_per_neuron"},
        "drift": {"accuracy_pp", "ci95_pp", "agreement", "agreement_ci95", "max_output_error", "output_range"},
        "task": {"name", "why", "about", "measures"},
        "energy": {
            *("paper", "synaptic", "event", "event_if_gated", "event_p_proxy_ci95", "ann_macs", "analog_macs"),
            *("traffic", "ndns", "neurobench", "costs"),
        },
        "latency": {
            *("steps", "interval_steps", "interval_steps_one_potential"),
            *("first_decision_mean_steps", "first_decision_earliest_steps", "first_decision_early_share"),
        },
        "timing": {"ann_seconds", "ann_timed_samples", "snn_seconds", "compile_seconds"},
        "samples": {"ann_right", "snn_right"},
        "tool": {"version", "options", "command", "versions"},
    }
    for count in ("paper", "synaptic", "event", "event_if_gated"):
        part = report["energy"][count]
        assert part["p_proxy"] == part["synops"] + part["neuronops"]
    for layer in report["layers"]:
        assert set(layer) == {
            "name",
            "kind",
            "slope",
            "tensor",
            "range",
            "window",
            "steps",
            "neurons",
            "synapses",
            "weight_sum_max_deviation",
            "max_error",
            "mean_error",
            "mean_error_ci95",
            "tolerance",
            "saturated",
            "silent",
            "synops",
            "neuronops",
            "joules",
            "spike_times",
        }
        assert layer["steps"] == 50 and layer["spike_times"] is None
    (output,) = report["outputs"]
    assert set(output) == {"name", "shape", "judged", "rule", "agreement", "max_error", "mean_error", "range", "psnr"}
    assert output["rule"] == "labels: the largest of 10 values" and output["judged"] and output["agreement"] == report["drift"]["agreement"]
    assert report["notes"] == ["uint8 pixels are divided by 255: the input's range is 0 to 1"]


def test_json_adds_up(report):
    layers = report["layers"]
    assert sum(layer["neurons"] for layer in layers) == report["model"]["neurons"] == 61_290
    assert sum(layer["synapses"] for layer in layers) == report["model"]["synapses"] == report["energy"]["synaptic"]["synops"]
    assert sum(layer["synops"] for layer in layers) == report["energy"]["event"]["synops"]
    assert report["energy"]["event_if_gated"]["synops"] < report["energy"]["synaptic"]["synops"] < report["energy"]["event"]["synops"]
    assert report["snn"]["latency_steps"] == 7 * 50 and report["model"]["spiking_mac_share"] == 1.0
    assert report["drift"]["accuracy_pp"] == pytest.approx(100 * (report["snn"]["accuracy"] - report["ann"]["accuracy"]))


def test_report_on_the_terminal(networks):
    result = run(networks / "snn.npz", "--data", IMAGES, "--limit", "50")
    assert result.exit_code == 0, result.output
    for text in (
        "node_conv2d",
        "ANN accuracy",
        "SNN accuracy",
        "95 % interval",
        "latency 350 steps (7 windows)",
        "paper",
        "synaptic",
        "event_if_gated",
        "first layer out of tolerance",
        "0 .. 1",
        "slope fan_in",
        "the outputs' range",
    ):
        assert text in result.stdout
    assert "note: --limit: a subset, 50 of 2,000 samples" in result.stderr
    assert "\x1b" not in result.output


def test_gate_passes_fails_and_straddles(networks):
    passed = run(networks / "snn.npz", "--data", IMAGES, "--limit", "300", "--max-drop", "3")
    assert passed.exit_code == 0 and "gate max-drop 3 pp: passed" in passed.stderr
    undecided = run(networks / "snn.npz", "--data", IMAGES, "--limit", "300", "--max-drop", "0.1")
    assert undecided.exit_code == 5 and "gate max-drop 0.1 pp: inconclusive" in undecided.stderr
    assert "300 samples decide gates from" in undecided.stderr and "0.1 pp needs about" in undecided.stderr
    failed = run(networks / "coarse.npz", "--data", IMAGES, "--limit", "100", "--max-drop", "0.5")
    assert failed.exit_code == 99 and "gate max-drop 0.5 pp: failed" in failed.stderr


def test_batch_and_threads_change_no_figure(networks, report, tmp_path):
    other = tmp_path / "other.json"
    run(networks / "snn.npz", "--data", IMAGES, "--limit", "200", "--batch", "37", "--threads", "1", "--json", other)
    changed = json.loads(other.read_text())
    for part in ("model", "data", "ann", "snn", "energy"):
        assert changed[part] == report[part]
    assert changed["drift"]["agreement"] == report["drift"]["agreement"]


def test_continuous_time_equals_the_original(networks):
    result = run(networks / "snn.npz", "--data", IMAGES, "--limit", "100", "--steps", "continuous", "--json", "-")
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
    code = (
        "import sys; from click.testing import CliRunner; from ttfs_convert.cli.run import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "print([name for name in ('numpy', 'numba', 'onnx', 'onnxruntime', 'pydantic', 'rich') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


# Mode exact

RELU = Chain((6,), seed=3).gemm(30).add("Relu").gemm(25).add("Relu").readout(3).model()
INPUTS = Chain((6,)).images(200)


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    """A folder with a model, data with its answers as labels, and networks calibrated on all of that, on few samples, on most."""
    folder = tmp_path_factory.mktemp("exact")
    outputs = Reference(RELU)(INPUTS)
    np.savez(folder / "data.npz", x=INPUTS, y=next(iter(outputs.values())).argmax(1))
    path = save(RELU, folder)
    for name, data, *options in (
        ("all", INPUTS),
        ("reference", INPUTS, "--slope", "reference"),
        ("tight", INPUTS, "--margin", "0"),
        ("few", INPUTS[:4], "--margin", "0"),
        ("most", INPUTS[:185], "--margin", "0"),
    ):
        np.savez(folder / f"{name}_data.npz", x=data)
        result = convert(path, folder / f"{name}.npz", "--mode", "exact", "--calibrate", folder / f"{name}_data.npz", *options)
        assert result.exit_code == 0, result.stderr
    return folder


@pytest.mark.parametrize("name, slope, silent", [("all", "gated", "sends nothing"), ("reference", "reference", "spikes at its window's end")])
def test_exact_prints_slope_and_ranges(exact, name, slope, silent):
    result = run(exact / f"{name}.npz", "--data", exact / "data.npz", "--steps", "continuous")
    assert result.exit_code == 0 and "note" not in result.stderr
    assert f"slope {slope}: a silent neuron {silent}" in result.stdout and f"what slope {slope} sends" in result.stdout
    for layer in load(exact / f"{name}.npz").layers[1:-1]:
        row = next(line.split() for line in result.stdout.splitlines() if line.split()[:1] == [layer.name])
        assert row[5:7] == ["0.0", "%"]  # saturated
        assert row[7:13] == ["0", "..", f"{layer.hi.max():.3g}", str(layer.window), str(layer.shape[0]), "dense"]
    assert "agreement 100.00 % of predictions" in " ".join(result.stdout.split())


def test_exact_in_json(exact):
    content = json.loads(run(exact / "all.npz", "--data", exact / "data.npz", "--steps", "continuous", "--json", "-").stdout)
    layers = load(exact / "all.npz").layers
    outputs = next(iter(Reference(RELU)(INPUTS).values()))
    assert content["drift"]["output_range"] == [float(outputs.min()), float(outputs.max())]
    assert content["drift"]["agreement"] == content["ann"]["accuracy"] == content["snn"]["accuracy"] == 1
    assert content["drift"]["max_output_error"] < 1e-5
    assert [layer["tensor"] for layer in content["layers"][1:]] == ["relu1_out", "relu3_out", RELU.graph.output[0].name]
    assert [layer["range"] for layer in content["layers"]] == [[0, 1], *([0, float(layer.hi.max())] for layer in layers[1:-1]), None]
    assert [layer["slope"] for layer in content["layers"]] == [None, "gated", "gated", None]
    assert max(layer["max_error"] for layer in content["layers"][1:]) < 1e-5
    assert content["energy"]["event"] == content["energy"]["event_if_gated"] and content["snn"]["spikes_per_neuron"] < 1


@pytest.mark.parametrize("name, layers", [("all", 0), ("tight", 0), ("most", 0), ("few", 2)])
def test_values_beyond_the_range_are_noted(exact, name, layers):
    """A note for every layer of which more than 0.1 % are cut off, and for no other."""
    result = run(exact / f"{name}.npz", "--data", exact / "data.npz", "--json", exact / f"{name}.json")
    content = json.loads((exact / f"{name}.json").read_text())
    hidden = load(exact / f"{name}.npz").layers[1:-1]
    values = Reference(RELU, [layer.tensor for layer in hidden])(INPUTS)
    shares = {layer.name: float((values[layer.tensor] > layer.hi * (1 + 1e-6)).mean()) for layer in hidden}
    assert {layer["name"]: layer["saturated"] for layer in content["layers"][1:-1]} == pytest.approx(shares)
    noted = [line for line in result.stderr.splitlines() if "outside its range" in line]
    assert len(noted) == layers == sum(share > 1e-3 for share in shares.values())
    for line, (layer, share) in zip(noted, shares.items()):
        assert line.startswith(f"note: layer {layer}: {100 * share:.2f} % ") and "more data" in line and "--margin" in line
    if name == "most":
        assert max(shares.values()) > 0


def test_a_model_with_external_data_from_a_file(exact):
    onnx.save(RELU, exact / "external.onnx", save_as_external_data=True, location="external.bin", size_threshold=0)
    options = ("--mode", "exact", "--calibrate", exact / "all_data.npz", "--no-embed")
    assert convert(exact / "external.onnx", exact / "external.npz", *options).exit_code == 0
    arguments = (exact / "external.npz", "--data", exact / "data.npz", "--onnx", exact / "external.onnx", "--json", "-")
    content, embedded = json.loads(run(*arguments).stdout), json.loads(run(exact / "all.npz", *arguments[1:3], "--json", "-").stdout)
    assert content["layers"] == embedded["layers"] and content["drift"] == embedded["drift"]
    (exact / "external.bin").unlink()
    refused = run(*arguments)
    assert refused.exit_code == 3 and "external data cannot be read" in refused.stderr and len(refused.stderr.splitlines()) == 1


def test_mode_unchecked_is_not_told_to_calibrate(exact):
    assert convert(exact / "model.onnx", exact / "unchecked.npz", "--mode", "unchecked").exit_code == 0
    notes = run(exact / "unchecked.npz", "--data", exact / "data.npz").stderr
    assert "outside its range" in notes and "calibrate" not in notes


@pytest.mark.parametrize(
    "ends, treatment, note",
    [
        ((), "divided by 255", "divided by 255"),
        (("--input-range", "0", "1"), "divided by 255", "divided by 255"),
        (("--input-range", "0", "255"), "as they are", "as they are"),
        (("--direct-input",), "as they are", "as they are"),
        (("--input-range", "-1", "1"), None, None),
    ],
)
def test_what_pixels_mean_is_said(tmp_path, ends, treatment, note):
    """And the figures are those of the same values in floats."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 6), dtype=np.uint8)
    floats = pixels.astype(np.float32) / np.float32(1 if treatment == "as they are" else 255)
    data = {"pixels": pixels, "floats": floats, "beyond": np.full((3, 6), -1.5, np.float32)}
    for name, x in data.items():
        np.savez(tmp_path / f"{name}.npz", x=x)
    path = save(Chain((6,), seed=3).gemm(30).relu1().readout(3).model(), tmp_path)
    assert convert(path, tmp_path / "snn.npz", "--mode", "exact", *ends).exit_code == 0
    found = {name: run(tmp_path / "snn.npz", "--data", tmp_path / f"{name}.npz", "--json", tmp_path / name) for name in data}
    assert found["beyond"].exit_code == (0 if ends == ("--direct-input",) else 4)
    if treatment is None:
        assert found["pixels"].exit_code == 4 and "0 255 for pixels as they are" in found["pixels"].stderr
        return
    assert found["pixels"].exit_code == found["floats"].exit_code == 0 and "note" not in found["floats"].stderr
    assert f"note: uint8 pixels {'' if note.startswith('d') else 'or numbers '}" in found["pixels"].stderr and note in found["pixels"].stderr
    reports = [json.loads((tmp_path / name).read_text()) for name in ("pixels", "floats")]
    assert reports[0]["layers"] == reports[1]["layers"]
    assert [report["data"]["treatments"] for report in reports] == [{"x": f"uint8 {treatment}"}, {"x": "float32 as they are"}]
