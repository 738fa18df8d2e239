"""AveragePool is synapses of weight 1/n; MaxPool is the earliest spike. Pools over everything are reductions (`reduction.py`).

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

from ...network.synapses.average_pool import AveragePool
from ...network.synapses.chains import Linear
from ...network.synapses.scale import Scale
from ...onnx_model.node import Node
from ..builder import Builder, UnsupportedNode
from ..values import Potential, Spikes, is_flat_order
from .sliding_geometry import image_index, image_order, sliding


def _kernel(node: Node) -> tuple[int, ...]:
    kernel = tuple(node.attributes["kernel_shape"])
    if len(kernel) > 2:
        raise UnsupportedNode(f"a {len(kernel)}-D pool", "use 1-D or 2-D pools")
    return kernel


def lower_average_pool(node: Node, builder: Builder) -> None:
    value = builder.data(node)
    shape = image_index(value).shape
    step = AveragePool(**sliding(node, shape, shape[-1], _kernel(node)), include_pad=bool(node.attributes.get("count_include_pad", 0)))
    pooled = average(value, (step,), image_index(value), image_order(step.out_shape, value.index.ndim), node, builder)
    builder.values[node.outputs[0]] = averaged(pooled, node, builder)


def average(
    value: Potential | Spikes, steps: tuple[AveragePool, ...], order: np.ndarray, index: np.ndarray, node: Node, builder: Builder
) -> Potential:
    """`value`, read in `order`, through `steps`; `index`: of the result."""
    if isinstance(value, Potential) and not value.pooled_only:
        with contextlib.suppress(UnsupportedNode):
            return replace(_average_of_potential(value, steps, order, builder), index=index)
        value = builder.spikes(value, node)
    return replace(builder.synapses(value, node, steps, order), pooled_only=True, bounds=average_bounds(value, steps), index=index)


def averaged(pooled: Potential, node: Node, builder: Builder) -> Potential | Spikes:
    """An average as the option `pooling` has it: neurons with a window, or part of the next layer's synapses."""
    return builder.fire(pooled, node.outputs[0]) if builder.pooling == "spiking" and pooled.pooled_only else pooled


def average_bounds(value: Potential | Spikes, steps: tuple[AveragePool, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Per channel where the value's are; a padded tap that counts is a 0."""
    channels = {value.shape[-1:], *(step.in_shape[-1:] for step in steps), *(end.shape for end in value.bounds)}
    lowest, highest = value.bounds if len(channels) == 1 else (np.full(1, value.bounds[0].min()), np.full(1, value.bounds[1].max()))
    padded = any(step.include_pad and (any(step.pads) or any(step.pads_end)) for step in steps)
    return (np.minimum(lowest, 0), np.maximum(highest, 0)) if padded else (lowest, highest)


def _average_of_potential(value: Potential, steps: tuple[AveragePool, ...], order: np.ndarray, builder: Builder) -> Potential:
    padded = any(step.include_pad and (any(step.pads) or any(step.pads_end)) for step in steps)
    if value.max_pools or not is_flat_order(order, math.prod(value.shape)) or (padded and builder.slope != "gated"):
        raise UnsupportedNode("a padded or rearranged average of pre-activations", "pool behind the activation, or without padding")
    try:
        pooled = [Linear(each.source, each.path, value.shape, np.zeros(1)).through(steps) for each in value.connections]
    except ValueError as error:
        raise UnsupportedNode(f"an average of pre-activations whose {error}", "pool behind the activation") from None
    offset = Linear("", (), value.shape, value.bias).through(steps).offset
    return replace(
        value, connections=tuple(each.connection for each in pooled), bias=offset, shape=steps[-1].out_shape, bounds=average_bounds(value, steps)
    )


def lower_max_pool(node: Node, builder: Builder) -> None:
    if any(node.outputs[1:2]):
        raise UnsupportedNode("its indices are used", "use a max-pool without indices")
    kernel, value = _kernel(node), builder.data(node)
    index = image_index(value)
    geometry = sliding(node, index.shape, index.shape[-1], kernel)
    out_index = image_order(geometry["out_shape"], value.index.ndim)
    if isinstance(value, Potential) and pools_by_part(value, index):
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


def pools_by_part(value: Potential, index: np.ndarray) -> bool:
    """Whether the maxima of `value`, read in the order of `index`, are the sum of its spike trains' maxima."""
    return (
        value.comonotone
        and is_flat_order(index, math.prod(value.shape))
        and value.bias.ndim == 1
        and all(not each.path or _is_positive_scale(each.path) for each in value.connections)
    )


def _is_positive_scale(path: tuple) -> bool:
    return len(path) == 1 and isinstance(path[0], Scale) and path[0].weights.ndim == 1 and bool((path[0].weights >= 0).all())
