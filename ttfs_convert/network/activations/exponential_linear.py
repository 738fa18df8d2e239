"""Linear for positive potentials, an exponential for negative ones: ELU, SELU, CELU."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ...kernels.function_values import Function, exponential, function
from .activation_kind import ActivationKind

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ExponentialLinear(ActivationKind):
    """f(V) = scale V for V > 0, scale alpha (exp(V / width) - 1) elsewhere; all three positive.

    ELU: scale 1, width 1 (Clevert et al., ICLR 2016). SELU: width 1 (Klambauer et al., NeurIPS 2017). CELU: scale 1, width alpha (Barron, 2017).
    """

    kind: Literal["exponential_linear"] = "exponential_linear"
    alpha: Positive = 1.0
    scale: Positive = 1.0
    width: Positive = 1.0

    @property
    def bounds(self) -> tuple[float, float]:
        return -self.scale * self.alpha, np.inf

    @property
    def compiled(self) -> Function:
        return function(exponential, self.scale, self.scale * self.alpha, 1 / self.width, 0, -self.scale * self.alpha)

    def value(self, potential: np.ndarray) -> np.ndarray:
        return self.scale * np.where(potential > 0, potential, self.alpha * np.expm1(np.minimum(potential, 0) / self.width))

    def inverse(self, value: np.ndarray) -> np.ndarray:
        line = np.asarray(value) / self.scale
        with np.errstate(divide="ignore"):
            return np.where(line > 0, line, self.width * np.log1p(np.clip(line, -self.alpha, 0) / self.alpha))
