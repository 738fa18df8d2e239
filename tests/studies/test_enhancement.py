"""Recordings of any length through the example's network, and what is refused."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from ttfs_convert.cli import convert, run
from ttfs_convert.conversion.other_sizes import OtherSizes
from ttfs_convert.data.speech_pairs import speech_pairs
from ttfs_convert.errors import ModelError, UsageError
from ttfs_convert.network.store import load
from ttfs_convert.onnx_model.receptive_field import ReceptiveField, receptive_field
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.simulation.head_and_tail import Ends
from ttfs_convert.studies import enhancement
from ttfs_convert.studies.enhancement import enhance

for library in ("soundfile", "pesq", "pystoi"):
    pytest.importorskip(library)

EXAMPLE = Path(__file__).parents[2] / "examples" / "speech"
CONVERT = ("--mode", "exact", "--direct-input", "--input-shape", "1x1600")


@pytest.fixture(scope="module")
def snn(tmp_path_factory):
    path = tmp_path_factory.mktemp("speech") / "snn.npz"
    result = CliRunner().invoke(convert.main, [str(EXAMPLE / "model.onnx"), "--out", str(path), *CONVERT])
    assert result.exit_code == 0, result.stderr
    return path


@pytest.fixture(scope="module")
def table(snn):
    out = snn.parent / "out"
    arguments = [snn, "--task", "enhancement", "--data", EXAMPLE, "--json", snn.parent / "report.json", "--enhanced", out]
    result = CliRunner().invoke(run.main, [*map(str, arguments), "--max-drop", "si_sdr=9", "--max-drop", "pesq=1"])
    return result, json.loads((snn.parent / "report.json").read_text()), out


def test_three_recordings_have_figures_but_no_interval(table):
    result, report, out = table
    assert result.exit_code == 5 and "too few samples" in result.stderr  # the gates cannot be decided
    assert report["task"] == "enhancement" and len(report["recordings"]) == 3
    for name in ("si_sdr", "pesq", "stoi", "csig", "cbak", "covl"):
        means = {version: np.mean([each[version][name] for each in report["recordings"]]) for version in ("noisy", "ann", "snn")}
        assert report["noisy"][name] == pytest.approx(means["noisy"]) and report["snn"][name] == pytest.approx(means["snn"])
        assert report["ann"][name] == pytest.approx(means["ann"])
    assert report["ann"]["si_sdr"] > report["noisy"]["si_sdr"] + 2 and abs(report["drift"]["si_sdr_db"]) < 0.3
    assert sorted(path.name for path in out.iterdir()) == ["ru_80.wav", "ru_activated.wav", "ru_ascii59.wav"]
    assert all(word in result.stdout for word in ("noisy", "ANN", "SNN - ANN", "x real time"))


def test_continuous_time_is_the_original_at_every_length(snn):
    network = load(snn).with_steps(None)
    found = enhance(network, speech_pairs(EXAMPLE, 2))
    for score in found.scores.values():
        assert abs(score.drift) < 1e-3
    assert len({each.seconds for each in found.recordings}) == 2


def test_other_sizes_are_the_original_and_keep_the_grid(snn):
    model, network = onnx.load(EXAMPLE / "model.onnx"), load(snn).with_steps(None)
    sizes = OtherSizes(network, model)
    for samples in (400, 1600, 3210):
        x = {"noisy": np.random.default_rng(samples).normal(0, 0.1, (1, 1, samples)).astype(np.float32)}
        again, expected = sizes({"noisy": (1, samples)}), Reference(model)(x)["enhanced"]
        ends = Ends(again)
        found = ends.outputs(simulate(again, ends.entries(x)), x)["enhanced"]
        assert found.shape == expected.shape == (1, 1, samples) and np.abs(found - expected).max() < 1e-5
    assert OtherSizes(network.with_steps(16), model)({"noisy": (1, 400)}).steps == 16


@pytest.mark.parametrize("steps", (50, None))
def test_a_long_recording_in_pieces_is_the_whole_one(snn, monkeypatch, steps):
    pairs = speech_pairs(EXAMPLE)
    sound = np.concatenate([pairs.read(number)[0] for number in range(len(pairs))])
    network, model = load(snn).with_steps(steps), onnx.load(EXAMPLE / "model.onnx")
    whole = enhancement._Both(network, model, 1)(sound)
    monkeypatch.setattr(enhancement, "LONGEST", 30_000)
    assert len(sound) > 30_000 and receptive_field(model) == ReceptiveField(before=10_249, after=10_249, grain=10)
    parts = enhancement._Both(network, model, 1)(sound)
    for one, other in zip(whole, parts):
        assert one.shape == other.shape == sound.shape and np.abs(one - other).max() < 1e-5


def test_what_has_no_meaning_for_recordings_is_refused(snn, tmp_path):
    for options, text in (
        (("--engine", "clock"), "--engine"),
        (("--sweep", "steps"), "--sweep"),
        (("--spikes", "s.npz"), "--spikes"),
        (("--max-drop", "accuracy=1"), "one of task enhancement: si_sdr, pesq, stoi, csig, cbak, covl"),
    ):
        result = CliRunner().invoke(run.main, [str(snn), "--task", "enhancement", "--data", str(EXAMPLE), *options])
        assert result.exit_code == 2 and text in result.stderr, result.stderr
    result = CliRunner().invoke(run.main, [str(snn), "--data", "x.npz", "--enhanced", str(tmp_path / "out")])
    assert result.exit_code == 2 and "--task enhancement" in result.stderr


def test_a_network_for_pictures_is_refused(tmp_path):
    example = EXAMPLE.parent / "fashion_mnist" / "model.onnx"
    assert CliRunner().invoke(convert.main, [str(example), "--out", str(tmp_path / "snn.npz")]).exit_code == 0
    with pytest.raises(ModelError, match="the number of samples left open"):
        enhance(load(tmp_path / "snn.npz"), speech_pairs(EXAMPLE, 1))


def test_measured_ranges_are_of_one_size(snn):
    network = load(snn)
    calibrated = network.changed(calibration={"data": "x", "sha256": "", "samples": 1, "method": "maximum", "margin": 0.1, "notes": ()})
    with pytest.raises(UsageError, match="measured at one size"):
        OtherSizes(calibrated, onnx.load(EXAMPLE / "model.onnx"))
