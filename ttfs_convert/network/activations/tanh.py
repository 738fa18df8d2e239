"""The hyperbolic tangent."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...kernels.function_values import Function, function, logistic
from .activation_kind import ActivationKind


class Tanh(ActivationKind):
    """f(V) = tanh(V)."""

    kind: Literal["tanh"] = "tanh"
    lowest, highest = -1.0, 1.0

    @property
    def compiled(self) -> Function:
        return function(logistic, 2, 0, 2, 0, -1)

    def value(self, potential: np.ndarray) -> np.ndarray:
        return np.tanh(potential)

    def inverse(self, value: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.arctanh(np.clip(value, -1, 1))
