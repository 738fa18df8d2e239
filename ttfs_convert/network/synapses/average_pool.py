"""Average pools as synapses of weight 1/n."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import model_validator

from ..records import require
from .sliding import Sliding

if TYPE_CHECKING:
    from typing_extensions import Self


class AveragePool(Sliding):
    """V0[y, c] = sum of the window's activations / its number of taps; padded taps count if `include_pad`."""

    kind: Literal["average_pool"] = "average_pool"
    include_pad: bool

    @model_validator(mode="after")
    def _keeps_channels(self) -> Self:
        require(self.in_shape[-1] == self.out_shape[-1], "an average pool that changes the channels")
        return self

    @property
    def divisor(self) -> np.ndarray:
        """(*spatial out) float32: how many taps each window averages."""
        counts = []
        for axis in range(len(self.kernel)):
            before, after = (self.pads[axis], self.pads_end[axis]) if self.include_pad else (0, 0)
            start = np.arange(self.out_shape[axis], dtype=np.int64)[:, None] * self.strides[axis] - self.pads[axis]
            position = start + np.arange(self.kernel[axis], dtype=np.int64) * self.dilations[axis]
            counts.append(((position >= -before) & (position < self.in_shape[axis] + after)).sum(1))
        return reduce(np.multiply.outer, counts).astype(np.float32)
