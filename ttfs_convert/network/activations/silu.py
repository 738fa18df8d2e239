"""The sigmoid linear unit."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.special import expit

from .valley import ValleyKind


class Silu(ValleyKind):
    """Half of x / (1 + exp(-x)), also called swish (Elfwing et al., Neural Networks 107, 2018; Ramachandran et al., 2017)."""

    kind: Literal["silu"] = "silu"
    lowest_at = -1.2784645427610738
    left = 0.0

    def curve(self, x: np.ndarray) -> np.ndarray:
        return x * expit(x)
