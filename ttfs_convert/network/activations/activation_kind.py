"""What a neuron's increasing function says of itself; the shape of its threshold follows from it."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import numpy as np

from ...kernels.function_values import FARTHEST, Function
from ..records import Record


class ActivationKind(Record):
    """An increasing function f of a neuron's potential V, both in the original network's units.

    The potential stays what it is at the window's opening, V0, while the threshold falls over the window, tau from 0 to 1, as

        theta(tau) = f^-1(hi - (hi - lo) tau),   [lo, hi] the layer's range of values, within the function's bounds

    so that the neuron fires at the tau where theta(tau) = V0, which decodes to lo + (hi - lo)(1 - tau) = f(V0). With f a clamp that is the
    dynamic threshold of LC-TTFS. Source: Zhao et al., TTFSFormer, ICML 2025 (PMLR 267), made neurons for the functions of transformers.
    """

    lowest: ClassVar[float] = -math.inf  # f has no values below, whatever the potential
    highest: ClassVar[float] = math.inf
    start: ClassVar[float] = -math.inf  # of the potentials that f is defined for; below it f counts as `lowest`, above `end` as `highest`
    end: ClassVar[float] = math.inf

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value that f may have, infinite where it has none."""
        return self.lowest, self.highest

    @property
    def compiled(self) -> Function | None:
        """f as kernels compute it, within 1e-13 of its largest value; None: they do not, and `value` does."""
        return None

    @abstractmethod
    def value(self, potential: np.ndarray) -> np.ndarray:
        """f, of any shape, float64; within `bounds`."""

    def inverse(self, value: np.ndarray) -> np.ndarray:
        """The smallest potential at which f is at least `value`, of any shape, float64: -inf where every one is, inf where none is.

        By bisection; functions that have their inverse in closed form override it.
        """
        low, high = np.full(np.shape(value), max(self.start, -FARTHEST)), np.full(np.shape(value), min(self.end, FARTHEST))
        never, always = self.value(high) < value, self.value(low) >= value
        while True:
            middle = _between(low, high)
            if not ((low < middle) & (middle < high)).any():
                return np.where(never, np.inf, np.where(always, -np.inf, high))
            reached = self.value(middle) >= value
            low, high = np.where(reached, low, middle), np.where(reached, middle, high)


def _between(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """A number between `low` and `high` that halves their distance, on a scale that is logarithmic beyond -1 to 1: about 60 halvings find any
    float64 between -FARTHEST and FARTHEST."""
    return _spread((_gathered(low) + _gathered(high)) / 2)


def _gathered(x: np.ndarray) -> np.ndarray:
    return np.sign(x) * np.log1p(np.abs(x))


def _spread(x: np.ndarray) -> np.ndarray:
    return np.sign(x) * np.expm1(np.abs(x))
