"""CSIG, CBAK and COVL: values worked out by hand, and frame by frame from the definitions, in plain loops."""

import math

import numpy as np
import pytest

from ttfs_convert.measurement.composite_speech import (
    CENTRES,
    WIDTHS,
    log_likelihood_ratios,
    lowest,
    ratings,
    segmental_snrs,
    weighted_spectral_slopes,
)
from ttfs_convert.measurement.speech_quality import composite

from .test_speech_quality import RATE, speech

LENGTH, STEP = 480, 120  # samples at 16 kHz


@pytest.fixture(scope="module", params=(0, 1))
def pair(request):
    """estimate, target: a voice, its level and its upper half altered in the estimate, which is noisier in its second half."""
    target = speech(0.6, request.param) + np.random.default_rng(request.param).normal(0, 1e-3, 9600)
    noise = np.random.default_rng(7).normal(0, 0.02, target.size) * np.linspace(0.1, 1, target.size)
    return 0.8 * target + np.convolve(noise, (1, 0.6), "same"), target


def frames(sound):
    """Under 0.5 (1 - cos(2 pi n / 481)), n = 1 to 480."""
    hann = [0.5 * (1 - math.cos(2 * math.pi * n / (LENGTH + 1))) for n in range(1, LENGTH + 1)]
    count = int(len(sound) / STEP - LENGTH / STEP)
    return [np.array(hann) * (sound[k * STEP : k * STEP + LENGTH] + 2**-52) for k in range(count)]


def test_segmental_snr_is_that_of_the_definition(pair):
    estimate, target = pair
    expected = []
    for e, t in zip(frames(estimate), frames(target)):
        expected.append(min(35, max(-10, 10 * math.log10(sum(t**2) / sum((t - e) ** 2)))))
    assert segmental_snrs(estimate, target, RATE) == pytest.approx(np.array(expected), rel=1e-6)
    assert sum(-10 < each < 35 for each in expected) > 20


def test_segmental_snr_by_hand():
    target = speech(0.5)
    assert segmental_snrs(0.9 * target, target, RATE)[:10] == pytest.approx(np.full(10, 20.0), abs=1e-4)  # 10 log10(1 / 0.1^2)
    assert (segmental_snrs(target, target, RATE)[:10] == 35).all()
    assert (segmental_snrs(11 * target, target, RATE)[:10] == -10).all()  # -20 dB


def predictor(frame):
    """[1, a_1 ... a_16] that makes the frame's prediction error least: the normal equations, solved as they are."""
    r = [sum(frame[: LENGTH - lag] * frame[lag:]) for lag in range(17)]
    matrix = np.array([[r[abs(i - j)] for j in range(16)] for i in range(16)])
    return np.array([1, *np.linalg.solve(matrix, -np.array(r[1:]))]), np.array([[r[abs(i - j)] for j in range(17)] for i in range(17)])


def test_log_likelihood_ratio_is_that_of_the_definition(pair):
    estimate, target = pair
    expected = []
    for e, t in zip(frames(estimate), frames(target)):
        (a_e, _), (a_t, r_t) = predictor(e), predictor(t)
        expected.append(math.log((a_e @ r_t @ a_e) / (a_t @ r_t @ a_t)))
    assert log_likelihood_ratios(estimate, target, RATE) == pytest.approx(np.array(expected), rel=1e-6, abs=1e-9)
    assert min(expected) > 0.01


def test_log_likelihood_ratio_knows_no_level():
    target = speech(0.5) + np.random.default_rng(0).normal(0, 1e-3, 8000)
    assert log_likelihood_ratios(3 * target, target, RATE) == pytest.approx(np.zeros(62), abs=1e-9)


def band_energies(frame):
    """In dB, of 25 Gaussian filters over the 512 lower bins of a transform of 1,024 samples."""
    spectrum, found = np.abs(np.fft.fft(frame, 1024)) ** 2, []
    for centre, width in zip(CENTRES, WIDTHS):
        total = 0.0
        for k in range(512):
            gain = math.exp(-11 * ((k - math.floor(centre / 8000 * 512)) / (width / 8000 * 512)) ** 2 + math.log(70) - math.log(width))
            total += spectrum[k] * (gain if gain > math.exp(-30 / (2 * 2.303)) else 0)
        found.append(10 * math.log10(max(total, 1e-10)))
    return found


def slope_weights(bands):
    slopes, found = [b - a for a, b in zip(bands, bands[1:])], []
    for band, slope in enumerate(slopes):
        n = band
        if slope > 0:
            while n < 24 and slopes[n] > 0:
                n += 1
            peak = bands[n - 1]
        else:
            while n >= 0 and slopes[n] <= 0:
                n -= 1
            peak = bands[n + 1]
        found.append(20 / (20 + max(bands) - bands[band]) * 1 / (1 + peak - bands[band]))
    return np.array(found), np.array(slopes)


def test_weighted_spectral_slope_is_that_of_the_definition(pair):
    estimate, target = pair
    expected = []
    for e, t in zip(frames(estimate)[::8], frames(target)[::8]):
        (weights_e, slopes_e), (weights_t, slopes_t) = slope_weights(band_energies(e)), slope_weights(band_energies(t))
        weights = (weights_e + weights_t) / 2
        expected.append(sum(weights * (slopes_t - slopes_e) ** 2) / sum(weights))
    assert weighted_spectral_slopes(estimate, target, RATE)[::8] == pytest.approx(np.array(expected), rel=1e-9)
    assert min(expected) > 0.1


def test_the_worst_twentieth_does_not_count():
    assert lowest(np.array([100.0, *range(19)])) == 9
    assert lowest(np.array([5.0])) == 5


def test_ratings_are_the_regressions(pair):
    estimate, target = pair
    llr, wss = lowest(log_likelihood_ratios(estimate, target, RATE)), lowest(weighted_spectral_slopes(estimate, target, RATE))
    snr = segmental_snrs(estimate, target, RATE).mean()
    found = ratings(estimate, target, RATE, 2.0)
    expected = (3.093 - 1.029 * llr + 1.206 - 0.009 * wss, 1.634 + 0.956 - 0.007 * wss + 0.063 * snr, 1.594 + 1.61 - 0.512 * llr - 0.007 * wss)
    assert found == pytest.approx(expected) and all(1 < each < 5 for each in found)


def test_a_copy_has_the_best_ratings_by_hand():
    """LLR and WSS 0, every frame at 35 dB, PESQ 4.644: CSIG 5.89 and CBAK 6.06 are cut to 5, COVL is 1.594 + 3.738 = 5.33, cut to 5; with PESQ 1
    they are 3.696, 4.317 and 2.399."""
    target = speech(0.6) + np.random.default_rng(0).normal(0, 1e-3, 9600)
    assert ratings(target, target, RATE, 4.644) == (5, 5, 5)
    assert ratings(target, target, RATE, 1.0) == pytest.approx((3.696, 4.317, 2.399))


@pytest.mark.parametrize(
    "estimate, target, pesq", ((np.zeros(RATE), speech(1), 2.0), (speech(1), speech(1), np.nan), (speech(0.2), speech(0.2), 2.0))
)
def test_what_has_no_figure_is_nan(estimate, target, pesq):
    assert np.isnan(composite(estimate, target, RATE, pesq)).all()
