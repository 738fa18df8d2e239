"""`ttfs-tune` as its users see it: the table, its JSON, the network it writes, errors and exit codes."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from tests.models import Chain, save
from ttfs_convert.cli.convert import main as convert_main
from ttfs_convert.cli.inspect import main as inspect_main
from ttfs_convert.cli.run import main as run_main
from ttfs_convert.cli.tune import main
from ttfs_convert.network.store import load
from ttfs_convert.onnx_model.reference import Reference

MODEL = Chain((6,), seed=3).gemm(14).relu1().gemm(10).relu1().readout(3).model()
IMAGES = Chain((6,)).images(240)


def invoke(command, *arguments):
    return CliRunner().invoke(command, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune")
    y = next(iter(Reference(MODEL, threads=1)(IMAGES).values())).argmax(1)
    y[::8] = (y[::8] + 1) % 3
    np.savez(folder / "data.npz", x=IMAGES, y=y)
    np.savez(folder / "unlabelled.npz", x=IMAGES)
    model = save(MODEL, folder)
    np.savez(folder / "train.npz", x=np.random.default_rng(5).uniform(0, 1, (100, 6)).astype(np.float32))
    fitted = (model, "--out", folder / "fitted.npz", "--steps", "64", "--compensate", "--calibrate", folder / "train.npz")
    assert invoke(convert_main, *fitted).exit_code == 0
    for name, steps in (("snn", "64"), ("continuous", "continuous"), ("coarse", "2")):
        assert invoke(convert_main, model, "--out", folder / f"{name}.npz", "--steps", steps).exit_code == 0
    return folder


def tune(folder, *arguments, network="snn", data="data"):
    return invoke(main, folder / f"{network}.npz", "--data", folder / f"{data}.npz", "--threads", "1", *arguments)


@pytest.fixture(scope="module")
def tuned(folder):
    """(result, JSON) of a run that writes a network of seven, four and three steps."""
    result = tune(folder, "--max-drop", "5", "--seed", "5", "--out", folder / "tuned.npz", "--json", folder / "tuned.json")
    assert result.exit_code == 0, result.output
    return result, json.loads((folder / "tuned.json").read_text())


def test_json_has_exactly_these_fields(tuned, folder):
    _, content = tuned
    assert set(content) == {
        "schema_version",
        "network",
        "data",
        "task",
        "measure",
        "max_drop_pp",
        "max_latency_steps",
        "fitted_to",
        "seed",
        "chosen_on",
        "judged_on",
        "runs",
        "rule",
        "notes",
        "kept",
        "variants",
    }
    assert (content["schema_version"], content["network"], content["max_drop_pp"], content["seed"], content["kept"]) == (
        1,
        "model",
        5,
        5,
        "per layer",
    )
    assert content["max_latency_steps"] is None and content["fitted_to"] is None
    assert (content["chosen_on"], content["judged_on"]) == (120, 120) and content["data"]["name"] == "data.npz"
    assert [each["name"] for each in content["variants"]] == ["as given", "uniform", "per layer"]
    for each in content["variants"]:
        assert set(each) == {"name", "steps", "latency_steps", "p_proxy", "ann_accuracy", "snn_accuracy", "drift"}
        assert set(each["p_proxy"]) == {"event", "synaptic"} and set(each["drift"]) == {"accuracy_pp", "ci95_pp", "agreement"}
        assert each["latency_steps"] == sum(each["steps"].values()), "a chain: one window behind the other"
        assert each["drift"]["accuracy_pp"] == pytest.approx(100 * (each["snn_accuracy"] - each["ann_accuracy"]))
        low, high = each["drift"]["ci95_pp"]
        assert low <= each["drift"]["accuracy_pp"] <= high
    given, uniform, per_layer = (each["steps"] for each in content["variants"])
    assert set(given.values()) == {64} and len(set(uniform.values())) == 1 and len(set(per_layer.values())) > 1
    assert all(per_layer[name] <= uniform[name] < 64 for name in given)


def test_the_table_and_what_is_said_beside_it(tuned):
    result, content = tuned
    assert "\x1b" not in result.output and max(map(len, result.stdout.splitlines())) <= 132
    for text in ("Steps of model, judged on 120 samples", "latency", "P_proxy event", "synaptic", "95 % interval", "variant", "steps"):
        assert text in result.stdout
    for each in content["variants"]:
        (row,) = (line for line in result.stdout.splitlines() if line.strip().startswith(each["name"]))
        steps = list(each["steps"].values())
        shown = [steps[0]] if len(set(steps)) == 1 else steps
        assert row.split()[-len(shown) :] == list(map(str, shown))
        assert f"{100 * each['snn_accuracy']:.2f} %" in row and f" {each['drift']['accuracy_pp']:+.2f} " in row
    told = result.stderr.splitlines()
    assert len([line for line in told if ": drop " in line and line.endswith(" pp") and not line.startswith("note")]) == content["runs"]
    assert f"note: steps chosen on 120 samples in {content['runs']} runs, for a drop of at most 5 pp" in result.stderr
    assert told[-1].startswith("Wrote ") and told[-1].endswith("tuned.npz: the variant per layer.")


def test_the_network_written_has_the_steps_found_and_runs(tuned, folder):
    """In every command, and its latency is the sum over its windows."""
    steps = tuned[1]["variants"][2]["steps"]
    network = load(folder / "tuned.npz")
    assert {name: network.steps_per_layer()[name] for name in steps} == steps and network.latency_steps == sum(steps.values())
    report = folder / "report.json"
    result = invoke(run_main, folder / "tuned.npz", "--data", folder / "data.npz", "--threads", "1", "--json", report)
    assert result.exit_code == 0, result.stderr
    content = json.loads(report.read_text())
    assert {layer["name"]: layer["steps"] for layer in content["layers"] if layer["name"] in steps} == steps
    assert content["snn"]["latency_steps"] == sum(steps.values())
    assert (
        f"{min(steps.values())} to {max(steps.values())} steps per window, rounding nearest; latency {sum(steps.values())} steps "
        "(3 windows)" in result.stdout
    )
    assert invoke(run_main, folder / "tuned.npz", "--data", folder / "data.npz", "--limit", "9", "--engine", "clock").exit_code == 0
    inspected = invoke(inspect_main, folder / "tuned.npz", "--json", folder / "inspected.json")
    assert inspected.exit_code == 0 and f"latency {sum(steps.values())} steps" in inspected.stdout
    for name, count in steps.items():
        (row,) = (line.split() for line in inspected.stdout.splitlines() if line.split()[:1] == [name])
        assert row[5] == str(count)
    layers = json.loads((folder / "inspected.json").read_text())
    assert {layer["name"]: layer["steps"] for layer in layers["layers"] if layer["name"] in steps} == steps
    assert layers["latency_steps"] == sum(steps.values())


def test_another_number_of_steps_replaces_those_of_the_layers(tuned, folder):
    for steps in ("50", "continuous"):
        grids = [
            json.loads(
                invoke(
                    run_main,
                    folder / f"{name}.npz",
                    "--data",
                    folder / "data.npz",
                    "--limit",
                    "40",
                    "--threads",
                    "1",
                    "--steps",
                    steps,
                    "--json",
                    "-",
                ).stdout
            )
            for name in ("snn", "tuned")
        ]
        for part in ("model", "snn", "drift", "energy", "layers"):
            assert grids[0][part] == grids[1][part]


def test_json_alone_on_standard_output(folder, tuned):
    result = tune(folder, "--max-drop", "5", "--seed", "5", "--json", "-")
    assert json.loads(result.stdout) == tuned[1]


def test_nothing_is_written_where_no_variant_keeps_the_budget(folder, tmp_path):
    """Luck was in the choosing half."""
    result = tune(folder, "--max-drop", "0.5", "--seed", "2", "--out", tmp_path / "tuned.npz", "--json", tmp_path / "tuned.json")
    assert result.exit_code == 5 and "no variant stays within 0.5 pp on the samples that had no say" in result.stderr
    assert json.loads((tmp_path / "tuned.json").read_text())["kept"] is None and not (tmp_path / "tuned.npz").exists()


def test_the_variant_that_keeps_the_budget_is_written(folder, tmp_path):
    """Uniform steps kept it, those per layer did not."""
    result = tune(folder, "--max-drop", "5", "--out", tmp_path / "tuned.npz")
    assert result.exit_code == 0 and "uniform (kept)" in result.stdout and "the variant uniform" in result.stderr
    assert len(set(load(tmp_path / "tuned.npz").steps_per_layer().values())) == 1


def test_seed_share_and_limit(folder):
    content = json.loads(tune(folder, "--max-drop", "20", "--seed", "3", "--share", "0.25", "--limit", "100", "--json", "-").stdout)
    assert (content["chosen_on"], content["judged_on"], content["seed"], content["max_drop_pp"]) == (25, 75, 3, 20)


def test_variants_fitted_to_their_own_steps(folder, tmp_path):
    """The file says to which steps of every layer, and on what; a run of it has nothing to warn of."""
    options = ("--compensate", "--calibrate", folder / "train.npz", "--calibration-limit", "70", "--max-drop", "10")
    result = tune(folder, *options, "--out", tmp_path / "tuned.npz", "--json", tmp_path / "tuned.json", network="fitted")
    assert result.exit_code == 0, result.stderr
    content, network = json.loads((tmp_path / "tuned.json").read_text()), load(tmp_path / "tuned.npz")
    fitted, kept = content["fitted_to"], next(each for each in content["variants"] if each["name"] == content["kept"])
    assert (fitted["data"], fitted["samples"], fitted["fits"]) == ("train.npz", 70, content["runs"]) and content["kept"] != "as given"
    assert f"fitted, each to its own steps, on 70 samples of train.npz (SHA-256 {fitted['sha256'][:16]}...) in {fitted['fits']} fits" in result.stderr
    record = network.compensation
    assert (record.data, record.sha256, record.samples) == ("train.npz", fitted["sha256"], 70)
    assert {name: record.steps[name] for name in kept["steps"]} == kept["steps"] and network.on_fitted_grid
    inspected = invoke(inspect_main, tmp_path / "tuned.npz")
    assert "on 70 samples of train.npz" in " ".join(inspected.stdout.split())
    assert "were fitted to" not in invoke(run_main, tmp_path / "tuned.npz", "--data", folder / "data.npz").stderr


def test_the_most_accurate_within_a_latency(folder, tmp_path):
    result = tune(folder, "--max-latency", "20", "--out", tmp_path / "tuned.npz", "--json", tmp_path / "tuned.json")
    content = json.loads((tmp_path / "tuned.json").read_text())
    assert result.exit_code == 0 and "for the least drop within a latency of 20 steps; all figures are of the other 120" in result.stderr
    assert (content["max_drop_pp"], content["max_latency_steps"], content["fitted_to"]) == (None, 20, None)
    assert load(tmp_path / "tuned.npz").latency_steps <= 20 and content["kept"] in ("uniform", "per layer")
    assert [each["latency_steps"] for each in content["variants"][:2]] == [192, 18]


@pytest.mark.parametrize(
    "network, data, options, texts",
    (
        ("snn", "unlabelled", (), ("unlabelled.npz has no labels", "add y to the .npz")),
        ("continuous", "data", (), ("continuous time", "convert with --steps N")),
        ("snn", "data", ("--limit", "1"), ("0.5 of 1 samples", "at least one sample to choose on and one to judge on")),
        ("coarse", "data", ("--max-drop", "0.5"), ("a drop of", "with all 2 steps; expected at most 0.5 pp", "allow a larger drop")),
        ("snn", "data", ("--share", "1"), ("--share",)),
        ("snn", "data", ("--share", "0"), ("--share",)),
        ("snn", "data", ("--max-drop", "-1"), ("--max-drop",)),
        ("snn", "data", ("--max-drop", "1", "--max-latency", "9"), ("max-latency: given with max-drop", "one budget")),
        ("snn", "data", ("--max-latency", "2"), ("max-latency: 2 steps; expected at least 3",)),
        ("snn", "data", ("--compensate",), ("compensate: no data; expected samples to fit to", "--calibrate DATA")),
        ("snn", "no such data", ("--out", "{tmp}/none/t.npz"), ("cannot be written",)),
        ("snn", "no such data", ("--json", "{tmp}/none/t.json"), ("cannot be written",)),
    ),
)
def test_usage_errors(folder, tmp_path, network, data, options, texts):
    result = tune(folder, *(option.format(tmp=tmp_path) for option in options), network=network, data=data)
    assert result.exit_code == 2 and all(text in result.stderr for text in texts), result.stderr
    assert not result.stdout and not list(tmp_path.iterdir())


def test_data_to_fit_to_without_a_fit(folder):
    result = tune(folder, "--calibrate", folder / "train.npz")
    assert result.exit_code == 2 and "calibrate: data to fit to, but no fit; expected both or neither; add --compensate" in result.stderr


def test_model_and_data_errors(folder, tmp_path):
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 nothing")
    broken = invoke(main, tmp_path / "broken.npz", "--data", folder / "data.npz")
    assert broken.exit_code == 3 and "broken.npz" in broken.stderr
    missing = tune(folder, data="nothing")
    assert missing.exit_code == 4 and "nothing.npz" in missing.stderr


def test_notes_on_the_data_are_told(folder):
    """That only part of the data was used, as ttfs-run says."""
    assert "a subset, 100 of 240 samples" in tune(folder, "--max-drop", "20", "--limit", "100").stderr
