"""How the first recordings of a run begin: noisy, clean, and what both networks make of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data.sound_file import RATE
from .enhancers import Stretch

BEGINNING = 4 * RATE  # samples of each that are kept at most


@dataclass(frozen=True, eq=False)
class Sounds:
    """One recording's beginning. All (samples,) float32 at RATE."""

    name: str
    noisy: np.ndarray
    clean: np.ndarray
    ann: np.ndarray
    snn: np.ndarray

    def versions(self) -> dict[str, np.ndarray]:
        """By what they are called, in the order in which they are shown."""
        return {"noisy": self.noisy, "clean": self.clean, "ANN": self.ann, "SNN": self.snn}


class FirstSounds:
    """Collects those of the first `count` recordings."""

    def __init__(self, count: int):
        self._count, self._found = count, {}

    def add(self, name: str, stretch: Stretch, clean: np.ndarray) -> None:
        """The next stretch of a recording."""
        if stretch.first == 0 and len(self._found) < self._count:
            sounds = (stretch.noisy, clean, stretch.ann, stretch.snn)
            self._found[name] = Sounds(name, *(np.array(each[:BEGINNING]) for each in sounds))

    def found(self) -> tuple[Sounds, ...]:
        return tuple(self._found.values())
