"""Recordings of any length through the example's network, and what is refused."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from scipy.signal import resample_poly

from ttfs_convert.cli import convert, run
from ttfs_convert.conversion.other_sizes import OtherSizes
from ttfs_convert.data.sound_file import RATE
from ttfs_convert.data.speech_pairs import speech_pairs
from ttfs_convert.errors import ModelError
from ttfs_convert.network.store import load
from ttfs_convert.onnx_model.receptive_field import ReceptiveField, receptive_field
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.simulation.head_and_tail import Ends
from ttfs_convert.studies import enhancers
from ttfs_convert.studies.enhancement import enhance
from ttfs_convert.tasks import speech_measures

soundfile = pytest.importorskip("soundfile")
for library in ("pesq", "pystoi"):
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


def test_figures_and_a_page_are_written(snn, tmp_path):
    for library in ("jinja2", "matplotlib"):
        pytest.importorskip(library)
    options = ["--data", str(EXAMPLE), "--limit", "1", "--plot", str(tmp_path / "plot"), "--html", str(tmp_path / "page.html")]
    result = CliRunner().invoke(run.main, [str(snn), "--task", "enhancement", *options])
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "plot").iterdir()) == ["spectrogram-1.png", "spectrogram-1.svg"]
    page = (tmp_path / "page.html").read_text()
    assert page.count("<audio") == 4 and "COVL" in page and len(page) < 2_000_000


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


@pytest.fixture(scope="module")
def long_folder(tmp_path_factory):
    """One recording of 4 s: those of the example, one behind the other."""
    folder = tmp_path_factory.mktemp("long")
    for part in ("noisy", "clean"):
        (folder / part).mkdir()
        sounds = [soundfile.read(path, dtype="float32")[0] for path in sorted((EXAMPLE / part).iterdir())]
        soundfile.write(folder / part / "a.wav", np.concatenate(sounds), RATE, subtype="FLOAT")
    return folder


@pytest.mark.parametrize("steps", (50, None))
def test_a_long_recording_in_pieces_is_the_whole_one(snn, long_folder, monkeypatch, steps):
    network, model = load(snn).with_steps(steps), onnx.load(EXAMPLE / "model.onnx")
    assert receptive_field(model) == ReceptiveField(before=10_249, after=10_249, grain=10)

    def outputs():
        with speech_pairs(long_folder).opened(0) as (noisy, _):
            stretches = list(enhancers.Enhancers(network, model, 1)(noisy))
        return len(stretches), [np.concatenate([getattr(each, version) for each in stretches]) for version in ("noisy", "ann", "snn")]

    one, whole = outputs()
    monkeypatch.setattr(enhancers, "LONGEST", 30_000)
    several, parts = outputs()
    assert one == 1 and several > 2
    for first, second in zip(whole, parts):
        assert first.shape == second.shape and len(first) > 30_000 and np.abs(first - second).max() < 1e-5


def test_figures_of_a_recording_in_pieces_are_those_of_the_whole(snn, long_folder, monkeypatch):
    whole = enhance(load(snn), speech_pairs(long_folder), enhanced=long_folder / "whole")
    monkeypatch.setattr(enhancers, "LONGEST", 30_000)
    parts = enhance(load(snn), speech_pairs(long_folder), enhanced=long_folder / "parts")
    for name, score in whole.scores.items():
        assert score.snn == pytest.approx(parts.scores[name].snn, abs=1e-4) and score.ann == pytest.approx(parts.scores[name].ann, abs=1e-4)
    first, second = (soundfile.read(long_folder / kind / "a.wav")[0] for kind in ("whole", "parts"))
    assert np.abs(first - second).max() < 1e-5

    monkeypatch.setattr(speech_measures, "RATED", 2)
    longer = enhance(load(snn), speech_pairs(long_folder))
    assert longer.scores["si_sdr"].snn == pytest.approx(whole.scores["si_sdr"].snn, abs=1e-4)
    assert longer.scores["pesq"].snn is None and longer.notes[0] == "PESQ: 1 of 1 recordings have no figure: a"


def test_voicebank_runs(snn, tmp_path):
    """At 48 kHz: what is above 8 kHz is gone, and the figures are nearly those at 16 kHz."""
    for part in ("noisy", "clean"):
        (tmp_path / f"{part}_testset_wav").mkdir()
        for path in sorted((EXAMPLE / part).iterdir()):
            sound = resample_poly(soundfile.read(path)[0], 3, 1)
            soundfile.write(tmp_path / f"{part}_testset_wav" / f"{path.stem}.wav", sound, 48_000, subtype="FLOAT")
    found, expected = enhance(load(snn), speech_pairs(tmp_path)), enhance(load(snn), speech_pairs(EXAMPLE))
    for name, score in expected.scores.items():
        assert found.scores[name].snn == pytest.approx(score.snn, abs=0.2), name


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
