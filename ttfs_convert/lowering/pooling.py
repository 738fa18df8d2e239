"""AveragePool, GlobalAveragePool and ReduceMean are synapses of weight 1/n; MaxPool is the earliest spike.

1. AveragePool(spikes), pooling `synaptic` -> part of the next layer's synapses; pooling `spiking` -> neurons with a window.
2. AveragePool(potential) -> appended to its synapses: pooling is linear.
3. MaxPool(spikes) -> wiring, unless a negative factor has turned a channel's order round: then neurons come first.
4. MaxPool(potential) -> waits for the activation, which is monotone and so commutes with it.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace

import numpy as np

from ..synapses import AveragePool, Scale
from .builder import Builder, UnsupportedNode
from .geometry import image_index, image_order, sliding
from .linear import Linear
from .values import Node, Potential, Spikes, is_flat_order


def _kernel(node: Node) -> tuple[int, ...]:
    kernel = tuple(node.attributes["kernel_shape"])
    if len(kernel) > 2:
        raise UnsupportedNode(f"a {len(kernel)}-D pool", "use 1-D or 2-D pools")
    return kernel


def lower_average_pool(node: Node, builder: Builder) -> None:
    value = builder.value(node.inputs[0])
    shape = image_index(value).shape
    step = AveragePool(**sliding(node, shape, shape[-1], _kernel(node)), include_pad=bool(node.attributes.get("count_include_pad", 0)))
    builder.values[node.outputs[0]] = _average(value, step, node, builder)


def lower_global_average_pool(node: Node, builder: Builder) -> None:
    builder.values[node.outputs[0]] = _global_average(builder.value(node.inputs[0]), node, builder)


def lower_reduce_mean(node: Node, builder: Builder) -> None:
    """A global average pool: over all axes but the batch and the channels, which are the first or the last of the others."""
    value = builder.value(node.inputs[0])
    rank = value.index.ndim
    axes = builder.constant(node, 1, "axes", node.attributes.get("axes"))
    averaged = () if axes is None else tuple(sorted(int(axis) % rank for axis in axes))
    channel = {tuple(range(2, rank)): 1, tuple(range(1, rank - 1)): rank - 1}.get(averaged) if averaged else None
    if channel is None:
        raise UnsupportedNode(f"it averages over axes {averaged or 'all'} of {rank}", "average over all positions and nothing else")
    if channel != 1 and isinstance(value, Potential) and not value.pooled_only:
        value = builder.spikes(value, node)  # under the name of their tensor, before it is turned
    pooled = _global_average(replace(value, index=np.moveaxis(value.index, channel, 1)), node, builder)
    keep = node.attributes.get("keepdims", 1)
    shape = [1 if axis in averaged else size for axis, size in enumerate(value.index.shape) if keep or axis not in averaged]
    builder.values[node.outputs[0]] = replace(pooled, index=pooled.index.reshape(shape))


def _global_average(value: Potential | Spikes, node: Node, builder: Builder) -> Potential | Spikes:
    shape = image_index(value).shape
    plain = replace(node, attributes={})  # a ReduceMean's are no geometry
    return _average(value, AveragePool(**sliding(plain, shape, shape[-1], _positions(value)), include_pad=False), node, builder)


def _positions(value: Potential | Spikes) -> tuple[int, ...]:
    """The sizes of an image, as the kernel of a global pool."""
    if value.index.ndim > 4:
        raise UnsupportedNode(f"a {value.index.ndim - 2}-D pool", "use 1-D or 2-D pools")
    return value.index.shape[2:]


def _average(value: Potential | Spikes, step: AveragePool, node: Node, builder: Builder) -> Potential | Spikes:
    index = image_index(value)
    if isinstance(value, Potential) and not value.pooled_only:
        with contextlib.suppress(UnsupportedNode):
            return _average_of_potential(value, step, index, builder)
        value = builder.spikes(value, node)
    pooled = replace(builder.synapses(value, node, step, index), index=image_order(step.out_shape, value.index.ndim), pooled_only=True,
                     bounds=average_bounds(value, step))
    return builder.fire(pooled, node.outputs[0]) if builder.pooling == "spiking" else pooled


def average_bounds(value: Potential | Spikes, step: AveragePool) -> tuple[np.ndarray, np.ndarray]:
    """Per channel where the value's are; a padded tap that counts is a 0."""
    per_channel = all(end.shape == step.out_shape[-1:] for end in value.bounds) and value.shape[-1] == step.in_shape[-1]
    lowest, highest = value.bounds if per_channel else (np.full(1, value.bounds[0].min()), np.full(1, value.bounds[1].max()))
    padded = step.include_pad and (any(step.pads) or any(step.pads_end))
    return (np.minimum(lowest, 0), np.maximum(highest, 0)) if padded else (lowest, highest)


