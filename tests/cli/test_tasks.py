"""`ttfs-run` and `ttfs-tune` on networks whose outputs are pictures: tables, JSON, gates, figures."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from tests.models import Chain, converted, dataset
from ttfs_convert.cli import run, tune
from ttfs_convert.network.store import save

CHAIN = Chain((1, 8, 8), seed=2)
PICTURES = CHAIN.images(16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures")
    model = CHAIN.conv(4, pads=[1] * 4).add("Relu").conv(1, pads=[1] * 4).add("Sigmoid").model()
    save(converted(model, mode="exact", steps=20, calibrate=dataset(PICTURES)), path / "snn.npz")
    np.savez(path / "x.npz", x=PICTURES)
    np.savez(path / "y.npz", x=PICTURES, y=PICTURES)
    return path


def invoke(command, *arguments):
    return CliRunner().invoke(command.main, list(map(str, arguments)), catch_exceptions=False)


def test_a_reconstruction_is_reported_gated_and_drawn(folder):
    pytest.importorskip("skimage")
    pytest.importorskip("matplotlib")
    limits = "--max-drop", 3, "--max-drop", "ssim=0.5"
    found = invoke(
        run,
        folder / "snn.npz",
        "--data",
        folder / "x.npz",
        "--task",
        "reconstruction",
        *limits,
        "--json",
        folder / "r.json",
        "--plot",
        folder / "plots",
    )
    assert found.exit_code == 0, found.output
    report = json.loads((folder / "r.json").read_text())
    assert report["task"]["name"] == "reconstruction" and [each["drift_unit"] for each in report["task"]["measures"]] == ["dB", ""]
    low, high = report["drift"]["psnr_ci95_db"]
    assert low <= report["drift"]["psnr_db"] <= high and len(report["drift"]["ssim_ci95"]) == 2 and report["ann"]["accuracy"] is None
    for text in (
        f"{report['ann']['psnr']:.2f} dB",
        f"{report['snn']['ssim']:.4f}",
        "drift of PSNR",
        "data_range 1",
        "gate max-drop 3 dB of psnr: passed",
        "gate max-drop 0.5 of ssim: passed",
    ):
        assert text in found.output, text
    assert (folder / "plots" / "pictures.png").stat().st_size > 5000 and (folder / "plots" / "pictures.svg").exists()


def test_the_worst_gate_decides(folder):
    gates = [("rmse=0.5", 0), ("rmse=0", 5), ("r2=1e-9", 99)]
    codes = [invoke(run, folder / "snn.npz", "--data", folder / "y.npz", "--steps", 2, "--max-drop", gate).exit_code for gate, _ in gates]
    assert codes[0] == 0 and set(codes[1:]) <= {5, 99}
    both = invoke(run, folder / "snn.npz", "--data", folder / "y.npz", "--steps", 2, "--max-drop", "rmse=0.5", "--max-drop", "r2=1e-9")
    assert both.exit_code == codes[2] and "gate max-drop 0.5 of rmse: passed" in both.output


def test_few_samples_decide_nothing(folder):
    found = invoke(run, folder / "snn.npz", "--data", folder / "y.npz", "--limit", 4, "--max-drop", 1)
    assert found.exit_code == 5 and "too few samples for an interval: 4" in found.output and "an interval needs 10" in found.output


def test_a_gate_on_another_tasks_measure(folder):
    found = invoke(run, folder / "snn.npz", "--data", folder / "y.npz", "--max-drop", "psnr=0.1")
    assert found.exit_code == 2 and "expected one of task regression: rmse, mae, r2" in found.output


def test_a_sweep_and_a_tuning_have_the_tasks_columns(folder):
    swept = invoke(run, folder / "snn.npz", "--data", folder / "y.npz", "--sweep", "steps=2")
    assert swept.exit_code == 0 and "RMSE" in swept.output and "ANN RMSE" in swept.output
    tuned = invoke(tune, folder / "snn.npz", "--data", folder / "y.npz", "--max-drop", 0.05, "--json", folder / "t.json")
    assert tuned.exit_code == 0 and "a drop of at most 0.05;" in tuned.output, tuned.output
    content = json.loads((folder / "t.json").read_text())
    assert (content["task"], content["measure"], content["rmse_max_drop"]) == ("regression", "rmse", 0.05)
    assert {"rmse", "rmse_ci95", "r2", "mae"} <= set(content["variants"][0]["drift"]) and content["variants"][0]["ann_rmse"] > 0


def test_scikit_image_is_named_where_it_is_missing(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "skimage.metrics", None)
    found = invoke(run, folder / "snn.npz", "--data", folder / "x.npz", "--task", "reconstruction")
    assert found.exit_code == 2 and "pip install 'ttfs-convert[signals]'" in found.output
