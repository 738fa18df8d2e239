"""Sparse maps between positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import model_validator

from ..records import FloatArray, IndexArray, Record, Shape, require

if TYPE_CHECKING:
    from typing_extensions import Self


class Sparse(Record):
    """V0[o, c] = sum_p w[o, p] a[p, c]: any linear map between positions, the same for every channel; with one channel, between neurons.

    Row o of w is weights[indptr[o]:indptr[o + 1]] at the input positions indices[indptr[o]:indptr[o + 1]]; an empty row is a 0. Its
    weights are fixed by the graph (interpolation, selection, sums), as an average pool's are, and not trained.
    """

    kind: Literal["sparse"] = "sparse"
    in_shape: Shape  # (positions, channels)
    out_shape: Shape  # (positions out, channels)
    indptr: IndexArray  # (positions out + 1,) int64
    indices: IndexArray  # (synapses,) int64: input positions, at most once in a row
    weights: FloatArray  # (synapses,) float32

    @model_validator(mode="after")
    def _fits(self) -> Self:
        require(
            len(self.in_shape) == len(self.out_shape) == 2 and self.in_shape[1] == self.out_shape[1],
            f"a sparse map from {self.in_shape} to {self.out_shape}",
        )
        start, size = self.indptr, self.indices.size
        require(
            start.shape == (self.out_shape[0] + 1,) and start[0] == 0 and start[-1] == size and bool((start[1:] >= start[:-1]).all()),
            "rows that do not begin where the last one ends",
        )
        require(self.indices.shape == self.weights.shape == (size,), f"{size} indices for weights of shape {self.weights.shape}")
        require(size == 0 or (self.indices.min() >= 0 and self.indices.max() < self.in_shape[0]), "indices outside the input")
        keys = np.sort(self.rows * self.in_shape[0] + self.indices)
        require(bool((keys[1:] != keys[:-1]).all()), "an input twice in one row")
        return self

    @property
    def rows(self) -> np.ndarray:
        """(synapses,) int64: the output position of each."""
        return np.repeat(np.arange(self.out_shape[0]), np.diff(self.indptr))
