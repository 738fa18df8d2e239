"""The exponential function."""

from __future__ import annotations

from typing import Literal

import numpy as np

from .activation_kind import ActivationKind


class Exponential(ActivationKind):
    """f(V) = exp(V)."""

    kind: Literal["exponential"] = "exponential"
    lowest = 0.0

    def value(self, potential: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return np.exp(potential)

    def inverse(self, value: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(np.maximum(value, 0))
