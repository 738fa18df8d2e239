"""What the data says of an output: labels that judge its predictions, or values that it should have."""

from __future__ import annotations

import numpy as np

from ..data import Dataset
from ..errors import DataError, UsageError
from .prediction import NoRule, Rule

SCALES_APART = 20  # times as wide: pixels to 255 beside outputs to 1, say


class Truth:
    """labels: (n,) as `Rule.labels` gives them, or None. targets: (n, *shape) float32 in the output's own layout, or None. rule: that of the
    output; none where the data says that its values are no labels. notes: what is not used, and why.

    rule: of the output that is judged; sample: its values (n, ...) for some samples. labels_needed: refuse data and outputs without labels.
    Raises DataError for data that does not fit the output, UsageError where labels are needed or given and do not follow from it.
    """

    def __init__(self, data: Dataset, rule: Rule | NoRule, sample: np.ndarray, labels_needed: bool = False):
        self.rule, self.labels, self.targets, self.notes = rule, None, None, ()
        fitting = None if data.targets is None else _fitted(data.targets, sample.shape[1:])
        if fitting is not None and (data.y is None or (_is_lone(rule) and len(np.unique(data.y)) > 2)):
            self.targets, self.notes = self._checked(fitting, sample, data.name), _other_scale(fitting, sample)
            self.rule = NoRule(rule.output, "values, for which the data has targets", False)
        elif data.y is not None and isinstance(rule, Rule):
            self.labels = rule.truth(data.y, data.class_names, data.name)
        if labels_needed and self.labels is None:
            raise (
                self.rule.refusal()
                if isinstance(self.rule, NoRule) and data.y is not None
                else UsageError("data", f"{data.name} has no labels", "labelled data", "add y to the .npz")
            )
        if self.labels is None and self.targets is None:
            self.notes = self._unused(data, sample.shape[1:])

    def _checked(self, targets: np.ndarray, sample: np.ndarray, where: str) -> np.ndarray:
        if sample.dtype.kind != "f":
            raise DataError(
                where,
                f"y of shape {targets.shape[1:]} per sample for an output of {sample.dtype}",
                "one label per sample",
                "labels of every position are not judged: leave y out, which gives errors and agreement of the outputs",
            )
        return targets

    def _unused(self, data: Dataset, shape: tuple[int, ...]) -> tuple[str, ...]:
        """Notes where the data judges nothing."""
        rule = self.rule
        if data.y is not None and isinstance(rule, NoRule):
            if rule.lone:
                raise rule.refusal()
            return (f"the labels are not used: output {rule.output!r} has {rule.reason}",)
        if data.targets is not None:
            raise DataError(
                data.name,
                f"y of shape {data.targets.shape[1:]} per sample",
                f"labels, or values of the shape {shape} of output {rule.output!r}",
                "give such a y, or none",
            )
        if isinstance(rule, NoRule) and rule.lone:
            return (
                f"no predictions are compared: output {rule.output!r} has {rule.reason}; say where it splits two classes with "
                "--decision-threshold X, if it does",
            )
        return ()


def _is_lone(rule: Rule | NoRule) -> bool:
    """Whether the output is one float per sample, which can tell two labels apart and no more."""
    return rule.lone if isinstance(rule, NoRule) else rule.kind == "threshold"


def _other_scale(targets: np.ndarray, sample: np.ndarray) -> tuple[str, ...]:
    ends = [(float(each.min()), float(each.max())) for each in (targets, sample)]
    wide, narrow = sorted((high - low for low, high in ends), reverse=True)
    if wide <= SCALES_APART * narrow:
        return ()
    (low, high), (least, most) = ends
    return (
        f"the targets y reach from {low:.4g} to {high:.4g} and the original's outputs from {least:.4g} to {most:.4g}: "
        "mean squared errors compare values of different scales",
    )


def _fitted(targets: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Targets as (n, *shape): axes of size 1 are no matter, channels may come last; None if they do not fit."""
    wanted = [size for size in shape if size != 1]
    for arranged in (targets, np.moveaxis(targets, -1, 1) if targets.ndim > 2 else targets):
        if [size for size in arranged.shape[1:] if size != 1] == wanted:
            return arranged.reshape(len(targets), *shape)
    return None
