"""What the data says of an output: labels that judge its predictions, or values that it should have."""

from __future__ import annotations

import numpy as np

from .datasets import Dataset
from .errors import DataError, UsageError
from .prediction import NoRule, Rule


class Truth:
    """labels: (n,) as `Rule.labels` gives them, or None. targets: (n, *shape) float32 in the output's own layout, or None. notes: what is
    not used, and why.

    rule: of the output that is judged; shape: of one sample's values of it. labels_needed: refuse data and outputs without labels.
    Raises DataError for data that does not fit the output, UsageError where labels are needed or given and do not follow from it.
    """

    def __init__(self, data: Dataset, rule: Rule | NoRule, shape: tuple[int, ...], labels_needed: bool = False):
        self.labels, self.targets, self.notes = None, None, ()
        if labels_needed and isinstance(rule, NoRule):
            raise rule.refusal()
        fitting = None if data.targets is None else _fitted(data.targets, shape)
        if data.y is not None and isinstance(rule, Rule) and not (rule.kind == "threshold" and fitting is not None and _are_values(data.y)):
            self.labels = rule.truth(data.y, data.class_names, data.name)
            return
        if labels_needed:
            raise UsageError("data", f"{data.name} has no labels", "labelled data", "add y to the .npz")
        self.targets = fitting
        if data.y is not None and isinstance(rule, NoRule) and rule.lone and not (fitting is not None and _are_values(data.y)):
            raise rule.refusal()
        if fitting is None and data.y is not None:
            self.notes = (f"the labels are not used: output {rule.output!r} has {rule.reason}",)
        elif fitting is None and data.targets is not None:
            raise DataError(data.name, f"y of shape {data.targets.shape[1:]} per sample", f"labels, or values of the shape {shape} of output "
                            f"{rule.output!r}", "give such a y, or none")
        elif fitting is None and isinstance(rule, NoRule) and rule.lone:
            self.notes = (f"no predictions are compared: output {rule.output!r} has {rule.reason}; say where it splits two classes with "
                          "--decision-threshold X, if it does",)


def _are_values(y: np.ndarray) -> bool:
    """Whether labels are more than the two that a lone value can tell apart."""
    return y.dtype.kind != "U" and not 0 <= y.min() <= y.max() <= 1


def _fitted(targets: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Targets as (n, *shape): axes of size 1 are no matter, channels may come last; None if they do not fit."""
    wanted = [size for size in shape if size != 1]
    for arranged in (targets, np.moveaxis(targets, -1, 1) if targets.ndim > 2 else targets):
        if [size for size in arranged.shape[1:] if size != 1] == wanted:
            return arranged.reshape(len(targets), *shape)
    return None
