"""Speech enhancement: how good the networks' outputs are beside the clean recordings."""

from __future__ import annotations

import numpy as np

from ..measurement.speech_quality import SiSdr, composite, pesq, si_sdr, stoi
from .measure import Measure
from .task import Statistics

NAME = "enhancement"
MEASURES = (Measure("si_sdr", "SI-SDR", "dB"), *(Measure(title.lower(), title, form=".3f") for title in ("PESQ", "STOI", "CSIG", "CBAK", "COVL")))


RATED = 120  # seconds of a recording beyond which SI-SDR alone has a figure: STOI holds all of it in memory many times over


class Beside:
    """One recording beside the clean one, a stretch at a time. samples: of the whole. rate: in Hz."""

    def __init__(self, samples: int, rate: int):
        self._rate, self._parts, self._moments = rate, ([] if samples <= RATED * rate else None), SiSdr()

    def add(self, estimate: np.ndarray, clean: np.ndarray) -> None:
        """The next samples of both, (n,)."""
        if self._parts is None:
            self._moments.add(estimate, clean)
        else:
            self._parts.append((estimate, clean))

    def statistics(self) -> Statistics:
        """(1, 1) by measure; NaN where the recording has no figure."""
        if self._parts is None:
            found = (self._moments.value(), *[np.nan] * (len(MEASURES) - 1))
        else:
            estimate, clean = (np.concatenate(each) for each in zip(*self._parts))
            rated = pesq(estimate, clean, self._rate)
            found = (si_sdr(estimate, clean), rated, stoi(estimate, clean, self._rate), *composite(estimate, clean, self._rate, rated))
        return {measure.name: np.array([[value]]) for measure, value in zip(MEASURES, found, strict=True)}