def _average_of_potential(value: Potential, step: AveragePool, index: np.ndarray, builder: Builder) -> Potential:
    padded = step.include_pad and (any(step.pads) or any(step.pads_end))
    if value.max_pools or not is_flat_order(index, math.prod(value.shape)) or (padded and builder.slope != "gated"):
        raise UnsupportedNode("a padded or rearranged average of pre-activations", "pool behind the activation, or without padding")
    try:
        pooled = [Linear(each.source, each.path, value.shape, np.zeros(1)).then(step) for each in value.connections]
    except ValueError as error:
        raise UnsupportedNode(f"an average of pre-activations whose {error}", "pool behind the activation") from None
    offset = Linear("", (), value.shape, value.bias).then(step).offset
    return replace(value, connections=tuple(each.connection for each in pooled), bias=offset, shape=step.out_shape,
                   index=image_order(step.out_shape, value.index.ndim), bounds=average_bounds(value, step))


def lower_max_pool(node: Node, builder: Builder) -> None:
    if len(node.outputs) > 1 and node.outputs[1]:
        raise UnsupportedNode("its indices are used", "use a max-pool without indices")
    _max(node, builder, _kernel(node))


def lower_global_max_pool(node: Node, builder: Builder) -> None:
    _max(node, builder, _positions(builder.value(node.inputs[0])))


def _max(node: Node, builder: Builder, kernel: tuple[int, ...]) -> None:
    value = builder.value(node.inputs[0])
    index = image_index(value)
    geometry = sliding(node, index.shape, index.shape[-1], kernel)
    out_index = image_order(geometry["out_shape"], value.index.ndim)
    if isinstance(value, Potential) and _pools_by_part(value, index):
        builder.values[node.outputs[0]] = builder.max_pool_of_parts(value, node, geometry, out_index)
        return
    if isinstance(value, Spikes) or value.pooled_only:
        spikes = builder.relaid(builder.sent(value, node), index)
        if spikes.scale.ndim == 1 and spikes.offset.ndim == 1 and (spikes.scale >= 0).all():
            builder.values[node.outputs[0]] = builder.max_pool(spikes, node, geometry, out_index)
            return
        value = replace(builder.potential(spikes, node.name), index=image_order(spikes.shape, value.index.ndim))  # upside down: neurons turn it round
        index = image_index(value)
    if not is_flat_order(index, math.prod(geometry["in_shape"])):  # pre-activations in another order
        ordered = builder.relaid(builder.spikes(value, node), index)
        builder.values[node.outputs[0]] = builder.max_pool(ordered, node, geometry, out_index)
        return
    builder.values[node.outputs[0]] = replace(value, index=out_index, max_pools=(*value.max_pools, geometry))


def _pools_by_part(value: Potential, index: np.ndarray) -> bool:
    """Whether the maxima of `value`, read in the order of `index`, are the sum of its spike trains' maxima."""
    return (value.comonotone and is_flat_order(index, math.prod(value.shape)) and value.bias.ndim == 1
            and all(not each.path or _is_positive_scale(each.path) for each in value.connections))


def _is_positive_scale(path: tuple) -> bool:
    return len(path) == 1 and isinstance(path[0], Scale) and path[0].weights.ndim == 1 and bool((path[0].weights >= 0).all())
