"""The benchmarks' cases build and run; no times."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from benchmarks import few_steps, page_cost
from benchmarks.large_models import vgg16
from tests.models import Chain, converted, save
from ttfs_convert.network.store import save as write
from ttfs_convert.onnx_model.reference import Reference

ROOT = Path(__file__).parents[1]


def test_quick_cases_run_and_agree():
    result = subprocess.run([sys.executable, "-m", "benchmarks", "--quick", "--check"], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    differences = {line.split("  ")[0]: float(line.rsplit(" ", 1)[1]) for line in result.stdout.splitlines()}
    assert {"Fashion-MNIST example", "VGG-16", "ResNet-20", "autoencoder MLP", "dilated Conv1d stack", "dense 1024x1024"} <= set(differences)
    one_layer = [difference for name, difference in differences.items() if name.startswith(("3x3", "1x1", "depthwise", "dense"))]
    assert max(one_layer) < 0.5 / 50 + 1e-4


def test_int8_and_float_say_nearly_the_same():
    """In a process of its own: ONNX Runtime's tool imports modules by names that the tests' folders have."""
    arguments = ("-m", "benchmarks.deployed_peers", "--rounds", "1", "--images", "300")
    result = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    rows = {line[:20].strip(): line[20:].replace("%", "").split() for line in result.stdout.splitlines()[2:]}
    assert {"ONNX Runtime", "ONNX Runtime, int8", "exact"} <= rows.keys()
    for accuracy, agreement, *times in rows.values():
        assert float(accuracy) > 85 and float(agreement) > 97 and len(times) == 4 and all(float(each) > 0 for each in times)
    assert rows["ONNX Runtime"][1] == "100.00" and rows["ONNX Runtime"][3::2] == ["1.00", "1.00"]


def test_full_width_networks_run(tmp_path):
    vgg16(32, (10,)).save(tmp_path / "model.onnx")
    (scores,) = Reference(onnx.load(tmp_path / "model.onnx"), threads=1)(np.random.default_rng(0).random((2, 3, 32, 32), np.float32)).values()
    assert scores.shape == (2, 10) and 0.01 < np.abs(scores).max() < 100
    assert 58e6 < (tmp_path / "model.onnx").stat().st_size < 60e6


# The table of few steps


@pytest.fixture
def folder(tmp_path):
    """A network that names classes, one that gives values, and data for both."""
    chain = Chain((2, 6, 6), seed=2).conv(4, pads=[1] * 4).add("Relu").readout(3)
    x = np.random.default_rng(1).uniform(0, 1, (80, 2, 6, 6)).astype(np.float32)
    save(chain.model(), tmp_path)
    scores = next(iter(Reference(chain.model(), threads=1)(x).values()))
    for name, y in (("classes", scores.argmax(1)), ("values", scores + 1)):
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
    np.savez(tmp_path / "train.npz", x=x[::-1])
    return tmp_path


def table(folder, data, *options):
    model, train = str(folder / "model.onnx"), str(folder / "train.npz")
    arguments = (model, "--calibrate", train, "--data", str(folder / f"{data}.npz"), "--steps", "4,8", "--input-steps", "own", *options)
    result = CliRunner().invoke(few_steps.main, arguments)
    assert result.exit_code == 0, result.output
    return [line for line in result.output.splitlines() if line.startswith("| ")]


def test_rows_are_kept_and_not_computed_again(folder, monkeypatch):
    log, made = folder / "rows.jsonl", []
    convert = few_steps.convert
    monkeypatch.setattr(few_steps, "convert", lambda *arguments, **options: made.append(options["compensate"]) or convert(*arguments, **options))
    first = table(folder, "classes", "--json", str(log), "--fit", "no,bias")
    assert made == [False, "bias"] * 2 and len(first) == 1 + 4
    log.write_text(log.read_text()[:-20])  # it was stopped while it wrote
    again = table(folder, "classes", "--json", str(log))
    assert made[4:] == [True, "bias", True], "the rows that lack, and the one that was cut off"
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(rows) == 6 and len(again) == 1 + 6 and [line.split("|")[3].strip() for line in again[1:]] == ["no", "bias", "yes"] * 2
    for row in rows:
        line = next(line for line in again if line.startswith(f"| {row['steps']} | {row['steps']} | {row['fit']} |"))
        assert f" {100 * row['snn_accuracy']:.2f} % " in line and f" {row['latency_steps']} " in line
        assert row["latency_steps"] == 2 * row["steps"] and row["samples"] == 80
    table(folder, "classes", "--json", str(log), "--mode", "unchecked", "--fit", "no")
    assert len(log.read_text().splitlines()) == 8, "another setting's rows are its own"


def test_values_are_judged_by_how_close_they_are(folder):
    pytest.importorskip("matplotlib")
    head, *rows = table(folder, "values", "--json", str(folder / "rows.jsonl"), "--plot", str(folder / "figure.svg"))
    assert "PSNR to ANN, dB" in head and "MSE of SNN" in head and len(rows) == 6
    kept = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    assert all(row["snn_accuracy"] is None and row["ann_mean_squared_error"] == pytest.approx(1, rel=1e-4) for row in kept)
    assert all(f"{row['psnr']:.2f}" in line for row, line in zip(kept, rows, strict=True))
    assert {row["fit"]: row["psnr"] for row in kept[:3]}["no"] < max(row["psnr"] for row in kept[:3])
    drawn = (folder / "figure.svg").read_text()
    assert "PSNR to the original" in drawn and all(words in drawn for words in ("original weights", "biases fitted", "weights and biases fitted"))


def test_what_cannot_be_read_is_one_line(folder):
    result = CliRunner().invoke(few_steps.main, [str(folder / "model.onnx"), "--calibrate", "nowhere.npz", "--data", "nowhere.npz"])
    assert result.exit_code == 1 and "nowhere.npz" in str(result.output) and "Traceback" not in result.output


def test_the_page_is_timed_beside_a_run_without(tmp_path):
    chain = Chain((2, 6, 6), seed=2).conv(4).relu1().readout(3)
    write(converted(chain.model(), steps=5), tmp_path / "snn.npz")
    np.savez(tmp_path / "data.npz", x=chain.images(20))
    words = [str(tmp_path / "snn.npz"), "--data", str(tmp_path / "data.npz"), "--rounds", "1", "--limit", "15"]
    result = CliRunner().invoke(page_cost.main, words)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == ["by the clock", "of processors"] and lines[2].startswith("the page has ")
