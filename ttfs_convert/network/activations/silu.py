"""The sigmoid linear unit."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ...kernels.function_values import logistic
from .valley import ValleyKind


class Silu(ValleyKind):
    """Half of x / (1 + exp(-alpha x)), alpha > 0, also called swish (Elfwing et al., Neural Networks 107, 2018; Ramachandran et al., 2017)."""

    kind: Literal["silu"] = "silu"
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    left = 0.0

    @property
    def lowest_at(self) -> float:
        """Where it is least."""
        return -1.2784645427610738 / self.alpha

    @property
    def formula(self) -> tuple:
        return logistic, 0.0, 1.0, self.alpha

    def curve(self, x: np.ndarray) -> np.ndarray:
        from scipy.special import expit

        return x * expit(self.alpha * x)
