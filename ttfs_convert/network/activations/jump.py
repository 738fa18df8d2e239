"""The ReLU that jumps."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ...kernels.function_values import Function, dead_zone, function
from .activation_kind import ActivationKind


class Jump(ActivationKind):
    """f(V) = V for V > alpha, else 0; alpha >= 0 (ThresholdedRelu: Konda et al., ICLR 2015 workshop)."""

    kind: Literal["jump"] = "jump"
    alpha: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    lowest = 0.0

    @property
    def compiled(self) -> Function:
        return function(dead_zone, self.alpha, 0, np.inf)

    def value(self, potential: np.ndarray) -> np.ndarray:
        return np.where(np.asarray(potential) > self.alpha, potential, 0.0)

    def inverse(self, value: np.ndarray) -> np.ndarray:
        above = np.nextafter(self.alpha, np.inf)
        return np.where(np.asarray(value) > 0, np.maximum(value, above), -np.inf)
