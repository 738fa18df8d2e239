"""`--weight-bits` as its users see it."""

import json

import numpy as np
import pytest

from tests.cli.test_compensate import MODEL, invoke
from tests.models import save
from ttfs_convert.cli.convert import main as convert_main
from ttfs_convert.cli.inspect import main as inspect_main
from ttfs_convert.cli.run import main as run_main
from ttfs_convert.cli.tune import main as tune_main
from ttfs_convert.network.store import load
from ttfs_convert.onnx_model.reference import Reference

BYTES = -(-3 * 3 * 2 * 5 * 4 // 8) + -(-3 * 3 * 5 * 6 * 4 // 8) + -(-24 * 3 * 4 // 8) + 4 * (5 + 6 + 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bits")
    for name, seed, count in (("train", 1, 120), ("test", 2, 400)):
        x = np.random.default_rng(seed).uniform(0, 1, (count, 2, 6, 6)).astype(np.float32)
        np.savez(folder / f"{name}.npz", x=x, y=next(iter(Reference(MODEL, threads=1)(x).values())).argmax(1))
    save(MODEL, folder)
    return folder


def convert(folder, out, *options):
    given = ("--mode", "exact", "--steps", "12", "--calibrate", folder / "train.npz", "--method", "mse", "--weight-bits", "4")
    return invoke(convert_main, folder / "model.onnx", "--out", folder / out, *given, *options)


@pytest.fixture(scope="module")
def networks(folder):
    found = {}
    for name, options in (("plain", ()), ("fitted", ("--compensate",))):
        found[name] = convert(folder, f"{name}.npz", *options, "--json", folder / f"{name}.json")
        assert found[name].exit_code == 0, found[name].output
    return found


def test_the_command_and_inspect_say_bits_and_memory(folder, networks):
    for name, result in networks.items():
        assert f"weights are integers of 4 bits times a scale per neuron, {BYTES} B" in " ".join(result.stdout.split())
        content = json.loads((folder / f"{name}.json").read_text())
        assert (content["weight_bits"], content["weight_bytes"]) == (4, BYTES)
        shown = " ".join(invoke(inspect_main, folder / f"{name}.npz").stdout.split())
        assert f"integers of 4 bits times a scale per neuron, {BYTES} B" in shown


def test_runs_say_it_and_the_twin_keeps_the_originals_weights(folder, networks):
    """The ANN of as many levels has float32 weights: predictions that differ are no fault of the engine's."""
    reports = {}
    for name in networks:
        result = invoke(run_main, folder / f"{name}.npz", "--data", folder / "test.npz", "--quantised", "--json", folder / "run.json")
        assert result.exit_code == 0 and "for other reasons than ties" not in result.stderr
        assert f"integers of 4 bits times a scale per neuron, {BYTES} B" in " ".join(result.stdout.split())
        reports[name] = json.loads((folder / "run.json").read_text())
        assert (reports[name]["model"]["weight_bits"], reports[name]["model"]["weight_bytes"]) == (4, BYTES)
        assert reports[name]["quantised_ann"]["mismatches"] > 0
        assert reports[name]["energy"]["neurobench"]["footprint"] == BYTES + 4 * sum(
            layer.bias.size for layer in load(folder / f"{name}.npz").layers if getattr(layer, "bias", None) is not None
        )
    assert reports["fitted"]["drift"]["agreement"] > reports["plain"]["drift"]["agreement"]


def test_tuned_networks_have_as_many_bits(folder, networks):
    fitted = ("--compensate", "--calibrate", folder / "train.npz")
    for options in ((), fitted):
        result = invoke(tune_main, folder / "fitted.npz", "--data", folder / "test.npz", "--max-latency", "24", *options, "--out", folder / "t.npz")
        assert result.exit_code == 0, result.output
        assert load(folder / "t.npz").weight_grid.bits == 4


@pytest.mark.parametrize(
    "options, text",
    ((("--weight-bits", "9"), "9 is not in the range 2<=x<=8"), (("--mode", "unchecked", "--weight-bits", "4"), "weight bits: mode unchecked")),
)
def test_usage_errors(folder, options, text):
    result = invoke(convert_main, folder / "model.onnx", "--out", folder / "refused.npz", *options)
    assert result.exit_code == 2 and text in result.stderr and not (folder / "refused.npz").exists()
