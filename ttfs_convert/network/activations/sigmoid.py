"""The logistic function."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...kernels.function_values import Function, function, logistic
from .activation_kind import ActivationKind


class Sigmoid(ActivationKind):
    """f(V) = 1 / (1 + exp(-V))."""

    kind: Literal["sigmoid"] = "sigmoid"
    lowest, highest = 0.0, 1.0

    @property
    def compiled(self) -> Function:
        return function(logistic, 1, 0, 1)

    def value(self, potential: np.ndarray) -> np.ndarray:
        from scipy.special import expit

        return expit(potential)

    def inverse(self, value: np.ndarray) -> np.ndarray:
        from scipy.special import logit

        return logit(np.clip(value, 0, 1))
