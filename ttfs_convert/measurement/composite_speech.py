"""Ratings that listeners would give to enhanced speech: CSIG, CBAK and COVL (Hu and Loizou, IEEE TASLP 16(1), 2008).

Each is a regression on PESQ and on what frames of 30 ms, each a quarter of that behind the one before, say. Where the paper leaves a choice it is
that of the authors' program (Loizou, Speech Enhancement, 2nd ed., composite.m), to which the regressions belong and which published figures
come from. PESQ is whatever the caller puts in: the regressions were made with the narrow-band one of telephone speech; at 16 kHz that program
and all publications on VoiceBank-DEMAND put in the wide-band one (P.862.2), which is lower, and so do we.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FRAME = 0.03  # seconds
KEPT = 0.95  # share of the frames, the best ones, whose mean LLR and WSS count
TINY = float(np.finfo(np.float64).eps)
SNR = -10.0, 35.0  # dB, of a frame
RATING = 1.0, 5.0
CENTRES = (
    *(50.0, 120.0, 190.0, 260.0, 330.0, 400.0, 470.0, 540.0, 617.372, 703.378, 798.717, 904.128, 1020.38, 1148.30, 1288.72, 1442.54, 1610.70),
    *(1794.16, 1993.93, 2211.08, 2446.71, 2701.97, 2978.04, 3276.17, 3597.63),
)  # Hz, of the critical bands
WIDTHS = (
    *(70.0, 70.0, 70.0, 70.0, 70.0, 70.0, 70.0, 77.3724, 86.0056, 95.3398, 105.411, 116.256, 127.914, 140.423, 153.823, 168.154, 183.457),
    *(199.776, 217.153, 235.631, 255.255, 276.072, 298.126, 321.465, 346.136),
)  # Hz
FLOOR = np.exp(-30 / (2 * 2.303))  # of a band's filter: below it is 0
LARGEST, NEAREST = 20.0, 1.0  # dB, Klatt's constants: how fast a band counts less below the largest one, and below the nearest peak


class Ratings(NamedTuple):
    """1 (bad) to 5 (excellent)."""

    csig: float  # the speech itself, whether it is distorted
    cbak: float  # the background, whether it is intrusive
    covl: float  # on the whole


def ratings(estimate: np.ndarray, target: np.ndarray, rate: int, pesq: float) -> Ratings:
    """Of one recording. estimate, target: (samples,), a frame or longer. rate: in Hz. pesq: of the same recording; NaN makes all NaN."""
    llr, wss = lowest(log_likelihood_ratios(estimate, target, rate)), lowest(weighted_spectral_slopes(estimate, target, rate))
    snr = float(segmental_snrs(estimate, target, rate).mean())
    csig = 3.093 - 1.029 * llr + 0.603 * pesq - 0.009 * wss
    cbak = 1.634 + 0.478 * pesq - 0.007 * wss + 0.063 * snr
    covl = 1.594 + 0.805 * pesq - 0.512 * llr - 0.007 * wss
    return Ratings(*(float(np.clip(each, *RATING)) for each in (csig, cbak, covl)))


def lowest(distances: np.ndarray) -> float:
    """Mean of the lowest 95 %."""
    return float(np.sort(distances)[: max(1, int(KEPT * len(distances) + 0.5))].mean())


def segmental_snrs(estimate: np.ndarray, target: np.ndarray, rate: int) -> np.ndarray:
    """10 log10(|t|^2 / |t - e|^2) of each frame, in dB, -10 to 35; (frames,)."""
    wanted, found = _frames(target, rate), _frames(estimate, rate)
    power, rest = (np.square(each).sum(1) for each in (wanted, wanted - found))
    return np.clip(10 * np.log10(power / (rest + TINY) + TINY), *SNR)


def log_likelihood_ratios(estimate: np.ndarray, target: np.ndarray, rate: int) -> np.ndarray:
    """log(a_e R a_e / a_t R a_t) of each frame, R the target's autocorrelation, a the predictors of either; (frames,), 0 where they are equal."""
    order = 10 if rate < 10_000 else 16
    wanted, found = (_autocorrelation(_frames(each, rate), order) for each in (target, estimate))
    lags = np.abs(np.subtract.outer(np.arange(order + 1), np.arange(order + 1)))
    residuals = [np.einsum("ni,nij,nj->n", a, wanted[:, lags], a) for a in (_predictors(found), _predictors(wanted))]
    return np.log(residuals[0] / residuals[1])


