"""Folders of noisy and clean recordings: what is read, and what is refused by name."""

from math import gcd

import numpy as np
import pytest
from scipy.signal import resample_poly

from ttfs_convert.data.sound_file import RATE, SoundFile, new_sound_file
from ttfs_convert.data.speech_pairs import speech_pairs
from ttfs_convert.errors import DataError

soundfile = pytest.importorskip("soundfile")


@pytest.fixture
def folder(tmp_path):
    for part in ("noisy", "clean"):
        (tmp_path / part).mkdir()
    return tmp_path


def put(folder, part, name, sound, rate=RATE):
    soundfile.write(folder / part / name, sound, rate)


def whole(pairs, number):
    with pairs.opened(number) as both:
        return [each.part(0, each.samples) for each in both]


def tone(seconds, rate=RATE):
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)


def test_pairs_are_those_of_equal_names(folder):
    for name in ("b.wav", "a.flac"):
        put(folder, "noisy", name, tone(0.5))
        put(folder, "clean", name, tone(0.5))
    (folder / "noisy" / "notes.txt").write_text("not a sound")
    pairs = speech_pairs(folder)
    assert [noisy.stem for noisy, _ in pairs.pairs] == ["a", "b"] and len(pairs) == pairs.total == 2 and len(pairs.sha256) == 64
    noisy, clean = whole(pairs, 1)
    assert noisy.dtype == clean.dtype == np.float32 and np.abs(noisy - tone(0.5)).max() < 1e-4
    assert len(speech_pairs(folder, 1)) == 1


def test_voicebank_is_resampled(tmp_path):
    for part in ("noisy_testset_wav", "clean_testset_wav"):
        (tmp_path / part).mkdir()
        put(tmp_path, part, "p232_001.wav", tone(1, 48_000), 48_000)
    noisy, _ = whole(speech_pairs(tmp_path), 0)
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
        whole(speech_pairs(folder), 0)


def test_a_file_that_is_no_sound_is_named(folder):
    (folder / "noisy" / "a.wav").write_bytes(b"RIFF nothing")
    put(folder, "clean", "a.wav", tone(0.5))
    with pytest.raises(DataError, match=r"a.wav: cannot be read"):
        whole(speech_pairs(folder), 0)


def test_the_longer_of_a_pair_ends_with_the_other(folder):
    put(folder, "noisy", "a.wav", tone(0.55))
    put(folder, "clean", "a.wav", tone(0.5))
    assert [len(each) for each in whole(speech_pairs(folder), 0)] == [8000, 8000]


@pytest.mark.parametrize("rate", (8_000, 22_050, 44_100, 48_000))
def test_parts_of_a_resampled_file_are_those_of_the_whole(tmp_path, rate):
    sound = np.random.default_rng(rate).normal(0, 0.1, 3 * rate + 7).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", sound, rate, subtype="FLOAT")
    with SoundFile(tmp_path / "a.wav") as file:
        expected = resample_poly(sound, *(each // gcd(rate, RATE) for each in (RATE, rate)))
        assert file.samples == len(expected)
        for first, last in ((0, file.samples), (0, 1), (1, 5000), (9_999, 33_333), (file.samples - 3, file.samples)):
            found = file.part(first, last)
            assert found.dtype == np.float32 and len(found) == last - first and np.abs(found - expected[first:last]).max() < 1e-6


def test_a_file_that_breaks_off_is_named(folder):
    for part in ("noisy", "clean"):
        put(folder, part, "a.flac", np.random.default_rng(0).uniform(-0.5, 0.5, RATE))
    path = folder / "noisy" / "a.flac"
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(DataError, match=r"a.flac: (cannot be read|an end)"):
        whole(speech_pairs(folder), 0)


def test_what_is_written_is_read_back_to_the_bit(tmp_path):
    sound = np.random.default_rng(0).normal(size=100).astype(np.float32)
    with new_sound_file(tmp_path / "a.wav") as file:
        file.write(sound[:40])
        file.write(sound[40:])
    assert (soundfile.read(tmp_path / "a.wav", dtype="float32")[0] == sound).all()
