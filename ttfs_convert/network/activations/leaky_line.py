"""Two increasing lines that meet at 0."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from .activation_kind import ActivationKind


class LeakyLine(ActivationKind):
    """f(V) = V for V > 0, alpha V elsewhere; alpha positive."""

    kind: Literal["leaky_line"] = "leaky_line"
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)]

    def value(self, potential: np.ndarray) -> np.ndarray:
        return np.where(potential > 0, potential, self.alpha * potential)

    def inverse(self, value: np.ndarray) -> np.ndarray:
        return np.where(np.asarray(value) > 0, value, np.asarray(value) / self.alpha)
