"""The natural logarithm."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...kernels.function_values import Function, function, logarithm
from .activation_kind import ActivationKind


class Logarithm(ActivationKind):
    """f(V) = log(V); of no positive potential, -inf."""

    kind: Literal["logarithm"] = "logarithm"
    start = 0.0

    @property
    def compiled(self) -> Function:
        return function(logarithm, first=0)

    def value(self, potential: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(np.maximum(potential, 0))

    def inverse(self, value: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return np.exp(value)
