"""The samples whose label conversion changed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..data import Dataset

MANY = 24  # samples that are kept


@dataclass(frozen=True, eq=False)
class LabelledSample:
    """One sample. row: its number in the data. values: as the data holds it. truth, ann, snn: labels in words; truth None without."""

    row: int
    values: np.ndarray
    truth: str | None
    ann: str
    snn: str


@dataclass
class ChangedLabels:
    """Added to batch by batch. count: of all that changed. samples: the first of them."""

    data: Dataset
    count: int = 0
    samples: list[LabelledSample] = field(default_factory=list)

    def add(self, first: int, ann: np.ndarray, snn: np.ndarray, truth: np.ndarray | None) -> None:
        """first: row of the batch's first sample. ann, snn, truth: labels (n,)."""
        changed = np.flatnonzero(ann != snn)
        self.count += len(changed)
        for each in changed[: MANY - len(self.samples)].tolist():
            self.samples.append(labelled(self.data, first + each, ann[each], snn[each], None if truth is None else truth[each]))


def labelled(data: Dataset, row: int, ann: object, snn: object, truth: object | None) -> LabelledSample:
    """Sample `row` with its labels in words: names of classes where the data has them."""
    words = (None if label is None else _in_words(label, data.class_names) for label in (truth, ann, snn))
    return LabelledSample(row, data.x[row], *words)  # type: ignore[arg-type]


def _in_words(label: object, names: tuple[str, ...]) -> str:
    if isinstance(label, (int, np.integer)) and 0 <= label < len(names):
        return names[int(label)]
    return str(label)
