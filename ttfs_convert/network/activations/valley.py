"""Functions that fall to one minimum and rise from there, as the sum of two increasing ones."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

import numpy as np

from ...kernels.function_values import FARTHEST, Function, function
from .activation_kind import ActivationKind

Side = Literal["rising", "falling"]


class ValleyKind(ActivationKind):
    """One half of a function g with a single minimum, at `lowest_at`:

        g(x) = rising(x) + falling(-x) + g(lowest_at)
        rising(x)  = g(max(x, lowest_at)) - g(lowest_at)
        falling(u) = g(min(-u, lowest_at)) - g(lowest_at)

    Both increase, are 0 from some potential down, and never differ from 0 at once: of the two neurons one is silent. The potential of the
    falling half is that of -x.
    """

    side: Side
    left: ClassVar[float] = np.inf  # limit of g far to the left
    lowest = 0.0

    @property
    def bounds(self) -> tuple[float, float]:
        return 0.0, np.inf if self.side == "rising" else self.left - self.depth

    @property
    @abstractmethod
    def lowest_at(self) -> float:
        """Where g is least."""

    @property
    def formula(self) -> tuple | None:
        """g as kernels compute it: a formula of `kernels.function_values` and its parameters; None: they do not."""
        return None

    @property
    def compiled(self) -> Function | None:
        if self.formula is None:
            return None
        sign, first, last = (1.0, self.lowest_at, FARTHEST) if self.side == "rising" else (-1.0, -FARTHEST, self.lowest_at)
        return function(*self.formula, sign=sign, first=first, last=last, offset=self.depth)

    @property
    def depth(self) -> float:
        """g at its minimum."""
        return float(self.curve(np.asarray(self.lowest_at)))

    @abstractmethod
    def curve(self, x: np.ndarray) -> np.ndarray:
        """g, of any shape, float64."""

    def value(self, potential: np.ndarray) -> np.ndarray:
        given = np.asarray(potential, np.float64)
        x = np.maximum(given, self.lowest_at) if self.side == "rising" else np.minimum(-given, self.lowest_at)
        inside = np.maximum(self.curve(np.clip(x, -FARTHEST, FARTHEST)) - self.depth, 0)
        return np.where(given == np.inf, self.bounds[1], inside)
