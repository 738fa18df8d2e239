"""Sparse: any linear map between positions, the same for every channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from ...kernels.sparse_rows import sparse
from ..records import FloatArray, IndexArray, Shape, require
from .kind import SynapseKind, WeightedKind

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from typing_extensions import Self

    from ...kernels.blocking import Weights


class Sparse(WeightedKind):
    """V0[o, c] = sum_p w[o, p] a[p, c]: any linear map between positions, the same for every channel; with one channel, between neurons.

    Row o of w is weights[indptr[o]:indptr[o + 1]] at the input positions indices[indptr[o]:indptr[o + 1]]; an empty row is a 0. Its
    weights are fixed by the graph (interpolation, selection, sums), as an average pool's are, and not trained.
    """

    keeps_channels: ClassVar[bool] = True
    sums_by_position: ClassVar[bool] = True

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
        return np.repeat(np.arange(self.out_shape[0], dtype=np.int64), np.diff(self.indptr))

    @property
    def is_between_neurons(self) -> bool:
        """Whether every neuron has synapses of its own."""
        return self.in_shape[1] == 1

    @property
    def selects(self) -> bool:
        """Whether no output reads more than one input."""
        return bool((np.diff(self.indptr) < 2).all())

    def apply(self, activations: np.ndarray) -> np.ndarray:
        rows = self.rows
        return np.stack([np.bincount(rows, self.weights * channel[self.indices], self.out_shape[0]) for channel in activations.T], axis=-1)

    def add(self, activations: np.ndarray, potentials: np.ndarray, layout: Weights | None = None, dense: bool = False) -> None:
        sparse(activations, self.indptr, self.indices, self.weights, potentials.reshape(len(activations), *self.out_shape))

    def gain(self) -> tuple[float, int]:
        if not self.indices.size:
            return 0.0, 0
        return float(np.bincount(self.rows, np.abs(self.weights)).max()), int(np.diff(self.indptr).max())

    def scaled_outputs(self, factors: np.ndarray, shape: Shape) -> Self | None:
        return self.with_weights(self.weights * np.broadcast_to(factors, shape).reshape(-1)[self.rows]) if self.is_between_neurons else None

    def scaled_inputs(self, factors: np.ndarray, shape: Shape) -> Self | None:
        return self.with_weights(self.weights * np.broadcast_to(factors, shape).reshape(-1)[self.indices]) if self.is_between_neurons else None

    def merged_with(self, before: SynapseKind) -> Sparse | None:
        """A selection among what another sparse map gives is one map, if both are between neurons."""
        if not (isinstance(before, Sparse) and before.is_between_neurons and self.is_between_neurons and self.selects):
            return None
        chosen = np.zeros(self.out_shape[0], np.int64)
        filled = np.diff(self.indptr) == 1
        chosen[filled] = self.indices
        counts = np.where(filled, np.diff(before.indptr)[chosen], 0)
        indptr = np.concatenate([[0], np.cumsum(counts)])
        place = np.arange(indptr[-1], dtype=np.int64) - np.repeat(indptr[:-1] - before.indptr[chosen], counts)
        factor = np.zeros(len(chosen), np.float32)
        factor[filled] = self.weights
        return Sparse(
            in_shape=before.in_shape,
            out_shape=self.out_shape,
            indptr=indptr,
            indices=before.indices[place],
            weights=before.weights[place] * np.repeat(factor, counts),
        )

    def synapses(self, virtual: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        channels = np.arange(self.in_shape[1], dtype=np.int64)
        target, source = (np.add.outer(position * channels.size, channels).reshape(-1) for position in (self.rows, self.indices))
        return target, source, np.repeat(self.weights, channels.size)

    def between_positions(self, padded: bool = False) -> csr_matrix:
        from scipy.sparse import csr_matrix

        entries = np.ones(self.indices.size, bool), self.indices, self.indptr
        return csr_matrix(entries, shape=(self.out_shape[0], self.in_shape[0])).T.tocsr()

    def reached_positions(self) -> np.ndarray:
        return np.bincount(self.indices, minlength=self.in_shape[0])
