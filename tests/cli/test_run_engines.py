"""`ttfs-run` with other engines, the fixed threshold, histograms and spike files."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.models import Chain, save
from tests.naive_network import connection_weights
from ttfs_convert.cli.convert import main as convert_main
from ttfs_convert.cli.run import main
from ttfs_convert.network.store import load
from ttfs_convert.network.store import save as save_network
from ttfs_convert.simulation.engines import simulator
from ttfs_convert.simulation.spike_file import load_spikes
from ttfs_convert.studies import verification

EXAMPLE = Path(__file__).parents[2] / "examples" / "fashion_mnist"
SMALL = Chain((2, 6, 5), seed=2).conv(4, pads=[1] * 4).relu1().conv(5, (2, 2)).relu1().add("Flatten").gemm(9).relu1().readout(3)


def run(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments), "--threads", "1"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The example's network and a small one in every slope, and images for the small ones."""
    folder = tmp_path_factory.mktemp("networks")
    np.savez(folder / "small_data.npz", x=SMALL.images(6))
    calibrated = ("--calibrate", folder / "small_data.npz")
    for name, model, *options in (
        ("example", EXAMPLE / "model.onnx"),
        ("fan_in", save(SMALL.model(), folder)),
        ("gated", folder / "model.onnx", "--mode", "exact", *calibrated),
        ("reference", folder / "model.onnx", "--mode", "exact", "--slope", "reference", *calibrated),
    ):
        result = CliRunner().invoke(convert_main, [str(each) for each in (model, "--out", folder / f"{name}.npz", *options)])
        assert result.exit_code == 0, result.output
    network = load(folder / "fan_in.npz")
    save_network(network.with_layer_steps({network.layers[1].name: 20}), folder / "uneven.npz")
    return folder


def two_images(folder):
    return folder / "example.npz", "--data", EXAMPLE / "images.npz", "--limit", "2"


RUNS = {
    "exact": ("--histogram",),
    "clock": ("--engine", "clock", "--histogram"),
    "event": ("--engine", "event"),
    "fixed": ("--engine", "event", "--threshold", "fixed"),
    "fixed clock": ("--engine", "clock", "--threshold", "fixed", "--steps", "8"),
}


@pytest.fixture(scope="module")
def example(folder):
    """(what the terminal shows, the JSON, the spike file) of every run of the example on two images."""
    found = {}
    for name, options in RUNS.items():
        files = [folder / f"{name}.{end}" for end in ("json", "spikes.npz")]
        result = run(*two_images(folder), "--json", files[0], "--spikes", files[1], *options)
        assert result.exit_code == 0, result.output
        found[name] = result.stdout, json.loads(files[0].read_text()), load_spikes(files[1])
    return found


def test_engine_clock_agrees_with_the_closed_form(example):
    text, report, (recording, about) = example["clock"]
    _, exact, (other, _) = example["exact"]
    engine = report["engine"]
    assert (engine["name"], engine["threshold"], engine["neurons"]) == ("clock", "dynamic", 2 * (784 + 61_280))
    assert engine["differing"] <= 20 and engine["farthest"] < 2e-5
    assert (engine["checked"], engine["checked_samples"]) == ("clock", 2)
    by_default = exact["engine"]
    assert (by_default["name"], by_default["checked"], by_default["checked_samples"]) == ("exact", "clock", 1)
    assert by_default["neurons"] == 784 + 61_280 and by_default["differing"] <= engine["differing"]
    for part in ("model", "data", "ann", "snn"):
        assert report[part] == exact[part]
    for name, times in other.spike_times.items():
        assert (recording.spike_times[name] != times).mean() < 1e-3 and recording.spike_times[name].dtype == times.dtype
    assert "clock, dynamic threshold" in text and "of 124,128 neurons in another step" in text
    assert "verified by clock" in example["exact"][0] and "neurons of 1 sample in another step" in example["exact"][0]
    assert "engine" not in example["exact"][0] and (about["engine"], about["images"]) == ("clock", 2)


def test_engine_event_runs_in_continuous_time(example):
    text, report, (recording, _) = example["event"]
    assert report["engine"]["neurons"] == 124_128 and report["engine"]["farthest"] < 2e-5
    assert report["model"]["steps"] is report["snn"]["latency_steps"] is report["energy"]["paper"]["p_proxy"] is None
    assert {layer["steps"] for layer in report["layers"]} == {None} and {layer["spike_times"] for layer in report["layers"]} == {None}
    assert max(layer["max_error"] for layer in report["layers"] if layer["slope"]) < 1e-4 and report["drift"]["agreement"] == 1
    assert "event, dynamic threshold" in text and "124,128 spike times, the worst " in text and "continuous, 7 windows" in text
    assert set(recording.steps.values()) == {None} and "Spike times" not in text


