"""Folders of noisy and clean recordings: what is read, and what is refused by name."""

import numpy as np
import pytest

from ttfs_convert.data.speech_pairs import RATE, speech_pairs, write_sound
from ttfs_convert.errors import DataError

soundfile = pytest.importorskip("soundfile")


@pytest.fixture
def folder(tmp_path):
    for part in ("noisy", "clean"):
        (tmp_path / part).mkdir()
    return tmp_path


def put(folder, part, name, sound, rate=RATE):
    soundfile.write(folder / part / name, sound, rate)


def tone(seconds, rate=RATE):
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)


def test_pairs_are_those_of_equal_names(folder):
    for name in ("b.wav", "a.flac"):
        put(folder, "noisy", name, tone(0.5))
        put(folder, "clean", name, tone(0.5))
    (folder / "noisy" / "notes.txt").write_text("not a sound")
    pairs = speech_pairs(folder)
    assert [noisy.stem for noisy, _ in pairs.pairs] == ["a", "b"] and len(pairs) == pairs.total == 2 and len(pairs.sha256) == 64
    noisy, clean = pairs.read(1)
    assert noisy.dtype == clean.dtype == np.float32 and np.abs(noisy - tone(0.5)).max() < 1e-4
    assert len(speech_pairs(folder, 1)) == 1


def test_voicebank_is_resampled(tmp_path):
    for part in ("noisy_testset_wav", "clean_testset_wav"):
        (tmp_path / part).mkdir()
        put(tmp_path, part, "p232_001.wav", tone(1, 48_000), 48_000)
    noisy, _ = speech_pairs(tmp_path).read(0)
    assert len(noisy) == RATE and np.abs(noisy - tone(1))[800:-800].max() < 1e-3


def test_what_is_no_pair_is_named(folder):
    with pytest.raises(DataError, match="no wav or flac files"):
        speech_pairs(folder)
    with pytest.raises(DataError, match="no folders noisy/ and clean/"):
        speech_pairs(folder / "noisy")
    put(folder, "noisy", "a.wav", tone(0.5))
    with pytest.raises(DataError, match="'a' in one of both folders alone"):
        speech_pairs(folder)


@pytest.mark.parametrize(
    "sound, text",
    ((np.stack([tone(0.5)] * 2, 1), "2 channels"), (tone(0.9), "0.90 s beside 0.50 s"), (np.full(8000, np.nan, np.float32), "not finite")),
)
def test_recordings_that_do_not_fit_are_named(folder, sound, text):
    soundfile.write(folder / "noisy" / "a.wav", sound, RATE, subtype="FLOAT")
    put(folder, "clean", "a.wav", tone(0.5))
    with pytest.raises(DataError, match=text):
        speech_pairs(folder).read(0)


def test_a_file_that_is_no_sound_is_named(folder):
    (folder / "noisy" / "a.wav").write_bytes(b"RIFF nothing")
    put(folder, "clean", "a.wav", tone(0.5))
    with pytest.raises(DataError, match=r"a.wav: cannot be read"):
        speech_pairs(folder).read(0)


def test_what_is_written_is_read_back_to_the_bit(tmp_path):
    sound = np.random.default_rng(0).normal(size=100).astype(np.float32)
    write_sound(tmp_path / "a.wav", sound)
    assert (soundfile.read(tmp_path / "a.wav", dtype="float32")[0] == sound).all()
