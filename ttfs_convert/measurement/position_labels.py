"""Labels of every position: of pixels, of points in time, of tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import UsageError


@dataclass(frozen=True)
class PositionRule:
    """How labels of every position follow from the values (n, *shape) of `output`: the largest along `axis`; with `threshold` whether the one
    value per position reaches it; without either the values themselves. positions: their shape. count: of classes, None if unknown."""

    output: str
    positions: tuple[int, ...]
    count: int | None = None
    axis: int | None = None
    threshold: float | None = None

    def __str__(self) -> str:
        if self.axis is not None:
            return f"labels of {self._many} positions: the largest of {self.count} values"
        return f"labels of {self._many} positions: " + ("the output itself" if self.threshold is None else f"output >= {self.threshold:g}")

    @property
    def _many(self) -> str:
        return " x ".join(map(str, self.positions))

    def labels(self, values: np.ndarray) -> np.ndarray:
        """(n, *positions), of the smallest type that holds them."""
        if self.axis is not None:
            return values.argmax(self.axis).astype(np.min_scalar_type(self.count or 0)).reshape(len(values), *self.positions)
        rows = values.reshape(len(values), *self.positions)
        return rows if self.threshold is None else (rows >= np.float32(self.threshold)).astype(np.uint8)

    def refusal(self) -> UsageError:
        """For who needs one label per sample."""
        return UsageError(f"output {self.output!r}", f"labels of {self._many} positions per sample", "one label per sample")