def test_exact_is_verified_on_as_many_samples_as_asked(folder):
    def engine(*options):
        result = run(folder / "gated.npz", "--data", folder / "small_data.npz", "--json", "-", *options)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)["engine"]

    assert [engine("--verify", n)["checked_samples"] for n in (0, 1, 4, 99)] == [None, 1, 4, 6]
    continuous = engine("--verify", 2, "--steps", "continuous")
    assert (continuous["checked"], continuous["checked_samples"]) == ("event", 2) and 0 < continuous["farthest"] < 2e-5
    result = run(folder / "gated.npz", "--data", folder / "small_data.npz", "--engine", "clock", "--verify", 2)
    assert result.exit_code == 2 and "--verify" in result.output and "engine exact" in result.output


def test_a_closed_form_that_is_wrong_is_noticed(folder, monkeypatch):
    """Of every neuron a step too late, on the one sample that is verified by default."""
    monkeypatch.setattr(verification, "simulator", lambda network, engine: lambda entries: _late(simulator(network, engine)(entries)))
    result = run(folder / "gated.npz", "--data", folder / "small_data.npz", "--steps", "20")
    assert result.exit_code == 0 and "engine clock and the closed form differ" in result.output


def _late(recording):
    for name, times in recording.spike_times.items():
        recording.spike_times[name] = np.minimum(times + 1, recording.steps[name]).astype(times.dtype)
    return recording


@pytest.mark.parametrize("name", RUNS)
def test_histograms_count_every_neuron(example, name):
    text, report, (recording, _) = example[name]
    shown = name != "event"
    assert ("Spike times" in text and "histogram, window by window" in text) == shown
    for layer in report["layers"]:
        times, spikes = layer["spike_times"], recording.spike_times.get(layer["name"])
        if not shown or spikes is None:
            assert times is None
            continue
        assert set(times) == {"neurons", "premature", "late", "missing", "at_end", "bins_per_window", "histogram"}
        assert times["neurons"] == spikes.size == times["missing"] + times["at_end"] + sum(times["histogram"])
        assert len(times["histogram"]) == 7 * times["bins_per_window"] == 70
        assert times["missing"] == recording.missing(layer["name"]).sum()
        window = slice(10 * layer["window"], 10 * layer["window"] + 10)
        if "fixed" not in name:
            assert times["premature"] == times["late"] == times["missing"] == 0
            assert sum(times["histogram"][window]) == sum(times["histogram"])
            assert any(line.split()[:1] == [layer["name"]] and line.split()[-1] == str(layer["window"]) and "|" in line for line in text.splitlines())


