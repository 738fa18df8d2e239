"""Which measure a gate on the drop is about, and whether a task has it: asked before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..measurement.prediction import NoRule
from .measure import Measure

if TYPE_CHECKING:
    from ..data import Dataset
    from .task_choice import Choice


@dataclass(frozen=True)
class DropLimit:
    """A measure by its name, "" for the task's first, that a gate limits the drop of."""

    measure: str

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
