"""Labels: the share that a network predicts rightly."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..measurement.accuracy_drift import PairedOutcomes, newcombe_of
from ..measurement.prediction import Rule
from .measure import Measure
from .scores import Score
from .task import Statistics, Task

ACCURACY = Measure("accuracy", "accuracy", share=True, interval=newcombe_of, usual_drop=0.1)


class Classification(Task):
    """Accuracy, its drift with Newcombe's interval. rule: how labels follow from the output. labels: true ones (n,), as the rule gives them."""

    name = "classification"
    measures = (ACCURACY,)
    about = "the data's labels"

    def __init__(self, rule: Rule, labels: np.ndarray):
        self._rule, self._labels = rule, labels

    def references(self, rows: slice, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """True labels (n,)."""
        return self._labels[rows]

    def statistics(self, outputs: np.ndarray, references: np.ndarray) -> Statistics:
        """1 where the predicted label is the true one, else 0."""
        return {"accuracy": (self._rule.labels(outputs) == references)[:, None].astype(np.float64)}


def outcomes_of(scores: Mapping[str, Score]) -> PairedOutcomes | None:
    """How many samples each network got right; None without an accuracy."""
    score = scores.get(ACCURACY.name)
    return None if score is None else PairedOutcomes.of_right(score.ann_values > 0, score.snn_values > 0)