@pytest.mark.parametrize("name", ("fixed", "fixed clock"))
def test_a_fixed_threshold_is_told(example, name):
    text, report, (recording, about) = example[name]
    engine = name.split()[-1].replace("fixed", "event")
    checks = dict.fromkeys(("checked", "checked_samples", "neurons", "differing", "farthest"))
    assert report["engine"] == {"name": engine, "threshold": "fixed", **checks}
    assert f"{engine}, fixed threshold" in text and "against the closed form" not in text
    assert "a neuron that never reaches it sends nothing" in text and "spikes that were sent, every padded tap" in text
    times = [layer["spike_times"] for layer in report["layers"] if layer["slope"]]
    assert all(sum(each[trouble] for each in times) > 0 for trouble in ("premature", "late", "missing"))
    missing, neurons = (sum(each[key] for each in times) for key in ("missing", "neurons"))
    assert report["snn"]["spikes_per_neuron"] == pytest.approx(1 - missing / neurons)
    assert about["threshold"] == "fixed" and {each.dtype for each in recording.spike_times.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", ("continuous", "fixed"))
def test_silent_neurons_are_those_that_spike_at_the_end(example, folder, name):
    """The layer errors and the spike times tell the same."""
    continuous = (*two_images(folder), "--steps", "continuous", "--histogram", "--json", "-")
    report = json.loads(run(*continuous).stdout) if name == "continuous" else example[name][1]
    for layer in report["layers"][:-1]:
        times = layer["spike_times"]
        assert layer["silent"] == pytest.approx((times["at_end"] + times["late"] + times["missing"]) / times["neurons"])


# Operations with a fixed threshold, connection by connection


@pytest.mark.parametrize("slope", ("fan_in", "reference"))
@pytest.mark.parametrize("engine", ("event", "clock"))
def test_only_spikes_that_were_sent_count(folder, tmp_path, engine, slope):
    result = run(
        folder / f"{slope}.npz",
        "--data",
        folder / "small_data.npz",
        "--engine",
        engine,
        "--threshold",
        "fixed",
        "--steps",
        "10",
        "--spikes",
        tmp_path / "spikes.npz",
        "--json",
        "-",
    )
    assert result.exit_code == 0, result.stderr
    report, (recording, _) = json.loads(result.stdout), load_spikes(tmp_path / "spikes.npz")
    network = load(folder / f"{slope}.npz")
    missing = total = 0
    for layer, told in zip(network.layers, report["layers"], strict=True):
        if layer.kind == "input":
            continue
        (connection,) = layer.connections
        real, virtual = connection_weights(connection, layer)
        sent = ~recording.missing(connection.source).reshape(6, -1)
        expected = (sent.astype(int) @ (real != 0).T).sum() / 6 + np.count_nonzero(virtual)
        expected += len(real) if layer.kind == "spiking" and slope == "reference" else 0
        assert told["synops"] == pytest.approx(expected)
        assert told["neuronops"] == (None if engine == "event" else len(real) * report["snn"]["latency_steps"])
        missing, total = missing + (~sent).sum(), total + expected
    assert missing > 0 and report["energy"]["event"]["synops"] == pytest.approx(total)
    assert engine == "event" or report["energy"]["event"]["neuronops"] == report["energy"]["synaptic"]["neuronops"]


# What does not go together


@pytest.mark.parametrize(
    "network, options, texts",
    (
        ("gated", ("--engine", "event", "--threshold", "fixed"), ("slope gated in", "slope fan_in or reference", "--mode unchecked")),
        ("gated", ("--engine", "clock", "--threshold", "fixed"), ("slope gated in",)),
        ("fan_in", ("--threshold", "fixed"), ("engine exact, whose closed form needs the dynamic one", "add --engine event")),
        ("fan_in", ("--engine", "clock", "--steps", "continuous"), ("engine clock: continuous time", "set --steps N, or use")),
        ("uneven", ("--engine", "clock", "--threshold", "fixed"), ("numbers of steps of their own", "set --steps N")),
        ("fan_in", ("--engine", "fast"), ("'fast' is not one of",)),
        ("fan_in", ("--threshold", "none"), ("'none' is not one of",)),
    ),
)
def test_usage_errors(folder, tmp_path, network, options, texts):
    result = run(folder / f"{network}.npz", "--data", folder / "small_data.npz", "--spikes", tmp_path / "s.npz", *options)
    assert result.exit_code == 2 and all(text in result.stderr for text in texts), result.stderr
    assert not result.stdout and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options",
    (
        ("--engine", "event"),
        ("--engine", "clock"),
        ("--engine", "event", "--threshold", "fixed"),
        ("--engine", "clock", "--threshold", "fixed", "--steps", "10"),
    ),
)
def test_layers_with_steps_of_their_own_and_every_engine(folder, options):
    result = run(folder / "uneven.npz", "--data", folder / "small_data.npz", "--json", "-", *options)
    assert result.exit_code == 0, result.stderr
    steps = [layer["steps"] for layer in json.loads(result.stdout)["layers"]]
    assert steps == ([None] * 5 if "event" in options else [10] * 5 if "fixed" in options else [50, 20, 50, 50, 50])


@pytest.mark.parametrize("target", ("none/s.npz", "."))
def test_a_spike_file_that_cannot_be_written_is_refused_before_the_run(folder, tmp_path, target):
    result = run(folder / "fan_in.npz", "--data", "no-such-data", "--spikes", tmp_path / target)
    assert result.exit_code == 2 and "cannot be written" in result.stderr and not list(tmp_path.iterdir())


def test_the_gate_works_with_every_engine(folder):
    labelled = folder / "labelled.npz"
    with np.load(folder / "small_data.npz") as archive:
        np.savez(labelled, x=archive["x"], y=np.zeros(6, np.int64))
    for options in (("--engine", "clock"), ("--engine", "event")):
        result = run(folder / "fan_in.npz", "--data", labelled, "--max-drop", "90", *options)
        assert result.exit_code == 0 and "gate max-drop 90 pp: passed" in result.stderr
