"""What an output means: how class labels follow from it, if they do.

1. integers and booleans               -> the labels themselves, as are floats that can hold nothing else (a Cast of a comparison)
2. strings                             -> names of classes
3. scores, one per class               -> the largest
4. one float, bounded to [0, 1]        -> whether it is at least 0.5
   one float, without bounds or with bounds symmetric about 0 -> whether it is at least 0
   one float with other bounds         -> nothing that can be known: the user says where
5. anything else (images, signals)     -> no labels
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError, UsageError
from ..onnx_model.output_bounds import Bounds, Interval, UnknownBounds


@dataclass(frozen=True)
class Rule:
    """How labels follow from the values (n, ...) of `output`. kind: `labels`, `names`, `largest` or `threshold`; count: of classes, None
    if unknown; threshold: of that kind; names: of that kind, of class 0, 1, ..., empty if the model does not list them."""

    output: str
    kind: str
    count: int | None = None
    threshold: float | None = None
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind == "largest":
            return f"labels: the largest of {self.count} values"
        if self.kind == "threshold":
            return f"labels: output >= {self.threshold:g}"
        return "labels: the output itself" + (", names of classes" if self.kind == "names" else "")

    def labels(self, values: np.ndarray) -> np.ndarray:
        """(n,) int64; of names their strings."""
        rows = values.reshape(len(values), -1)
        if self.kind == "largest":
            return rows.argmax(1)
        if self.kind == "threshold":
            return (rows[:, 0] >= np.float32(self.threshold)).astype(np.int64)
        return rows[:, 0].astype(str if self.kind == "names" else np.int64)

    def truth(self, y: np.ndarray, class_names: Sequence[str], where: str) -> np.ndarray:
        """True labels y (n,), numbers or names, as `labels` gives them. class_names: of the data's label 0, 1, ..., if it has them.

        Raises DataError for numbers that no score stands for, and where numbers meet names and nobody lists the names.
        """
        listed = self.names or tuple(class_names)
        if self.kind == "names":
            if y.dtype.kind == "U" and self.names and not set(self.names).intersection(y.tolist()):
                raise DataError(
                    where,
                    f"names as labels ({_shortened(sorted(set(y.tolist())))})",
                    f"some of {_shortened(self.names)}",
                    "name the classes as the model does, or number them from 0 in its order",
                )
            return y.astype(str) if y.dtype.kind == "U" else self._named(y, listed, where)
        if y.dtype.kind == "U":
            return self._numbered(y, where)
        if self.count is not None and not 0 <= y.min() <= y.max() < self.count:
            one_based, wrong = (y.min(), y.max()) == (1, self.count), y.max() if y.max() >= self.count else y.min()
            raise DataError(
                where,
                f"label {wrong}",
                f"labels from 0 to {self.count - 1}: the model has {self.count} classes",
                f"subtract 1: yours go from 1 to {self.count}" if one_based else "number the classes from 0, in the model's order",
            )
        return y

    def _named(self, y: np.ndarray, listed: Sequence[str], where: str) -> np.ndarray:
        if not listed:
            raise DataError(
                where,
                f"numbers as labels, while output {self.output!r} gives names of classes which the model does not list",
                "the names themselves",
                "give y as names",
            )
        if not 0 <= y.min() <= y.max() < len(listed):
            raise DataError(
                where,
                f"label {y.max() if y.max() >= len(listed) else y.min()}",
                f"labels from 0 to {len(listed) - 1}: the model has the classes {_shortened(listed)}",
                "number the classes from 0, in the model's order",
            )
        return np.array(listed)[y]

    def _numbered(self, y: np.ndarray, where: str) -> np.ndarray:
        numbers = {name: number for number, name in enumerate(self.names)}
        unknown = sorted(set(y.tolist()) - set(numbers))
        if unknown:
            found = f"label {unknown[0]!r}" if self.names else f"names as labels ({_shortened(sorted(set(y.tolist())))})"
            expected = f"one of {_shortened(self.names)}" if self.names else f"numbers, as output {self.output!r} lists no names"
            raise DataError(where, found, expected, "number the classes from 0, in the model's order")
        return np.array([numbers[name] for name in y.tolist()], np.int64)


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(map(str, names[:5])) + ", ..." * (len(names) > 5)


@dataclass(frozen=True)
class NoRule:
    """Why no labels follow from `output`. lone: whether it is one float whose bounds leave the threshold open."""

    output: str
    reason: str
    lone: bool

    def __str__(self) -> str:
        return f"no labels: {self.reason}"

    def refusal(self) -> UsageError:
        """For who needs labels."""
        if self.lone:
            return UsageError(
                f"output {self.output!r}",
                self.reason,
                "to know where it splits two classes",
                "say it with --decision-threshold X, or give y as floats if it holds values",
            )
        return UsageError(
            f"output {self.output!r}", self.reason, "one score per class, or labels", "name another output with --output if there is one, or a --task"
        )


def rule_of(output: str, sample: np.ndarray, bounds: Bounds, names: Sequence[str], threshold: float | None = None) -> Rule | NoRule:
    """How labels follow from `output`. sample: its values (n, ...) for some samples; bounds: of the model's tensors; names: of its
    classes, if it lists them; threshold: what the user says. Raises UsageError for a threshold of an output that needs none."""
    values = int(np.prod(sample.shape[1:]))
    scores = values > 1 and values == max(sample.shape[1:])
    if threshold is not None and (sample.dtype.kind != "f" or values != 1):
        raise UsageError(
            "--decision-threshold", f"output {output!r} of {'' if values == 1 else f'{values} '}{_kind(sample)} per sample", "one float per sample"
        )
    if values == 1 and sample.dtype.kind in "iub":
        return Rule(output, "labels")
    if values == 1 and sample.dtype.kind in "OUS":
        return Rule(output, "names", names=tuple(names))
    if sample.dtype.kind == "f" and scores:
        return Rule(output, "largest", values, names=tuple(names) if len(names) == values else ())
    if sample.dtype.kind != "f" or values != 1:
        return NoRule(output, (f"shape {sample.shape[1:]}" if sample.dtype.kind == "f" else f"{values} {_kind(sample)}") + " per sample", False)
    if threshold is not None:
        return Rule(output, "threshold", 2, threshold)
    try:
        interval = bounds(output)
    except UnknownBounds as unknown:
        return NoRule(output, f"one value per sample, bounds unknown because of {unknown}", True)
    return Rule(output, "labels") if interval.whole else split_at(output, interval, tuple(names) if len(names) == 2 else ())


def _kind(sample: np.ndarray) -> str:
    return {"f": "floats", "b": "booleans", "i": "integers", "u": "integers"}.get(sample.dtype.kind, "strings")


def split_at(output: str, interval: Interval, names: tuple[str, ...] = ()) -> Rule | NoRule:
    """Where values of `output` between the ends of `interval` split two classes, of which `names` are the names."""
    low, high = float(interval.lo.min()), float(interval.hi.max())
    if interval.within(0, 1) and low < 0.5 < high:
        return Rule(output, "threshold", 2, 0.5, names)
    if low == -high or (np.isfinite([low, high]).all() and abs(low + high) <= 1e-6 * (high - low) and low < high):
        return Rule(output, "threshold", 2, 0.0, names)
    return NoRule(output, f"one value per sample, {_ends(low, high)}", True)


def _ends(low: float, high: float) -> str:
    if np.isfinite([low, high]).all():
        return f"between {low:.6g} and {high:.6g}"
    return f"at least {low:.6g}" if np.isfinite(low) else f"at most {high:.6g}"
