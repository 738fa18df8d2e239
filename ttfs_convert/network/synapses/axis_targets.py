"""Which positions one position reaches along an axis, in closed form: every `spacing`-th of an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Targets:
    """Input position i (from the first padded one on, where these are counted) reaches the outputs first[i] + k spacing, k < count[i], of
    `size`."""

    first: np.ndarray  # (inputs,) int64
    count: np.ndarray  # (inputs,) int64
    spacing: int
    size: int

    @classmethod
    def of_window(cls, size: int, outputs: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int], padded: bool) -> Targets:
        """Output o reads input i if i + pad = o stride + k dilation with 0 <= k < kernel: solved for o, which gives every (dilation /
        gcd(stride, dilation))-th of an interval. pads: before and after; padded: whether these positions send too."""
        before, after = pads if padded else (0, 0)
        place = np.arange(-before, size + after, dtype=np.int64) + pads[0]
        common = math.gcd(stride, dilation)
        spacing = dilation // common
        low = np.maximum(0, -(((kernel - 1) * dilation - place) // stride))
        high = np.minimum(outputs - 1, place // stride)
        rest = place // common % spacing * pow(stride // common, -1, spacing) % spacing if spacing > 1 else 0
        first = low + (rest - low) % spacing
        count = np.where(place % common == 0, np.maximum(0, (high - first) // spacing + 1), 0)
        return cls(first, count, spacing, outputs)

    def dense(self) -> np.ndarray:
        """As `matrix`, (inputs, outputs) float32."""
        place = np.arange(self.size, dtype=np.int64) - self.first[:, None]
        return ((place >= 0) & (place % self.spacing == 0) & (place < self.count[:, None] * self.spacing)).astype(np.float32)

    def matrix(self) -> csr_matrix:
        """(inputs, outputs) bool."""
        from scipy.sparse import csr_matrix

        indptr = np.concatenate([[0], np.cumsum(self.count)])
        kind = np.int32 if max(indptr[-1], self.size) < 2**31 // 2 else np.int64
        indices = np.arange(indptr[-1], dtype=kind)
        indices *= kind(self.spacing)
        indices += np.repeat((self.first - indptr[:-1] * self.spacing).astype(kind), self.count)
        return csr_matrix((np.ones(indices.size, bool), indices, indptr.astype(kind)), shape=(len(self.count), self.size))


def product_of_axes(axes: Sequence[Targets]) -> csr_matrix:
    """(positions in, positions out) bool: what is reached along every axis."""
    from scipy.sparse import csr_matrix, kron

    return reduce(lambda one, other: csr_matrix(kron(one, other, "csr"), dtype=bool), [axis.matrix() for axis in axes])
