"""The error function."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...kernels.function_values import Function, function, normal
from .activation_kind import ActivationKind


class Erf(ActivationKind):
    """f(V) = 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to V."""

    kind: Literal["erf"] = "erf"
    lowest, highest = -1.0, 1.0

    @property
    def compiled(self) -> Function:
        return function(normal, 1, 0, 1, 0, -1)

    def value(self, potential: np.ndarray) -> np.ndarray:
        from scipy.special import erf

        return erf(potential)

    def inverse(self, value: np.ndarray) -> np.ndarray:
        from scipy.special import erfinv

        return erfinv(np.clip(value, -1, 1))
