"""Silence by training, end to end on a few images: what is trained, what the table counts, and that the command restarts."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")

from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.errors import ModelError
from ttfs_convert.report.schema import Report
from ttfs_convert.simulation.engines import simulate

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of PyTorch's exporters


@pytest.mark.parametrize("bias", (False, True))
def test_one_command_trains_converts_and_goes_on(bias, paper, squares, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(paper.silence, "EFFORT", {"rounds": 1, "at_least": 0.0})
    out = tmp_path / "out"
    command = [
        "--data",
        str(squares),
        "--out",
        str(out),
        "--epochs",
        "1",
        "--limit",
        "80",
        "--test-limit",
        "40",
        "--batch",
        "16",
        "--threads",
        "1",
        "--means",
        "-0.25",
        *([] if bias else ["--no-bias"]),
    ]
    paper.silence.main(command)
    row = capsys.readouterr().out.splitlines()[-3].split(" | ")
    folder = out / ("mean-0.25" if bias else "mean-0.25-no-bias")
    assert {path.name for path in folder.iterdir()} == {"log.txt", "options.json", "model.onnx", "snn.npz", "report.json"}
    assert "'mean': -0.25" in (folder / "log.txt").read_text() and "epoch 1/1" in (folder / "log.txt").read_text()
    network = convert(folder / "model.onnx")
    assert all((layer.bias is not None) == bias for layer in network.layers if layer.kind == "spiking")
    report = Report.model_validate_json((folder / "report.json").read_text())
    x = np.moveaxis(paper.images.test_images("fashion-mnist", squares, 40, 28).x, -1, 1).astype(np.float32) / 255
    recording = simulate(network, x)
    silent = [
        recording.silent(layer.name).mean() * recording.silent(layer.name)[0].size
        for layer in network.layers
        if layer.name in recording.spike_times and layer not in network.inputs
    ]
    share = sum(silent) / sum(layer.neurons for layer in report.layers if layer.slope)
    assert paper.silence.silent_share(report) == pytest.approx(share)
    assert row[0] == "| -0.25" and row[2] == ("yes" if bias else "no") and row[7] == f"{100 * share:.1f} %" and len(row) == 15
    assert row[8] == f"{report.energy.paper.p_proxy / 1e6:.2f} ({report.energy.paper.synops / 1e6:.2f})"

    monkeypatch.setattr(paper.silence, "train", lambda *given: pytest.fail("trained again"))
    monkeypatch.setattr(paper.silence, "measured", lambda *given: pytest.fail("run again"))
    paper.silence.main(command)
    assert capsys.readouterr().out.splitlines()[-3].split(" | ")[:12] == row[:12]
    with pytest.raises(SystemExit, match="2"):
        paper.silence.main([*command, "--seed", "3"])
    assert "'seed': 0" in capsys.readouterr().out and json.loads((folder / "options.json").read_text())["seed"] == 0


def test_a_training_that_fails_leaves_no_model(paper, tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("open(__import__('sys').argv[-1].removeprefix('--out='), 'w'); raise SystemExit('no memory')")
    monkeypatch.setattr(paper.silence, "TRAIN", tmp_path / "broken.py")
    given = paper.silence.options(["--data", str(tmp_path), "--out", str(tmp_path)])
    with pytest.raises(ModelError, match="exit code 1; expected 0; see .*log.txt"):
        paper.silence.train(given, -0.1, tmp_path)
    assert "no memory" in (tmp_path / "log.txt").read_text() and not (tmp_path / "model.onnx").exists()


def test_default_means(paper):
    assert paper.silence.options(["--data", "d", "--out", "x"]).means == [0, -0.1, -0.2, -0.3]
