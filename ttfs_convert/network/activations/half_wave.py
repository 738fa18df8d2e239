"""Half a wave: from one extreme of a sine to the next."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from .activation_kind import ActivationKind


class HalfWave(ActivationKind):
    """f(V) = 1 - cos(min(max(V - since, 0), pi)): 0 up to `since`, 2 from `since` + pi on. A sine or cosine is a sum of these, with the factor 1
    where it rises and -1 where it falls."""

    kind: Literal["half_wave"] = "half_wave"
    since: Annotated[float, Field(allow_inf_nan=False)]
    lowest = 0.0
    highest = 2.0

    def value(self, potential: np.ndarray) -> np.ndarray:
        return 1 - np.cos(np.clip(np.asarray(potential, np.float64) - self.since, 0, np.pi))

    def inverse(self, value: np.ndarray) -> np.ndarray:
        given = np.asarray(value, np.float64)
        reached = self.since + np.arccos(np.clip(1 - given, -1, 1))
        return np.where(given > 2, np.inf, np.where(given <= 0, -np.inf, reached))
