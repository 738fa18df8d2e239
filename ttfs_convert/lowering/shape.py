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


def _keeps_batch(kept: bool) -> None:
    if not kept:
        raise UnsupportedNode("it moves the batch axis", "leave axis 0 where it is")


def lower_identity(node: Node, builder: Builder) -> None:
    builder.values[node.outputs[0]] = builder.value(node.inputs[0])


def lower_flatten(node: Node, builder: Builder) -> None:
    index = _index(node, builder)
    axis = node.attributes.get("axis", 1)
    axis += index.ndim if axis < 0 else 0
    _keeps_batch(axis > 0)
    _apply(node, builder, index.reshape(int(np.prod(index.shape[:axis])), -1))


def lower_reshape(node: Node, builder: Builder) -> None:
    index = _index(node, builder)
    asked = [int(size) for size in builder.constant(node, 1, "shape")]
    if not node.attributes.get("allowzero", 0):
        asked = [index.shape[axis] if size == 0 else size for axis, size in enumerate(asked)]
    _apply(node, builder, index.reshape(asked))


def lower_transpose(node: Node, builder: Builder) -> None:
    index = _index(node, builder)
    order = node.attributes.get("perm", tuple(reversed(range(index.ndim))))
    _keeps_batch(order[0] == 0)
    _apply(node, builder, index.transpose(order))


def lower_squeeze(node: Node, builder: Builder) -> None:
    index, axes = _index(node, builder), _axes(node, builder)
    if axes is None:
        axes = tuple(axis for axis in range(1, index.ndim) if index.shape[axis] == 1)
    _keeps_batch(all(axis % index.ndim for axis in axes))
    _apply(node, builder, index.squeeze(axes))


def lower_unsqueeze(node: Node, builder: Builder) -> None:
    index, axes = _index(node, builder), _axes(node, builder)
    _keeps_batch(all(axis % (index.ndim + len(axes)) for axis in axes))
    _apply(node, builder, np.expand_dims(index, axes))


def _axes(node: Node, builder: Builder) -> tuple[int, ...] | None:
    """From the attribute (up to opset 12) or the second input; None squeezes every axis of size 1 but the batch."""
    axes = builder.constant(node, 1, "axes", node.attributes.get("axes"))
    return None if axes is None else tuple(int(axis) for axis in axes)
