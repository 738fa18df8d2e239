"""Pad.

1. reflect, edge, wrap  -> wiring (`shape.py`).
2. constant c           -> the tensor less c, with elements that are 0, plus c again. Around the positions of spikes these are virtual
   neurons (an average over one tap), as a convolution's padding is; along other axes, and of pre-activations, they are no neurons at all.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...network.synapses.average_pool import AveragePool
from ...onnx_model.node import Node
from ..builder import Builder, UnsupportedNode
from ..values import Potential, Spikes
from .affine import affine
from .linear_map import map_axes, population_axes, selection
from .pooling import average_bounds
from .rearrange import lower_moved
from .sliding_geometry import image_index, image_order


def lower_pad(node: Node, builder: Builder) -> None:
    if node.attributes.get("mode", "constant") != "constant":
        lower_moved(node, builder)
        return
    value = builder.data(node)
    before, after = _pads(node, builder, value.index.ndim)
    if (before[0] or after[0]) and len(value.index) == 1:
        raise UnsupportedNode("it pads axes [0], the batch", "pad other axes")
    constant = builder.constant(node, 2, "value", np.asarray(node.attributes.get("value", 0.0), np.float32)).astype(np.float64)
    if not np.isfinite(constant).all():
        raise UnsupportedNode("it pads with a value that is not finite", "pad with a number; in front of a max-pool: its own padding")
    if constant.any():
        if isinstance(value, Potential) and (value.max_pools or value.pooled_only):
            value = builder.spikes(value, node)  # under the name of their tensor, before they are shifted
        value = affine(value, np.ones(()), -constant, node, builder)
    padded = _padded(value, before, after, node, builder)
    builder.values[node.outputs[0]] = affine(padded, np.ones(()), constant, node, builder) if constant.any() else padded


def _pads(node: Node, builder: Builder, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Elements to add before and after, per axis; negative ones crop."""
    pads = np.asarray(builder.constant(node, 1, "pads", node.attributes.get("pads", node.attributes.get("paddings"))), np.int64).reshape(-1)
    axes = builder.constant(node, 3, "axes", np.arange(rank, dtype=np.int64)) % rank
    before, after = np.zeros(rank, np.int64), np.zeros(rank, np.int64)
    before[axes], after[axes] = pads[: len(axes)], pads[len(axes) :]
    return before, after


def _padded(value: Spikes | Potential, before: np.ndarray, after: np.ndarray, node: Node, builder: Builder) -> Spikes | Potential:
    if not (before.any() or after.any()):
        return value
    natural = population_axes(value)
    channel = natural[-1] if natural else 1
    if isinstance(value, Spikes) and min(before.min(), after.min()) < 0:
        kept = tuple(slice(max(0, -b), size + min(0, a)) for b, a, size in zip(before, after, value.index.shape))
        value, before, after = replace(value, index=value.index[kept]), np.maximum(before, 0), np.maximum(after, 0)
        if not value.index.size:
            raise UnsupportedNode("it crops everything", "leave some elements")
    positional = (
        channel
        and not (before[channel] or after[channel] or before[0] or after[0])
        and min(before.min(), after.min()) >= 0
        and value.index.ndim in (3, 4)
    )
    if positional and (isinstance(value, Spikes) or value.pooled_only):
        turned = replace(value, index=np.moveaxis(value.index, channel, 1))
        padded = _with_virtual_neurons(turned, np.delete(before, (0, channel)), np.delete(after, (0, channel)), node, builder)
        return replace(padded, index=np.moveaxis(padded.index, 1, channel))
    matrices = {}
    for axis in map(int, np.flatnonzero((before != 0) | (after != 0))):
        size = value.index.shape[axis]
        chosen = np.arange(-before[axis], size + after[axis], dtype=np.int64)
        matrices[axis] = selection(np.where(chosen < size, chosen, -1), size)
    return map_axes(value, matrices, node, builder)


def _with_virtual_neurons(value: Spikes | Potential, before: np.ndarray, after: np.ndarray, node: Node, builder: Builder) -> Spikes | Potential:
    """value: (batch, channels, *positions)."""
    if not (before.any() or after.any()):
        return value
    order = image_index(value)
    before, after = (np.pad(pads, (order.ndim - 1 - len(pads), 0)) for pads in (before, after))  # none between images
    sizes = np.array(order.shape[:-1]) + before + after
    ones = (1,) * len(sizes)
    step = AveragePool(
        in_shape=order.shape,
        out_shape=(*map(int, sizes), order.shape[-1]),
        kernel=ones,
        strides=ones,
        dilations=ones,
        pads=tuple(map(int, before)),
        pads_end=tuple(map(int, after)),
        include_pad=True,
    )
    return replace(
        builder.synapses(value, node, step, order),
        index=image_order(step.out_shape, value.index.ndim),
        pooled_only=True,
        bounds=average_bounds(value, (step,)),
    )