def weighted_spectral_slopes(estimate: np.ndarray, target: np.ndarray, rate: int) -> np.ndarray:
    """Sum of w (slope_t - slope_e)^2 over sum of w, of each frame's 24 slopes between critical bands in dB (Klatt, ICASSP 1982); (frames,).
    w: mean of both spectra's 20 / (20 + largest - band) 1 / (1 + nearest peak - band)."""
    wanted, found = (_bands(_frames(each, rate), rate) for each in (target, estimate))
    weights = (_slope_weights(wanted) + _slope_weights(found)) / 2
    return (weights * np.square(np.diff(wanted) - np.diff(found))).sum(1) / weights.sum(1)


def _frames(sound: np.ndarray, rate: int) -> np.ndarray:
    """(frames, samples of one), under a Hann window without its zeros."""
    length = round(FRAME * rate)
    step = length // 4
    count = max(1, int(len(sound) / step - length / step))
    every = np.lib.stride_tricks.sliding_window_view(np.ravel(sound).astype(np.float64) + TINY, length)[::step][:count]
    return every * np.hanning(length + 2)[1:-1]


def _autocorrelation(frames: np.ndarray, order: int) -> np.ndarray:
    """(frames, order + 1)."""
    length = frames.shape[1]
    return np.stack([(frames[:, : length - lag] * frames[:, lag:]).sum(1) for lag in range(order + 1)], 1)


def _predictors(correlation: np.ndarray) -> np.ndarray:
    """(frames, order + 1), 1 in front: the coefficients of the error of linear prediction, by Levinson's recursion."""
    found = np.zeros_like(correlation)
    found[:, 0] = 1
    error = correlation[:, 0].copy()
    for order in range(1, correlation.shape[1]):
        reflection = -(found[:, :order] * correlation[:, order:0:-1]).sum(1) / error
        found[:, 1 : order + 1] += reflection[:, None] * found[:, order - 1 :: -1][:, :order]
        error *= 1 - reflection**2
    return found


def _bands(frames: np.ndarray, rate: int) -> np.ndarray:
    """Energies of the critical bands, (frames, 25) in dB, no less than -100."""
    size = 2 ** int(np.ceil(np.log2(2 * frames.shape[1])))
    spectrum = np.square(np.abs(np.fft.rfft(frames, size)[:, : size // 2]))
    centres, widths = (np.array(each) / rate * size for each in (CENTRES, WIDTHS))
    gaussian = -11 * np.square((np.arange(size // 2) - np.floor(centres)[:, None]) / widths[:, None])
    filters = np.exp(gaussian + np.log(WIDTHS[0] / np.array(WIDTHS))[:, None])
    return 10 * np.log10(np.maximum(spectrum @ np.where(filters > FLOOR, filters, 0).T, 1e-10))


def _slope_weights(bands: np.ndarray) -> np.ndarray:
    """(frames, 24)."""
    peaks, lower = _nearest_peaks(bands), bands[:, :-1]
    return LARGEST / (LARGEST + bands.max(1, keepdims=True) - lower) * NEAREST / (NEAREST + peaks - lower)


def _nearest_peaks(bands: np.ndarray) -> np.ndarray:
    """(frames, 24): of each slope that falls, the peak on its left; of one that rises, the band in front of the peak on its right, as in the
    authors' program."""
    rises, count = np.diff(bands) > 0, bands.shape[1] - 1
    right, left = np.full((len(bands), count + 1), count), np.full((len(bands), count + 1), -1)
    for band in range(count):
        left[:, band] = np.where(rises[:, band], band, left[:, band - 1])
    for band in reversed(range(count)):
        right[:, band] = np.where(rises[:, band], right[:, band + 1], band)
    return np.take_along_axis(bands, np.where(rises, right[:, :-1] - 1, left[:, :-1] + 1), 1)
