"""The smooth ReLU."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...kernels.function_values import Function, function, softplus
from .activation_kind import ActivationKind


class Softplus(ActivationKind):
    """f(V) = log(1 + exp(V))."""

    kind: Literal["softplus"] = "softplus"
    lowest = 0.0

    @property
    def compiled(self) -> Function:
        return function(softplus)

    def value(self, potential: np.ndarray) -> np.ndarray:
        return np.logaddexp(0, potential)

    def inverse(self, value: np.ndarray) -> np.ndarray:
        positive = np.maximum(value, 0)
        with np.errstate(divide="ignore"):
            return positive + np.log(-np.expm1(-positive))
