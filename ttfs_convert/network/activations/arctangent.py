"""The arc tangent."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from ...kernels.function_values import Function, function, inverse_tangent
from .activation_kind import ActivationKind


class Arctangent(ActivationKind):
    """f(V) = atan(V)."""

    kind: Literal["arctangent"] = "arctangent"
    lowest, highest = -math.pi / 2, math.pi / 2

    @property
    def compiled(self) -> Function:
        return function(inverse_tangent)

    def value(self, potential: np.ndarray) -> np.ndarray:
        return np.arctan(potential)

    def inverse(self, value: np.ndarray) -> np.ndarray:
        inside = np.tan(np.clip(value, self.lowest, self.highest))
        return np.where(value >= self.highest, np.inf, np.where(value <= self.lowest, -np.inf, inside))
