"""Measures of speech against values worked out by hand, and what has no figure."""

import numpy as np
import pytest

from ttfs_convert.measurement.speech_quality import SiSdr, pesq, si_sdr, stoi

RATE = 16_000


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Syllables of a voice of 120 Hz, four a second."""
    time = np.arange(int(seconds * RATE)) / RATE
    rng = np.random.default_rng(seed)
    voice = sum(np.sin(2 * np.pi * 120 * k * time + rng.uniform(0, 6)) / k for k in range(1, 20))
    return (0.05 * voice * np.clip(np.sin(2 * np.pi * 2 * time), 0, 1)).astype(np.float32)


def test_si_sdr_is_that_of_the_definition():
    target, rest = np.array([1.0, -1.0, 1.0, -1.0]), np.array([1.0, 1.0, -1.0, -1.0])  # orthogonal, mean zero
    assert si_sdr(3 * target + rest, target) == pytest.approx(10 * np.log10(9))
    assert si_sdr(3 * target + rest + 5, 7 * target + 2) == pytest.approx(10 * np.log10(9))  # neither scale nor offset counts
    assert si_sdr(-target + rest, target) == pytest.approx(0)


def test_si_sdr_of_parts_is_that_of_the_whole():
    rng = np.random.default_rng(0)
    target = rng.normal(0.2, 0.1, 1000)
    for noise in (1e-4, 0.05, 3):
        estimate = 0.7 * target + rng.normal(0.1, noise, 1000)
        parts = SiSdr()
        for part in (slice(0, 1), slice(1, 600), slice(600, None)):
            parts.add(estimate[part], target[part])
        assert parts.value() == pytest.approx(si_sdr(estimate, target), abs=1e-6)
    silent, copy = SiSdr(), SiSdr()
    silent.add(np.full(9, 0.5), target[:9])
    copy.add(2 * target, target)
    assert np.isnan(SiSdr().value()) and np.isnan(silent.value()) and np.isnan(copy.value())


@pytest.mark.parametrize("estimate, target", ((np.zeros(8), np.ones(8)), (np.arange(8.0), np.full(8, 2.0)), (np.arange(8.0), np.arange(8.0))))
def test_silence_and_a_perfect_copy_have_no_si_sdr(estimate, target):
    assert np.isnan(si_sdr(estimate, target))


def test_a_copy_has_the_best_pesq_and_stoi_and_noise_lowers_them():
    pytest.importorskip("pesq"), pytest.importorskip("pystoi")
    clean = speech(2)
    noisy = clean + np.random.default_rng(1).normal(0, 0.03, clean.shape).astype(np.float32)
    assert pesq(clean, clean, RATE) == pytest.approx(4.644, abs=1e-3) and stoi(clean, clean, RATE) == pytest.approx(1, abs=1e-6)
    assert pesq(noisy, clean, RATE) < 3 and stoi(noisy, clean, RATE) < 0.98


@pytest.mark.parametrize("measure", (pesq, stoi))
def test_what_no_library_can_judge_is_nan(measure):
    pytest.importorskip(measure.__name__.replace("stoi", "pystoi"))
    clean = speech(1)
    assert np.isnan(measure(np.zeros_like(clean), clean, RATE)) and np.isnan(measure(clean, np.zeros_like(clean), RATE))
    assert np.isnan(measure(clean[:3999], clean[:3999], RATE))


def test_what_ends_the_library_is_not_given_to_it():
    """100 utterances: pesq 0.0.4 has room for 50, and ends the process."""
    pytest.importorskip("pesq")
    clean = speech(50)
    assert np.isnan(pesq(clean, clean, RATE)) and not np.isnan(pesq(clean[: 20 * RATE], clean[: 20 * RATE], RATE))


def test_a_click_that_stoi_cuts_down_to_nothing_is_nan():
    pytest.importorskip("pystoi")
    click = np.zeros(RATE, np.float32)
    click[8000:8050] = 0.5
    assert np.isnan(stoi(click, click, RATE))
