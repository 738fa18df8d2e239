"""Misra's self-regularised activation."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...kernels.function_values import mish
from .valley import ValleyKind


class Mish(ValleyKind):
    """Half of x tanh(log(1 + exp(x))) (Misra, BMVC 2020)."""

    kind: Literal["mish"] = "mish"
    left = 0.0

    @property
    def lowest_at(self) -> float:
        """Where it is least."""
        return -1.1924312145154952

    @property
    def formula(self) -> tuple:
        return (mish,)

    def curve(self, x: np.ndarray) -> np.ndarray:
        return x * np.tanh(np.logaddexp(0, x))
