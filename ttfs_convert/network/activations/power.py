"""Powers: roots, squares of one sign, reciprocals."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from ...kernels.function_values import FARTHEST, Function, function, power, reciprocal, reciprocal_root, square, square_root
from ..records import require
from .activation_kind import ActivationKind

LEAST = 2.0**-1000  # of potentials that have a reciprocal


class Power(ActivationKind):
    """f(V) = max(V, 0)^p for p > 0; max(-V, 0)^p for p < 0, which increases too; with `odd` sign(V) |V|^p for all V.

    So p = 2 squares values of one sign, p = 1/2 is a root, p = -1 the reciprocal of a positive x of which V = -x is the potential, and with
    `odd` p = -1 that of a negative x.
    """

    kind: Literal["power"] = "power"
    exponent: Annotated[float, Field(allow_inf_nan=False)]
    odd: bool = False

    @model_validator(mode="after")
    def _bends(self) -> Power:
        require(self.exponent != 0, "a power of 0, which is 1 everywhere")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        if self.exponent < 0 and self.odd:
            return -np.inf, 0.0
        return (-np.inf if self.odd else 0.0), np.inf

    @property
    def compiled(self) -> Function:
        if self.exponent > 0:
            formula = power if self.odd else {2.0: square, 0.5: square_root}.get(self.exponent, power)
            return function(formula, self.exponent, first=-FARTHEST if self.odd else 0.0)
        formula = {-1.0: reciprocal, -0.5: reciprocal_root}.get(self.exponent, power)
        sign, factor = (1.0, -1.0) if self.odd else (-1.0, 1.0)
        return function(formula, self.exponent, sign=sign, first=LEAST, factor=factor)

    def value(self, potential: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", over="ignore"):
            if self.exponent < 0:
                return -(np.maximum(potential, 0) ** self.exponent) if self.odd else np.maximum(np.negative(potential), 0) ** self.exponent
            return np.sign(potential) * np.abs(potential) ** self.exponent if self.odd else np.maximum(potential, 0) ** self.exponent

    def inverse(self, value: np.ndarray) -> np.ndarray:
        root, given = 1 / self.exponent, np.asarray(value, np.float64)
        with np.errstate(divide="ignore", over="ignore"):
            if self.exponent < 0:
                return np.maximum(-given, 0) ** root if self.odd else -(np.maximum(given, 0) ** root)
            if self.odd:
                return np.sign(given) * np.abs(given) ** root
            return np.where(given > 0, np.maximum(given, 0) ** root, -np.inf)
