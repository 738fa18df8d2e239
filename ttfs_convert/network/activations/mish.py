"""Misra's self-regularised activation."""

from __future__ import annotations

from typing import Literal

import numpy as np

from .valley import ValleyKind


class Mish(ValleyKind):
    """Half of x tanh(log(1 + exp(x))) (Misra, BMVC 2020)."""

    kind: Literal["mish"] = "mish"
    lowest_at = -1.1924312145154952
    left = 0.0

    def curve(self, x: np.ndarray) -> np.ndarray:
        return x * np.tanh(np.logaddexp(0, x))
