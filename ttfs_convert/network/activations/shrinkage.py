"""Lines with a dead zone around 0."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from ...kernels.function_values import Function, dead_zone, function
from ..records import require
from .activation_kind import ActivationKind

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Shrinkage(ActivationKind):
    """f(V) = V - bias for V > zone, V + bias for V < -zone, else 0; 0 <= bias <= zone. Soft shrinkage: bias = zone; hard: bias = 0."""

    kind: Literal["shrinkage"] = "shrinkage"
    zone: NotNegative = 0.5
    bias: NotNegative = 0.0

    @model_validator(mode="after")
    def _increases(self) -> Shrinkage:
        require(self.bias <= self.zone, f"a bias of {self.bias:g} beyond the dead zone of {self.zone:g}")
        return self

    @property
    def compiled(self) -> Function:
        return function(dead_zone, self.zone, self.bias, self.zone)

    def value(self, potential: np.ndarray) -> np.ndarray:
        size = np.abs(potential)
        return np.where(size > self.zone, np.sign(potential) * (size - self.bias), 0.0)
