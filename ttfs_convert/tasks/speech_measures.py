"""Speech enhancement: how good the networks' outputs are beside the clean recordings."""

from __future__ import annotations

import numpy as np

from ..measurement.speech_quality import composite, pesq, si_sdr, stoi
from .measure import Measure
from .task import Statistics

NAME = "enhancement"
MEASURES = (Measure("si_sdr", "SI-SDR", "dB"), *(Measure(title.lower(), title, form=".3f") for title in ("PESQ", "STOI", "CSIG", "CBAK", "COVL")))


def statistics(estimate: np.ndarray, clean: np.ndarray, rate: int) -> Statistics:
    """Of one recording, (1, 1) by measure; NaN where it has no figure. estimate, clean: (samples,)."""
    rated = pesq(estimate, clean, rate)
    found = (si_sdr(estimate, clean), rated, stoi(estimate, clean, rate), *composite(estimate, clean, rate, rated))
    return {measure.name: np.array([[value]]) for measure, value in zip(MEASURES, found, strict=True)}
