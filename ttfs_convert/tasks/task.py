"""What every task is: measures, what outputs are held against, and what is known of a sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from .measure import Measure

Statistics = Mapping[str, np.ndarray]  # by measure: (n, k) float64, what its figure follows from


class Task(ABC):
    """One task on one data set. measures: the first is the one that gates and budgets are about unless they name another. about: what outputs
    are held against, a phrase for the report. notes: what a reader of the figures must know."""

    name: ClassVar[str]
    of_values: ClassVar[bool] = False  # whether references are values that outputs should have, so that both have squared errors
    measures: tuple[Measure, ...]
    about: str
    notes: tuple[str, ...] = ()

    @abstractmethod
    def references(self, rows: slice, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the outputs of the samples `rows` are held against, (n, ...). x: the model's inputs for them, by name."""

    @abstractmethod
    def statistics(self, outputs: np.ndarray, references: np.ndarray) -> Statistics:
        """outputs: (n, ...) of either network, references: as `references` gives them. A row with a number that is not finite: the sample has no
        figure, which is no error but is counted."""

    def pictures(self, values: np.ndarray) -> np.ndarray | None:
        """Outputs or references (n, ...) as pictures (n, h, w) or (n, h, w, 3), None where they are none."""
        return None

    def measure(self, name: str) -> Measure | None:
        """The one of this name; the first for ""; None where there is none."""
        return next((each for each in self.measures if name in ("", each.name)), None)
