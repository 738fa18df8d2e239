"""The exponential function."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...kernels.function_values import FARTHEST, Function, exponential, function
from .activation_kind import ActivationKind


class Exponential(ActivationKind):
    """f(V) = exp(V)."""

    kind: Literal["exponential"] = "exponential"
    lowest = 0.0

    @property
    def compiled(self) -> Function:
        return function(exponential, 0, 1, 1, FARTHEST)

    def value(self, potential: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return np.exp(potential)

    def inverse(self, value: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(np.maximum(value, 0))
