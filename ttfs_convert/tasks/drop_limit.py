"""Gates: how much worse than the original a spiking network may be, by a measure of its task."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..measurement.accuracy_drift import Verdict, verdict
from ..measurement.prediction import NoRule
from .measure import Measure
from .scores import Score

if TYPE_CHECKING:
    from ..data import Dataset
    from .task_choice import Choice


@dataclass(frozen=True)
class DropLimit:
    """A measure by its name, "" for the task's first, and the most that it may be worse by, in its unit of differences."""

    measure: str
    most: float

    @classmethod
    def parsed(cls, text: str) -> DropLimit:
        """Of "0.5" or "psnr=0.1". Raises UsageError for anything else."""
        name, given, number = text.rpartition("=")
        try:
            most = float(number)
        except ValueError:
            most = math.nan
        if not (0 <= most < math.inf) or (given and not name):
            raise UsageError("--max-drop", f"{text!r}", "a number from 0 up, or MEASURE=X such as psnr=0.1")
        return cls(name, most)

    def measure_of(self, choice: Choice, data: Dataset) -> Measure:
        """The task's measure that is meant. Raises UsageError where the task has no such one, or the data holds nothing to judge by."""
        if choice.task is None:
            if isinstance(choice.rule, NoRule) and data.y is not None:
                raise choice.rule.refusal()
            raise UsageError("--max-drop", f"{data.name} has no labels and no targets", "data to judge by", "add y to the .npz, or name a --task")
        found = choice.task.measure(self.measure)
        if found is None:
            raise UsageError(
                "--max-drop", f"measure {self.measure!r}", f"one of task {choice.task.name}: {', '.join(each.name for each in choice.task.measures)}"
            )
        return found

    def verdict(self, score: Score) -> Verdict:
        """Decided only if the whole 95 % interval of the drop lies on one side of the limit; and passed only if no sample lost the figure that it
        has under the original."""
        if score.drop_interval is None:
            return Verdict.INCONCLUSIVE
        low, high = score.drop_interval
        found = verdict((-high, -low), self.most)
        return Verdict.INCONCLUSIVE if found is Verdict.PASSED and score.lost else found
