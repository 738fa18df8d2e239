"""Operators that move or rename elements: they act on the index arrays of `values.py` and leave no trace in the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .builder import Builder, UnsupportedNode
from .values import Constant, Node


def _apply(node: Node, builder: Builder, array: np.ndarray) -> None:
    value = builder.value(node.inputs[0])
    builder.values[node.outputs[0]] = replace(value, index=array)


def _index(node: Node, builder: Builder) -> np.ndarray:
    value = builder.value(node.inputs[0])
    if isinstance(value, Constant):
        raise UnsupportedNode("its data input is a constant", "fold constants before export")
    return value.index


def lower_identity(node: Node, builder: Builder) -> None:
    builder.values[node.outputs[0]] = builder.value(node.inputs[0])


def lower_flatten(node: Node, builder: Builder) -> None:
    index = _index(node, builder)
    axis = node.attributes.get("axis", 1)
    rows = int(np.prod(index.shape[:axis if axis >= 0 else axis + index.ndim]))
    _apply(node, builder, index.reshape(rows, -1))


def lower_reshape(node: Node, builder: Builder) -> None:
    index = _index(node, builder)
    asked = [int(size) for size in builder.constant(node, 1, "shape")]
    if not node.attributes.get("allowzero", 0):
        asked = [index.shape[axis] if size == 0 else size for axis, size in enumerate(asked)]
    _apply(node, builder, index.reshape(asked))


def lower_transpose(node: Node, builder: Builder) -> None:
    index = _index(node, builder)
    _apply(node, builder, index.transpose(node.attributes.get("perm", tuple(reversed(range(index.ndim))))))


def lower_squeeze(node: Node, builder: Builder) -> None:
    index, axes = _index(node, builder), _axes(node, builder)
    _apply(node, builder, index.squeeze(axes))


def lower_unsqueeze(node: Node, builder: Builder) -> None:
    _apply(node, builder, np.expand_dims(_index(node, builder), _axes(node, builder)))


def _axes(node: Node, builder: Builder) -> tuple[int, ...] | None:
    """From the attribute (up to opset 12) or the second input; None squeezes every axis of size 1."""
    axes = builder.constant(node, 1, "axes", node.attributes.get("axes"))
    return None if axes is None else tuple(int(axis) for axis in axes)
