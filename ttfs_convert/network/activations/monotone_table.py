"""A function that nobody has named: a table of its values."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BeforeValidator, model_validator

from ...kernels.function_values import Function, function
from ..records import finite_array, require
from .activation_kind import ActivationKind

if TYPE_CHECKING:
    from scipy.interpolate import PchipInterpolator

Values = Annotated[np.ndarray, BeforeValidator(lambda value: finite_array(value, np.float32))]


class MonotoneTable(ActivationKind):
    """f by monotone cubic interpolation between values[i] at potentials[i] (Fritsch and Carlson, SIAM J. Numer. Anal. 17, 1980); a line through
    its last two points beyond either end, flat where these are equal.

    potentials: (m,) float32, rising. values: (m,) float32, not falling.
    """

    kind: Literal["monotone_table"] = "monotone_table"
    potentials: Values
    values: Values

    @model_validator(mode="after")
    def _increases(self) -> MonotoneTable:
        require(self.potentials.ndim == 1 and self.potentials.shape == self.values.shape and self.potentials.size > 1, "a table of one pair or none")
        require(bool((np.diff(self.potentials) > 0).all()), "potentials that do not rise")
        require(bool((np.diff(self.values) >= 0).all()), "values that fall")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        left, right = self._ends
        return -np.inf if left else float(self.values[0]), np.inf if right else float(self.values[-1])

    @property
    def compiled(self) -> Function:
        x, cubics, (left, right) = self.potentials.astype(np.float64), self._interpolated.c, self._ends
        first, last = ([x[end], 0, 0, slope, self.values[end]] for end, slope in ((0, left), (-1, right)))
        return function(None, pieces=np.stack([first, *np.column_stack([x[:-1], cubics.T]), last]))

    def value(self, potential: np.ndarray) -> np.ndarray:
        given, (left, right) = np.asarray(potential, np.float64), self._ends
        first, last = float(self.potentials[0]), float(self.potentials[-1])
        inside = self._interpolated(np.clip(given, first, last))
        with np.errstate(invalid="ignore"):  # infinity times a slope of 0
            below, above = (
                np.where(slope == 0, 0, slope * outside)
                for slope, outside in ((left, np.minimum(given - first, 0)), (right, np.maximum(given - last, 0)))
            )
        return inside + below + above

    @functools.cached_property
    def _interpolated(self) -> PchipInterpolator:
        from scipy.interpolate import PchipInterpolator

        return PchipInterpolator(self.potentials.astype(np.float64), self.values.astype(np.float64))

    @property
    def _ends(self) -> tuple[float, float]:
        """Slopes beyond the ends."""
        x, y = self.potentials.astype(np.float64), self.values.astype(np.float64)
        return (y[1] - y[0]) / (x[1] - x[0]), (y[-1] - y[-2]) / (x[-1] - x[-2])

    def __hash__(self) -> int:
        return hash((self.potentials.tobytes(), self.values.tobytes()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MonotoneTable) and np.array_equal(self.potentials, other.potentials) and np.array_equal(self.values, other.values)
