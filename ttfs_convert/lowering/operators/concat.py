"""Concat: populations side by side, each channel with its own range. Spikes of earlier windows wait in delay lines."""

from __future__ import annotations

import math

import numpy as np

from ...network.per_channel import compact
from ...onnx_model.node import Node
from ..builder import Builder
from ..sums_of_trains import spike_trains
from ..unsupported import UnsupportedNode
from ..values import Potential, Spikes, channels_first
from .sliding_geometry import image_index


def lower_concat(node: Node, builder: Builder) -> None:
    """Computed tensors side by side along any axis."""
    values = [value for value in builder.inputs(node) if isinstance(value, (Spikes, Potential))]
    if len(values) < len(node.inputs):
        raise UnsupportedNode("a part of it is a constant", "concatenate computed tensors only")
    trains = [spike_trains(value) or [] for value in values]
    if {len(each) for each in trains} == {2}:  # both halves of an activation with two slopes
        joined = [_joined(list(parts), node, builder) for parts in zip(*trains)]
        builder.values[node.outputs[0]] = builder.sum_of(joined, values, node.name)
    else:
        builder.values[node.outputs[0]] = _joined([builder.sent(value, node, position) for position, value in enumerate(values)], node, builder)


def _joined(parts: list[Spikes], node: Node, builder: Builder) -> Spikes:
    axis = node.attributes["axis"] % parts[0].index.ndim
    by_channel = axis == 1 and parts[0].index.ndim > 2 and len(parts[0].index) == 1
    return _channels(node, builder, parts) if by_channel else _flat(node, builder, parts, axis)


def _channels(node: Node, builder: Builder, parts: list[Spikes]) -> Spikes:
    """Channels first in ONNX, channels last here: at each position the parts' channels one after another."""
    parts = [builder.relaid(part, image_index(part)) for part in parts]
    shape = (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts))
    source = builder.concat(node.name, [part.source for part in parts], shape)
    shapes = [part.shape for part in parts]
    scale, offset = _side_by_side([part.scale for part in parts], shapes), _side_by_side([part.offset for part in parts], shapes)
    return Spikes(source, channels_first(shape), shape, scale, offset)


def _flat(node: Node, builder: Builder, parts: list[Spikes], axis: int) -> Spikes:
    """Any other axis: whole populations end to end, seen through the parts' indices."""
    sizes = [math.prod(part.shape) for part in parts]
    starts = np.cumsum([0, *sizes[:-1]], dtype=np.int64)
    source = builder.concat(node.name, [part.source for part in parts], (sum(sizes),))
    index = np.concatenate([part.index + start for part, start in zip(parts, starts)], axis)
    scale = np.concatenate([np.broadcast_to(part.scale, part.shape).reshape(-1) for part in parts])
    offset = np.concatenate([np.broadcast_to(part.offset, part.shape).reshape(-1) for part in parts])
    return Spikes(source, index, (sum(sizes),), scale, offset)


def _side_by_side(arrays: list[np.ndarray], shapes: list[tuple[int, ...]]) -> np.ndarray:
    if all(array.ndim == 1 for array in arrays):
        return np.concatenate([np.broadcast_to(array, shape[-1:]) for array, shape in zip(arrays, shapes)])
    return compact(np.concatenate([np.broadcast_to(array, shape) for array, shape in zip(arrays, shapes)], -1))
