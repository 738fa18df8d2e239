"""Pictures of the first samples: what outputs should be, and what both networks make of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tasks.task import Task

MANY = 8  # samples


@dataclass(frozen=True, eq=False)
class Pictures:
    """(n, h, w) or (n, h, w, 3), of the first samples."""

    references: np.ndarray
    ann: np.ndarray
    snn: np.ndarray


class FirstPictures:
    """Collects them batch by batch."""

    def __init__(self, task: Task):
        self._task, self._parts, self._count = task, [], 0

    def add(self, references: np.ndarray, ann: np.ndarray, snn: np.ndarray) -> None:
        """All (n, ...), of one batch."""
        missing = MANY - self._count
        if missing > 0:
            found = [self._task.pictures(each[:missing]) for each in (references, ann, snn)]
            self._count += len(references[:missing])
            self._parts.append(found)

    def found(self) -> Pictures | None:
        """None where outputs are no pictures."""
        columns = list(zip(*self._parts))
        if not columns or any(part is None for column in columns for part in column):
            return None
        return Pictures(*(np.concatenate(column) for column in columns))
