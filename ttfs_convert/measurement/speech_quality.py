"""How good speech is beside a clean recording of it: SI-SDR, PESQ, STOI, CSIG, CBAK and COVL, of one recording each.

SI-SDR: LC-TTFS, Eq. 23 (Le Roux et al., ICASSP 2019). PESQ: ITU-T P.862.2, by the library pesq; STOI: Taal et al., IEEE TASLP 19, 2011, by
the library pystoi; both in the extra `speech`. CSIG, CBAK, COVL: see `composite_speech`. A recording of less than a quarter of a second, silence,
and what a library refuses have no figure: NaN, never a number that could be averaged.
"""

from __future__ import annotations

import contextlib
import importlib
import warnings
from types import ModuleType

import numpy as np

from ..errors import UsageError
from .composite_speech import Ratings, ratings

SHORTEST = 0.25  # seconds
LONGEST_OF_PESQ = 20  # seconds: pesq 0.0.4 keeps 50 utterances, of 0.4 s at least with the pauses between them, and more end the process
SILENCE = 1e-10  # mean square


def si_sdr(estimate: np.ndarray, target: np.ndarray) -> float:
    """10 log10(|a t|^2 / |e - a t|^2) in dB, a = <e, t> / |t|^2, e and t with mean zero; (samples,) both. NaN for silence."""
    e, t = (np.asarray(each, np.float64) - np.mean(each, dtype=np.float64) for each in (estimate, target))
    if _silent(e) or _silent(t):
        return np.nan
    wanted = (e @ t) / (t @ t) * t
    rest = e - wanted
    return float(10 * np.log10((wanted @ wanted) / (rest @ rest))) if rest.any() and wanted.any() else np.nan


class SiSdr:
    """`si_sdr` of sound that comes a part at a time, from sums in float64: to 1e-6 dB up to 60 dB."""

    def __init__(self):
        self._sums, self._count = np.zeros((3, 3)), 0

    def add(self, estimate: np.ndarray, target: np.ndarray) -> None:
        """(n,) both."""
        rows = np.stack([estimate, target, np.ones(len(target))]).astype(np.float64)
        self._sums, self._count = self._sums + rows @ rows.T, self._count + len(target)

    def value(self) -> float:
        """In dB; NaN for silence and for a copy."""
        if not self._count:
            return np.nan
        (ee, et, e), (_, tt, t), _ = self._sums / self._count
        power, wanted, both = ee - e * e, tt - t * t, et - e * t
        if power < SILENCE or wanted < SILENCE:
            return np.nan
        share = both * both / wanted
        return float(10 * np.log10(share / (power - share))) if power - share > 1e-12 * power and share else np.nan


def pesq(estimate: np.ndarray, target: np.ndarray, rate: int) -> float:
    """Wide-band MOS-LQO, 1.02 to 4.64. rate: 16,000 Hz. NaN also beyond 20 s."""
    library = _library("pesq")
    if _unfit(estimate, target, rate) or len(target) > LONGEST_OF_PESQ * rate:
        return np.nan
    with contextlib.suppress(library.PesqError, ValueError):
        return float(library.pesq(rate, np.asarray(target, np.float32), np.asarray(estimate, np.float32), "wb"))
    return np.nan


def stoi(estimate: np.ndarray, target: np.ndarray, rate: int) -> float:
    """Intelligibility, up to 1."""
    library = _library("pystoi")
    if _unfit(estimate, target, rate):
        return np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what is too short after silence has been cut out gets 1e-5 and a warning (pystoi 0.4.1)
        with contextlib.suppress(RuntimeWarning):
            return float(library.stoi(np.ravel(target), np.ravel(estimate), rate))
    return np.nan


def composite(estimate: np.ndarray, target: np.ndarray, rate: int, pesq: float) -> Ratings:
    """CSIG, CBAK and COVL, 1 to 5. pesq: of the same recording; without a figure there is none here."""
    if np.isnan(pesq) or _unfit(estimate, target, rate):
        return Ratings(np.nan, np.nan, np.nan)
    return ratings(estimate, target, rate, pesq)


def _silent(sound: np.ndarray) -> bool:
    return float(np.mean(np.square(sound, dtype=np.float64))) < SILENCE


def _unfit(estimate: np.ndarray, target: np.ndarray, rate: int) -> bool:
    return len(target) < SHORTEST * rate or _silent(estimate) or _silent(target)


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UsageError("task enhancement", f"{name} is not installed", remedy='pip install "ttfs-convert[speech]"') from None
