"""`--compensate` and `--input-steps` as their users see them: tables, notes, files, refusals."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from tests.models import Chain, save
from ttfs_convert.cli.convert import main as convert_main
from ttfs_convert.cli.inspect import main as inspect_main
from ttfs_convert.cli.run import main as run_main
from ttfs_convert.network.store import load
from ttfs_convert.onnx_model.reference import Reference

CHAIN = Chain((2, 6, 6), seed=2)
MODEL = CHAIN.conv(5, pads=[1] * 4).add("Relu").conv(6, strides=[2, 2]).add("Relu").readout(3).model()


def invoke(command, *arguments):
    return CliRunner().invoke(command, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compensate")
    for name, seed, count in (("train", 1, 120), ("test", 2, 1000)):
        x = np.random.default_rng(seed).uniform(0, 1, (count, 2, 6, 6)).astype(np.float32)
        np.savez(folder / f"{name}.npz", x=x, y=next(iter(Reference(MODEL, threads=1)(x).values())).argmax(1))
    save(MODEL, folder)
    return folder


def convert(folder, out, *options, data="train"):
    return invoke(
        convert_main,
        folder / "model.onnx",
        "--out",
        folder / out,
        "--mode",
        "exact",
        "--steps",
        "8",
        "--rounding",
        "ceil",
        "--calibrate",
        folder / f"{data}.npz",
        *options,
    )


@pytest.fixture(scope="module")
def fitted(folder):
    result = convert(folder, "fitted.npz", "--compensate", "--json", folder / "fitted.json")
    assert result.exit_code == 0, result.output
    return result


def test_every_layers_line_says_what_the_fit_gained(fitted, folder):
    network = load(folder / "fitted.npz")
    assert "Fitted to 120 samples of train.npz, 24 of them only to judge" in fitted.stdout
    for fit in network.compensation.layers:
        (row,) = (line.split() for line in fitted.stdout.splitlines() if line.split()[:1] == [fit.layer] and f"{fit.error_after:.4g}" in line)
        assert fit.fitted in " ".join(row) and f"{fit.error_before:.4g}" in row and fit.error_after < fit.error_before
        assert f"{100 * (1 - fit.error_after / fit.error_before):.1f}" in row
    content = json.loads((folder / "fitted.json").read_text())["compensation"]
    assert content == json.loads(network.compensation.model_dump_json()) and content["steps"]["x"] == 8
    assert network.calibration.method == "mse"


def test_inspect_shows_what_changed(fitted, folder):
    result = invoke(inspect_main, folder / "fitted.npz")
    assert result.exit_code == 0 and "weights changed by" in result.stdout
    assert "fitted to the rounding of 8 steps, ceil, on 120 samples of train.npz" in " ".join(result.stdout.split())


def test_runs_lose_less_and_know_their_grid_and_their_samples(fitted, folder):
    assert convert(folder, "plain.npz").exit_code == 0
    reports = {}
    for name in ("plain", "fitted"):
        result = invoke(run_main, folder / f"{name}.npz", "--data", folder / "test.npz", "--quantised", "--json", folder / "run.json")
        assert result.exit_code == 0 and "fitted" not in result.stderr
        reports[name] = json.loads((folder / "run.json").read_text())
    assert reports["fitted"]["drift"]["agreement"] > reports["plain"]["drift"]["agreement"]
    assert [layer["max_error"] is not None for layer in reports["fitted"]["layers"]] == [False, True, True, True]
    same = invoke(run_main, folder / "fitted.npz", "--data", folder / "train.npz")
    assert "these are the samples that the network was fitted to" in same.stderr
    assert "samples that the network was calibrated on" in invoke(run_main, folder / "plain.npz", "--data", folder / "train.npz").stderr
    for options, now in (
        (("--steps", "9"), "9 steps, ceil"),
        (("--steps", "continuous"), "continuous time"),
        (("--rounding", "nearest"), "8 steps, nearest"),
        (("--input-steps", "255"), "8 to 255 steps, ceil"),
    ):
        other = invoke(run_main, folder / "fitted.npz", "--data", folder / "test.npz", *options)
        assert f"fitted to 8 steps, ceil; in {now} they are not" in other.stderr


def test_the_quantised_ann_is_that_without_the_fit(fitted, folder):
    """It has the ranges of the fitted network and the original's weights: the same as that of the network that was not fitted."""
    assert convert(folder, "mse.npz", "--method", "mse").exit_code == 0
    found = []
    for name in ("mse", "fitted"):
        result = invoke(run_main, folder / f"{name}.npz", "--data", folder / "test.npz", "--quantised", "--json", "-")
        found.append(json.loads(result.stdout))
    assert found[0]["quantised_ann"]["accuracy"] == found[1]["quantised_ann"]["accuracy"] == found[0]["snn"]["accuracy"]
    assert found[1]["snn"]["accuracy"] > found[1]["quantised_ann"]["accuracy"]
    assert found[0]["quantised_ann"]["mismatches"] == 0 < found[1]["quantised_ann"]["mismatches"]


def test_input_steps_count_in_latency_and_operations(folder):
    for options, steps in (((), 8), (("--input-steps", "255"), 255)):
        assert convert(folder, "own.npz", *options).exit_code == 0
        network = load(folder / "own.npz")
        assert network.steps_per_layer()["x"] == steps and network.latency_steps == steps + 2 * 8
    report = json.loads(invoke(run_main, folder / "own.npz", "--data", folder / "test.npz", "--limit", "9", "--json", "-").stdout)
    assert report["snn"]["latency_steps"] == 271
    assert report["energy"]["synaptic"]["neuronops"] == 271 * report["model"]["neurons"]
    overridden = invoke(run_main, folder / "own.npz", "--data", folder / "test.npz", "--limit", "9", "--input-steps", "16", "--json", "-")
    assert json.loads(overridden.stdout)["snn"]["latency_steps"] == 32


def test_a_coarse_input_is_pointed_out(folder, fitted):
    assert "--input-steps 255 takes 247 steps more" in fitted.stderr
    for options in (("--input-steps", "255"), ("--steps", "64"), ("--direct-input",)):
        result = convert(folder, "own.npz", *options)
        assert result.exit_code == 0 and "--input-steps 255" not in result.stderr


@pytest.mark.parametrize(
    "options, text",
    (
        (("--steps", "continuous", "--compensate"), "compensate: continuous time, where nothing is rounded; expected a number of steps"),
        (("--steps", "continuous", "--input-steps", "9"), "input steps: continuous time"),
        (("--direct-input", "--input-steps", "9"), "input steps: analog inputs, which take no window"),
        (("--input-steps", "0"), "--input-steps"),
    ),
)
def test_usage_errors(folder, options, text):
    result = convert(folder, "refused.npz", *options)
    assert result.exit_code == 2 and text in result.stderr and not (folder / "refused.npz").exists()


def test_compensation_needs_data(folder):
    result = invoke(convert_main, folder / "model.onnx", "--out", folder / "refused.npz", "--mode", "exact", "--compensate")
    assert result.exit_code == 2 and "--calibrate DATA: training images" in result.stderr


def test_an_input_that_is_joined_keeps_the_layers_steps(tmp_path):
    chain = Chain((2, 5, 5), seed=1).conv(3, pads=[1] * 4).relu1().add("Concat", "x", axis=1).conv(2).relu1().readout()
    path = save(chain.model(), tmp_path)
    result = invoke(convert_main, path, "--out", tmp_path / "snn.npz", "--mode", "exact", "--steps", "8", "--input-steps", "255")
    assert result.exit_code == 2 and "255 for an input that is concatenated with layers of 8" in result.stderr
