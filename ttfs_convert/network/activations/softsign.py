"""V / (1 + |V|)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...kernels.function_values import Function, function, softsign
from .activation_kind import ActivationKind


class Softsign(ActivationKind):
    """f(V) = V / (1 + |V|)."""

    kind: Literal["softsign"] = "softsign"
    lowest, highest = -1.0, 1.0

    @property
    def compiled(self) -> Function:
        return function(softsign)

    def value(self, potential: np.ndarray) -> np.ndarray:
        return np.sign(potential) * (1 - 1 / (1 + np.abs(potential)))

    def inverse(self, value: np.ndarray) -> np.ndarray:
        inside = np.clip(value, -1, 1)
        with np.errstate(divide="ignore"):
            return inside / (1 - np.abs(inside))
