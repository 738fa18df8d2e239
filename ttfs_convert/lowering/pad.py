"""Pad.

1. reflect, edge, wrap  -> wiring (`shape.py`).
2. constant c           -> the tensor less c, with padding that contributes 0 (an average over one tap), plus c again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..synapses import AveragePool
from .affine import affine
from .builder import Builder, UnsupportedNode
from .geometry import image_index
from .pooling import average_bounds
from .shape import lower_moved
from .values import Node, Potential, Spikes, channels_first


def lower_pad(node: Node, builder: Builder) -> None:
    if node.attributes.get("mode", "constant") != "constant":
        lower_moved(node, builder)
        return
    value = builder.value(node.inputs[0])
    before, after = _pads(node, builder, value.index.ndim)
    constant = builder.constant(node, 2, "value", np.float32(node.attributes.get("value", 0.0)))
    if before[0] or after[0] or before[1] or after[1] or value.index.ndim not in (3, 4):
        raise UnsupportedNode(f"it pads axes {[axis for axis in range(len(before)) if before[axis] or after[axis]]}",
                              "pad the positions of (batch, channels, length) or (batch, channels, height, width)")
    shifted = affine(builder.spikes(value, node), np.ones(()), -constant.astype(np.float64), node, builder) if constant.any() else value
    padded = _with_zeros(_cropped(shifted, before, after, node, builder), np.maximum(before[2:], 0), np.maximum(after[2:], 0), node, builder)
    builder.values[node.outputs[0]] = affine(padded, np.ones(()), constant.astype(np.float64), node, builder) if constant.any() else padded


def _pads(node: Node, builder: Builder, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Elements to add before and after, per axis; negative ones crop."""
    pads = np.asarray(builder.constant(node, 1, "pads", node.attributes.get("pads")), np.int64)
    axes = builder.constant(node, 3, "axes", np.arange(rank, dtype=np.int64)) % rank
    before, after = np.zeros(rank, np.int64), np.zeros(rank, np.int64)
    before[axes], after[axes] = pads[:len(axes)], pads[len(axes):]
    return before, after


def _cropped(value: Spikes | Potential, before: np.ndarray, after: np.ndarray, node: Node, builder: Builder) -> Spikes | Potential:
    if (before >= 0).all() and (after >= 0).all():
        return value
    spikes = builder.spikes(value, node)
    return replace(spikes, index=spikes.index[tuple(slice(max(0, -b), size + min(0, a)) for b, a, size
                                                    in zip(before, after, spikes.index.shape))])


def _with_zeros(value: Spikes | Potential, before: np.ndarray, after: np.ndarray, node: Node, builder: Builder) -> Potential:
    order = image_index(value)
    sizes = np.array(order.shape[:-1]) + before + after
    ones = (1,) * len(sizes)
    step = AveragePool(in_shape=order.shape, out_shape=(*map(int, sizes), order.shape[-1]), kernel=ones, strides=ones, dilations=ones,
                       pads=tuple(map(int, before)), pads_end=tuple(map(int, after)), include_pad=True)
    bounds = average_bounds(value, step)
    return replace(builder.synapses(value, node, step, order), index=channels_first(step.out_shape), pooled_only=True, bounds=bounds)
