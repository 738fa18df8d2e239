"""A label for every position: share of positions that are right, and mean intersection over union of the classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..measurement.position_labels import PositionRule
from .measure import Measure
from .task import Statistics, Task

IGNORED = 255  # label of positions that do not count, as in PASCAL VOC
MOST = 255  # classes where the output does not say how many there are: labels 0 to 254


def _share(statistics: np.ndarray) -> np.ndarray:
    """right / counted; NaN where nothing counts."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(statistics[..., 1] > 0, statistics[..., 0] / statistics[..., 1], np.nan)


def _mean_iou(statistics: np.ndarray) -> np.ndarray:
    """Mean of intersection / union over the classes whose union is not empty."""
    intersections, unions = np.split(statistics, 2, axis=-1)
    present = unions > 0
    shares = np.divide(intersections, unions, out=np.zeros_like(unions), where=present)
    with np.errstate(invalid="ignore"):
        return shares.sum(-1) / np.where(present.any(-1), present.sum(-1), np.nan)


class Segmentation(Task):
    """Labels of every position against label maps; positions labelled 255 do not count. Mean IoU: intersection and union of each class are summed
    over all samples, and the classes that occur in maps or predictions averaged (Everingham et al., IJCV 111, 2015); a sample's own figure is
    that of its own classes. Both are shares.

    rule: how labels follow from the output. maps: true labels (n, *positions), integers.
    """

    name = "segmentation"
    measures = (
        Measure("mean_iou", "mean IoU", share=True, value=_mean_iou, usual_drop=0.1),
        Measure("pixel_accuracy", "pixel accuracy", share=True, value=_share),
    )
    about = "the data's label maps, label 255 left out"

    def __init__(self, rule: PositionRule, maps: np.ndarray):
        self._rule, self._maps = rule, maps
        self._classes = rule.count or MOST

    def references(self, rows: slice, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """Label maps (n, *positions)."""
        return self._maps[rows]

    def statistics(self, outputs: np.ndarray, references: np.ndarray) -> Statistics:
        """Positions that are right and that count; of each class intersection and union."""
        labels = self._rule.labels(outputs)
        rows = [self._of_sample(*each) for each in zip(labels.reshape(len(labels), -1), references.reshape(len(labels), -1))]
        counts = np.stack(rows).astype(np.float64)
        return {"pixel_accuracy": counts[:, :2], "mean_iou": counts[:, 2:]}

    def _of_sample(self, labels: np.ndarray, truth: np.ndarray) -> np.ndarray:
        counted = truth != IGNORED
        labels, truth = labels[counted], truth[counted]
        right = labels == truth
        predicted, wanted, both = (self._occurrences(each) for each in (labels, truth, truth[right]))
        return np.concatenate([[right.sum(), right.size], both, predicted + wanted - both])

    def _occurrences(self, labels: np.ndarray) -> np.ndarray:
        return np.bincount(labels[(labels >= 0) & (labels < self._classes)].astype(np.int64), minlength=self._classes)

    def pictures(self, values: np.ndarray) -> np.ndarray | None:
        """Label maps, as shades from 0 to 1; ignored positions are 0."""
        labels = values if values.shape[1:] == self._maps.shape[1:] and values.dtype.kind in "iub" else self._rule.labels(values)
        if labels.ndim != 3:
            return None
        most = max((self._rule.count or int(self._maps[self._maps != IGNORED].max(initial=1)) + 1) - 1, 1)
        return np.where(labels == IGNORED, 0, np.clip(labels / most, 0, 1))
