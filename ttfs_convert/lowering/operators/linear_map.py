"""Linear maps of tensors as sparse synapses: matrices along single axes, or one between all elements.

1. The channels stay, the tensor shows its population in order, no factor differs by position -> a map between positions, for all channels.
2. Anything else -> a map between neurons, which takes any order and any factors.
Of spikes it is the first step of the next layer's synapses, of a potential the last step of its own.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from ...network.per_channel import compact
from ...network.records import Shape
from ...network.synapses.chains import Linear
from ...network.synapses.sparse import Sparse
from ...onnx_model.node import Node
from ..builder import Builder
from ..unsupported import UnsupportedNode
from ..values import Potential, Spikes, flat_index, is_flat_order, same_index, without_batch

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SNAP = 1e-6  # sums of a row's weights this near to a whole number are one, which float32 has rounded


def population_axes(value: Spikes | Potential) -> tuple[int, ...] | None:
    """The tensor's axes but a batch of 1, in the order in which the population has them, its channels last; None where it shows it in no
    such order, or only a part of it."""
    index, first = value.index, _first_axis(value)
    origin = (0,) * index.ndim

    def stride(axis: int) -> float:
        return math.inf if index.shape[axis] == 1 else int(index[(*origin[:axis], 1, *origin[axis + 1 :])]) - int(index[origin])

    axes = tuple(sorted(range(first, index.ndim), key=stride, reverse=True))
    return axes if is_flat_order(index.transpose(*range(first), *axes), math.prod(population_shape(value))) else None


def _first_axis(value: Spikes | Potential) -> int:
    """Behind a batch of 1."""
    return int(value.index.shape[:1] == (1,))


def population_shape(value: Spikes | Potential) -> Shape:
    """Shape of the population that the tensor `value` shows: behind its waiting max-pools, if it has some."""
    return value.max_pools[-1]["out_shape"] if isinstance(value, Potential) and value.max_pools else value.shape


def map_axes(value: Spikes | Potential, matrices: Mapping[int, csr_matrix], node: Node, builder: Builder) -> Potential:
    """`value` with the tensor's axes multiplied by `matrices`, axis -> (size out, size in), one after another. Raises
    UnsupportedNode for one that changes a batch of 1, which is no axis of a sample."""
    if _first_axis(value) and 0 in matrices and matrices[0].toarray().tolist() != [[1]]:
        raise UnsupportedNode("it works across the samples of a batch", "work along other axes than the first")
    value = _without_pools(value, node, builder)
    axes = population_axes(value)
    sizes = [_rows(matrices[axis]) if axis in matrices else size for axis, size in enumerate(value.index.shape)]
    whole = [matrices[axis] if axis in matrices else _identity(size) for axis, size in enumerate(value.index.shape)]
    if axes and axes[-1] not in matrices and not (isinstance(value, Spikes) and value.scale.ndim > 1):
        matrix = reduce(_kron, [whole[axis] for axis in axes[:-1]], _identity(1))
        out, channels = tuple(sizes[axis] for axis in axes), sizes[axes[-1]]
        index = flat_index(out).transpose(np.argsort(axes)).reshape(sizes)
        shape = out if len(out) < 4 else (math.prod(out[:-1]), channels)
        with contextlib.suppress(ValueError):  # factors that differ by position
            return _through(
                value, matrix, flat_index((math.prod(value.index.shape[axis] for axis in axes[:-1]), channels)), shape, index, node, builder
            )
    matrix = reduce(_kron, whole[_first_axis(value) :])
    return map_elements(value, matrix, tuple(sizes), node, builder)


def _rows(matrix: csr_matrix) -> int:
    return len(matrix.indptr) - 1


def _identity(size: int) -> csr_matrix:
    from scipy.sparse import csr_matrix, identity

    return csr_matrix(identity(size, format="csr"))


def _kron(one: csr_matrix, other: csr_matrix) -> csr_matrix:
    from scipy.sparse import csr_matrix, kron

    return csr_matrix(kron(one, other, "csr"))


def map_elements(value: Spikes | Potential, matrix: csr_matrix, out_shape: Shape, node: Node, builder: Builder) -> Potential:
    """matrix: (elements out, elements in), of tensors of out_shape and of the value's, row by row."""
    from scipy.sparse import csr_matrix

    value = _without_pools(value, node, builder)
    size, entries = math.prod(population_shape(value)), matrix.tocoo()
    order = np.arange(math.prod(out_shape), dtype=np.int64).reshape(out_shape)
    order = without_batch(np.moveaxis(order, 1, -1) if order.ndim > 1 else order)
    place = np.empty(order.size, np.int64)
    place[order.reshape(-1)] = np.arange(order.size, dtype=np.int64)
    neurons = csr_matrix((entries.data, (place[entries.row], value.index.reshape(-1)[entries.col])), shape=(order.size, size))
    shape = order.shape if len(order.shape) < 4 else (math.prod(order.shape[:-1]), order.shape[-1])
    return _through(value, neurons, flat_index((size, 1)), shape, place.reshape(out_shape), node, builder)


