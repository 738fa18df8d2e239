"""ReduceMean, ReduceSum, ReduceL1 of what is not negative, and ReduceMax, over any axes; pools over all positions are two of them.

1. Means and sums where the channels stay                        -> average pools over the axes as the population has them.
   Over channels, or in another order                             -> a map between neurons.
2. ReduceMax of spikes                                            -> the earliest of each group, encoded anew where ranges differ in it.
   ReduceMax of pre-activations, in the order of the population   -> waits for the activation, as max-pools do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ...network.per_channel import compact
from ...network.records import Shape
from ...network.synapses.average_pool import AveragePool
from ...onnx_model.node import Node
from ..builder import Builder, UnsupportedNode
from ..values import Geometry, Potential, Spikes, flat_index
from .affine import affine
from .linear_map import map_axes, population_axes, population_shape, seen_as
from .pooling import average, averaged, pools_by_part


def lower_global_average_pool(node: Node, builder: Builder) -> None:
    value = builder.data(node)
    builder.values[node.outputs[0]] = averaged(_mean(value, _positions(value), node, builder), node, builder)


def lower_global_max_pool(node: Node, builder: Builder) -> None:
    value = builder.data(node)
    builder.values[node.outputs[0]] = _largest(value, _positions(value), node, builder)


def _positions(value: Spikes | Potential) -> tuple[int, ...]:
    return tuple(range(2, value.index.ndim))


def lower_reduce_mean(node: Node, builder: Builder) -> None:
    _lower(node, builder, _mean)


def lower_reduce_sum(node: Node, builder: Builder) -> None:
    _lower(node, builder, _sum)


def lower_reduce_l1(node: Node, builder: Builder) -> None:
    """A sum, of values that are not negative."""
    if builder.data(node).bounds[0].min() < 0:
        raise UnsupportedNode("it sums absolute values, and some may be negative", "write it as Abs, then ReduceSum")
    _lower(node, builder, _sum)


def lower_reduce_max(node: Node, builder: Builder) -> None:
    _lower(node, builder, _largest)


def _lower(node: Node, builder: Builder, reduced: Callable[[Spikes | Potential, tuple[int, ...], Node, Builder], Spikes | Potential]) -> None:
    """reduced(value, axes, node, builder): over the axes, which stay with a size of 1."""
    value = builder.data(node)
    rank = value.index.ndim
    given = builder.constant(node, 1, "axes", node.attributes.get("axes"))
    axes = tuple(sorted({int(axis) % rank for axis in given})) if given is not None and len(given) else tuple(range(rank))
    if (given is None or not len(given)) and node.attributes.get("noop_with_empty_axes", 0):
        builder.values[node.outputs[0]] = value
        return
    over = tuple(axis for axis in axes if value.index.shape[axis] > 1)
    result = reduced(value, over, node, builder) if over else value
    if isinstance(result, Potential) and reduced is not _largest and over:
        result = averaged(result, node, builder)
    if not node.attributes.get("keepdims", 1):
        result = replace(result, index=result.index.reshape([size for axis, size in enumerate(result.index.shape) if axis not in axes]))
    builder.values[node.outputs[0]] = result


def _mean(value: Spikes | Potential, axes: tuple[int, ...], node: Node, builder: Builder) -> Potential:
    windows = _windows(value, axes)
    if windows is None:
        from scipy.sparse import csr_matrix

        return map_axes(value, {axis: csr_matrix(np.full((1, value.index.shape[axis]), 1 / value.index.shape[axis])) for axis in axes}, node, builder)
    geometries, index = windows
    steps = tuple(AveragePool(**geometry, include_pad=False) for geometry in geometries)
    return average(value, steps, flat_index(steps[0].in_shape), index, node, builder)


def _sum(value: Spikes | Potential, axes: tuple[int, ...], node: Node, builder: Builder) -> Spikes | Potential:
    count = math.prod(value.index.shape[axis] for axis in axes)
    return affine(_mean(value, axes, node, builder), np.full((), float(count)), np.zeros(()), node, builder)


def _windows(value: Spikes | Potential, axes: Sequence[int]) -> tuple[list[Geometry], np.ndarray] | None:
    """Geometries of windows over the population that make up the reduction, one for each run of axes that it has side by side, and the
    index of the result; None where channels are reduced or the tensor does not show the population in its order."""
    order = population_axes(value)
    if not order or order[-1] in axes:
        return None
    sizes, geometries = [value.index.shape[axis] for axis in order], []
    channels = sizes[-1]
    for place, axis in enumerate(order):
        if axis not in axes or (place and order[place - 1] in axes):
            continue
        end = next(later for later in range(place, len(order)) if order[later] not in axes)
        before, window, after = (math.prod(part) for part in (sizes[:place], sizes[place:end], sizes[end:]))
        sizes[place:end] = [1] * (end - place)
        geometries.append(_window(before, window, after, channels))
    return geometries, flat_index(tuple(sizes)).transpose(np.argsort(order)).reshape(_kept_shape(value, axes))


def _kept_shape(value: Spikes | Potential, axes: Sequence[int]) -> list[int]:
    """Of the tensor, the reduced axes with a size of 1."""
    return [1 if axis in axes else size for axis, size in enumerate(value.index.shape)]


def _window(before: int, size: int, after: int, channels: int) -> Geometry:
    """One over `size` of positions (before, size, after); with the channels last where two axes of positions can say so."""
    if before == 1:
        in_shape, kernel = ((size, channels), (size,)) if after == channels else ((size, after // channels, channels), (size, 1))
    else:
        in_shape, kernel = (before, size, after), (1, size)
    axes = len(kernel)
    return {
        "in_shape": in_shape,
        "out_shape": (*(n // k for n, k in zip(in_shape, kernel)), in_shape[-1]),
        "kernel": kernel,
        "strides": kernel,
        "dilations": (1,) * axes,
        "pads": (0,) * axes,
        "pads_end": (0,) * axes,
    }


def _largest(value: Spikes | Potential, axes: tuple[int, ...], node: Node, builder: Builder) -> Spikes | Potential:
    potential = value if isinstance(value, Potential) and not value.pooled_only else None
    windows = _windows(value, axes)
    if windows and len({geometry["in_shape"][-1] for geometry in windows[0]}) == 1:
        geometries, index = windows
        shape = geometries[0]["in_shape"]
        if isinstance(value, Potential) and value.shape[-1] == shape[-1] and pools_by_part(value, flat_index(shape)):
            for number, geometry in enumerate(geometries, 1):
                shown = index if number == len(geometries) else flat_index((1, *geometry["out_shape"]))
                value = builder.max_pool_of_parts(value, node, geometry, shown)
            return value
        if potential is not None and population_shape(potential)[-1] == shape[-1]:
            return replace(potential, index=index, max_pools=(*potential.max_pools, *geometries))
        spikes = builder.relaid(builder.sent(value, node), flat_index(shape))
        if spikes.scale.ndim == 1 and spikes.offset.ndim == 1 and (spikes.scale >= 0).all():
            for number, geometry in enumerate(geometries, 1):
                shown = index if number == len(geometries) else flat_index((1, *geometry["out_shape"]))
                spikes = builder.max_pool(spikes, node, geometry, shown)
            return spikes
    elif potential is not None and not potential.max_pools and (view := _group_view(potential, axes)) is not None:
        shape, index = view
        bounds = tuple(fold(end).reshape(1) for fold, end in zip((np.min, np.max), potential.bounds))  # neurons of a group share one range
        return replace(seen_as(potential, shape), index=index, bounds=bounds, max_pools=(_window(shape[0], shape[1], 1, 1),))
    return _largest_of_groups(value, axes, node, builder)


def _group_view(value: Potential, axes: Sequence[int]) -> tuple[Shape, np.ndarray] | None:
    """The population as (groups, members, 1), if members of a group lie side by side in it; and the index of the groups."""
    order = population_axes(value)
    if not order or any(axis in axes for axis in order[: -len(axes)]):
        return None
    sizes = [value.index.shape[axis] for axis in order]
    groups, members = math.prod(sizes[: -len(axes)]), math.prod(sizes[-len(axes) :])
    return (groups, members, 1), flat_index((*sizes[: -len(axes)], *(1,) * len(axes))).transpose(np.argsort(order)).reshape(_kept_shape(value, axes))


def _largest_of_groups(value: Spikes | Potential, axes: Sequence[int], node: Node, builder: Builder) -> Spikes:
    """Members of each group one behind another: (members, groups), with one range for each group."""
    spikes = builder.sent(value, node)
    kept = [axis for axis in range(spikes.index.ndim) if axis not in axes]
    sizes = spikes.index.shape
    members, groups = (math.prod(sizes[axis] for axis in some) for some in (axes, kept))
    turned = [*axes, *kept]
    order = spikes.index.transpose(turned).reshape(members, groups)
    ordered = builder.relaid(spikes, order)
    if not (ordered.scale.ndim == 1 and ordered.offset.ndim == 1 and (ordered.scale >= 0).all()):
        low, high = (np.broadcast_to(end, (members, groups)) for end in ordered.bounds)
        place = flat_index((members, groups)).reshape([sizes[axis] for axis in turned]).transpose(np.argsort(turned))
        again = replace(builder.potential(ordered, node.name), index=place, bounds=(low.min(0), high.max(0)))
        ordered = builder.fire(again, node.inputs[0])
    index = flat_index((groups,)).reshape(_kept_shape(spikes, axes))
    return builder.max_pool(
        replace(
            ordered, scale=compact(np.broadcast_to(ordered.scale, ordered.shape)), offset=compact(np.broadcast_to(ordered.offset, ordered.shape))
        ),
        node,
        _window(1, members, groups, groups),
        index,
    )
