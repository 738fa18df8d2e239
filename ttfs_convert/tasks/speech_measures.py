"""Speech enhancement: how good the networks' outputs are beside the clean recordings."""

from __future__ import annotations

import numpy as np

from ..measurement.speech_quality import pesq, si_sdr, stoi
from .measure import Measure
from .task import Statistics

NAME = "enhancement"
MEASURES = (Measure("si_sdr", "SI-SDR", "dB"), Measure("pesq", "PESQ", form=".3f"), Measure("stoi", "STOI", form=".3f"))


def statistics(estimate: np.ndarray, clean: np.ndarray, rate: int) -> Statistics:
    """Of one recording, (1, 1) by measure; NaN where it has no figure. estimate, clean: (samples,)."""
    found = (si_sdr(estimate, clean), pesq(estimate, clean, rate), stoi(estimate, clean, rate))
    return {measure.name: np.array([[value]]) for measure, value in zip(MEASURES, found, strict=True)}
