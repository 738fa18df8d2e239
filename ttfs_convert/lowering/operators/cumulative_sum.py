"""CumSum: along one axis, a triangle of ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...onnx_model.node import Node
from ..builder import Builder
from ..unsupported import UnsupportedNode
from .affine import affine
from .linear_map import map_axes

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def lower_cumulative_sum(node: Node, builder: Builder) -> None:
    """y_i = sum_{j <= i} x_j along a constant axis; j < i if `exclusive`, from the other end if `reverse`."""
    value = builder.data(node)
    rank = value.index.ndim
    given = np.asarray(builder.constant(node, 1, "axis")).reshape(-1)
    if given.size != 1 or not -rank <= int(given[0]) < rank:
        raise UnsupportedNode(f"its axis is {given.tolist()}", f"one axis from {-rank} to {rank - 1}")
    axis = int(given[0]) % rank
    size, exclusive = value.index.shape[axis], bool(node.attributes.get("exclusive", 0))
    if size == 1:  # also a batch of 1, which is no axis to `map_axes`
        result = affine(value, np.zeros(()), np.zeros(()), node, builder) if exclusive else value
    else:
        result = map_axes(value, {axis: _triangle(size, exclusive, bool(node.attributes.get("reverse", 0)))}, node, builder)
    builder.values[node.outputs[0]] = result


def _triangle(size: int, exclusive: bool, reverse: bool) -> csr_matrix:
    """(size out, size in)"""
    from scipy.sparse import csr_matrix

    lower = np.tri(size, k=-int(exclusive))
    return csr_matrix(lower.T if reverse else lower)
