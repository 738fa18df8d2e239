"""What there is to judge a network by: the output that counts, and what the data says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..data import Dataset
from ..errors import DataError
from ..measurement.prediction import NoRule, Rule
from ..onnx_model.output_bounds import Bounds

SCALES_APART = 20  # times as wide: pixels to 255 beside outputs to 1, say


@dataclass(frozen=True)
class JudgedOutput:
    """rule: how labels follow from the output, as far as the model says. sample: its values (n, ...) for some samples. bounds: of the model's
    tensors. inputs: shapes of the model's inputs without the batch. ranges: smallest and largest value of each that the model was made for, None if
    unknown. divided: whether pixels enter divided by 255. threshold: from where on one value means class 1, if the user says so."""

    data: Dataset
    rule: Rule | NoRule
    sample: np.ndarray
    bounds: Bounds
    inputs: Mapping[str, tuple[int, ...]]
    ranges: Mapping[str, tuple[float, float] | None]
    divided: bool = False
    threshold: float | None = None

    @property
    def name(self) -> str:
        """Of the output."""
        return self.rule.output

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample's values."""
        return self.sample.shape[1:]

    @property
    def is_lone(self) -> bool:
        """Whether the output is one float per sample, which can tell two labels apart and no more."""
        return self.rule.lone if isinstance(self.rule, NoRule) else self.rule.kind == "threshold"

    def values(self, reason: str) -> NoRule:
        """The rule of an output that is taken for values, not for labels, and why."""
        return NoRule(self.name, f"values, {reason}", False)

    def misfit(self, expected: str = "") -> DataError:
        """Of the data's targets."""
        found = None if self.data.targets is None else self.data.targets.shape[1:]
        return DataError(
            self.data.name,
            "names as labels" if found is None else f"y of shape {found} per sample",
            expected or f"labels, or values of the shape {self.shape} of output {self.name!r}",
            "give such a y, or none",
        )


def fitted(values: np.ndarray, shape: tuple[int, ...], flat: bool = False) -> np.ndarray | None:
    """`values` (n, ...) as (n, *shape): axes of size 1 are no matter, channels may come first or last. flat: rows of all values of a sample fit
    too, either way. None if they do not fit."""
    wanted = [size for size in shape if size != 1]
    orders = (values, np.moveaxis(values, -1, 1), np.moveaxis(values, 1, -1)) if values.ndim > 2 else (values,)
    for arranged in orders:
        if [size for size in arranged.shape[1:] if size != 1] == wanted:
            return arranged.reshape(len(values), *shape)
    if flat and values[0].size == np.prod(shape) and 1 in (len(wanted), sum(size != 1 for size in values.shape[1:])):
        return values.reshape(len(values), *shape)
    return None


def other_scale(targets: np.ndarray, sample: np.ndarray) -> tuple[str, ...]:
    """A note where targets reach much farther than outputs, or less far."""
    ends = [(float(each.min()), float(each.max())) for each in (targets, sample)]
    wide, narrow = sorted((high - low for low, high in ends), reverse=True)
    if wide <= SCALES_APART * narrow:
        return ()
    (low, high), (least, most) = ends
    return (
        f"the targets y reach from {low:.4g} to {high:.4g} and the original's outputs from {least:.4g} to {most:.4g}: "
        "mean squared errors compare values of different scales",
    )
