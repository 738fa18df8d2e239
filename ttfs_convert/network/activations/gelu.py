"""The Gaussian error linear unit."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from ...kernels.function_values import logistic, normal
from .valley import ValleyKind


class Gelu(ValleyKind):
    """Half of x Phi(x), Phi the normal distribution: 0.5 x (1 + erf(x / sqrt(2))) (Hendrycks and Gimpel, 2016)."""

    kind: Literal["gelu"] = "gelu"
    left = 0.0

    @property
    def lowest_at(self) -> float:
        """Where it is least."""
        return -0.7517915246935645

    @property
    def formula(self) -> tuple:
        return normal, 0.0, 0.5, math.sqrt(0.5)

    def curve(self, x: np.ndarray) -> np.ndarray:
        from scipy.special import erf

        return 0.5 * x * (1 + erf(x / math.sqrt(2)))


class TanhGelu(ValleyKind):
    """Half of its approximation 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), by the same authors."""

    kind: Literal["tanh_gelu"] = "tanh_gelu"
    left = 0.0

    @property
    def lowest_at(self) -> float:
        """Where it is least."""
        return -0.7524614220710163

    @property
    def formula(self) -> tuple:
        return logistic, 0.0, 1.0, 2 * math.sqrt(2 / math.pi), 2 * math.sqrt(2 / math.pi) * 0.044715

    def curve(self, x: np.ndarray) -> np.ndarray:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