def selection(chosen: np.ndarray, size: int) -> csr_matrix:
    """(len(chosen), size): row r is 1 at chosen[r], or empty where that is negative."""
    from scipy.sparse import csr_matrix

    filled = chosen >= 0
    return csr_matrix((np.ones(int(filled.sum())), chosen[filled], np.concatenate([[0], np.cumsum(filled)])), shape=(len(chosen), size))


def _through(
    value: Spikes | Potential, matrix: csr_matrix, order: np.ndarray, shape: Shape, index: np.ndarray, node: Node, builder: Builder
) -> Potential:
    """`value`, read in `order` (positions, channels), through `matrix`, in a population of `shape` that the result shows in `index`."""
    matrix.eliminate_zeros()
    matrix.sort_indices()
    channels = order.shape[1]
    step = Sparse(
        in_shape=order.shape,
        out_shape=(_rows(matrix), channels),
        indptr=matrix.indptr.astype(np.int64),
        indices=matrix.indices.astype(np.int64),
        weights=matrix.data.astype(np.float32),
    )
    bounds = tuple(each.reshape(shape) if each.ndim > 1 else each for each in _bounds(value, matrix, order.shape))
    if isinstance(value, Potential):
        result = replace(_of_potential(value, step), comonotone=False)
    else:
        result = replace(builder.synapses(value, node, step, order, builder.computed(node)[0]), pooled_only=True)
    return replace(seen_as(result, shape), index=index, bounds=bounds)


def _without_pools(value: Spikes | Potential, node: Node, builder: Builder) -> Spikes | Potential:
    """`value`, spike-coded where max-pools wait for its activation."""
    return builder.spikes(value, node, builder.computed(node)[0]) if isinstance(value, Potential) and value.max_pools else value


def _of_potential(value: Potential, step: Sparse) -> Potential:
    """Raises ValueError for factors that differ by position."""
    parts = [Linear(each.source, each.path, value.shape, np.zeros(1)).then(step) for each in value.connections]
    bias = Linear("", (), value.shape, value.bias).then(step).offset
    return replace(value, connections=tuple(each.connection for each in parts), bias=bias, shape=step.out_shape)


def seen_as(value: Potential, shape: Shape) -> Potential:
    """The same neurons in the same order, as a population of another shape; of its index and bounds nothing is changed."""
    return replace(
        value, shape=shape, bias=compact(np.broadcast_to(value.bias, value.shape).reshape(shape)) if value.bias.any() else np.zeros(shape[-1])
    )


def in_order_of(value: Potential, order: Potential) -> Potential:
    """`value` with equal places of the two tensors, which are of one shape, at equal places of the two populations: permuted if need be."""
    if not same_index(value.index, order.index):
        chosen = np.empty(order.index.size, np.int64)
        chosen[order.index.reshape(-1)] = value.index.reshape(-1)
        if not is_flat_order(chosen, chosen.size):  # else the same neurons in the same order, as tensors of other shapes
            value = _of_potential(
                value,
                Sparse(
                    in_shape=(chosen.size, 1),
                    out_shape=(chosen.size, 1),
                    indptr=np.arange(chosen.size + 1, dtype=np.int64),
                    indices=chosen,
                    weights=np.ones(chosen.size, np.float32),
                ),
            )
    return replace(value if value.shape == order.shape else seen_as(value, order.shape), index=order.index)


def _bounds(value: Spikes | Potential, matrix: csr_matrix, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value behind `matrix`: as few as `value` has them, or (positions, channels). shape: in front of it."""
    from scipy.sparse import csr_matrix

    positive, negative = csr_matrix(matrix.maximum(0)), csr_matrix(-matrix.minimum(0))
    for part in (positive, negative):
        part.eliminate_zeros()  # older versions of SciPy keep some, and 0 times an infinite end is no number
    lowest, highest = value.bounds
    if lowest.shape == highest.shape and lowest.shape in ((1,), shape[-1:]):
        sums = np.unique(np.stack([_snapped(part.sum(1)) for part in (positive, negative)]), axis=1)
        return (_weighted(sums[0], lowest) - _weighted(sums[1], highest)).min(0), (_weighted(sums[0], highest) - _weighted(sums[1], lowest)).max(0)
    low, high = (np.broadcast_to(end, population_shape(value)).reshape(shape) for end in (lowest, highest))
    return positive @ low - negative @ high, positive @ high - negative @ low


def _weighted(sums: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(rows, channels), where no weight leaves nothing of an infinite end."""
    with np.errstate(invalid="ignore"):
        return np.where(sums[:, None] == 0, 0, sums[:, None] * end)


def _snapped(sums: np.ndarray) -> np.ndarray:
    sums = np.asarray(sums, np.float64).reshape(-1)
    return np.where(np.abs(sums - np.rint(sums)) < SNAP, np.rint(sums), sums)
