"""Clamps, in all their spellings: the neurons. What a spike time carries is a clamp to the layer's range; ReLU1 = Clip(0, 1) is the paper's.

1. Relu, Clip, HardSigmoid, Max(x, c), Min(x, c), Where(x > c, x, c) -> clamp to [low, high].
2. A clamp that only another clamp reads waits for it: Min(Relu(x), 6) is one layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from ...onnx_model.node import Node
from ..builder import Builder
from ..unsupported import UnsupportedNode
from ..values import Compared, Constant, Geometry, Potential, Spikes, Value
from .add import Term, weighted_sum
from .affine import affine

CLAMPS = ("Clip", "Max", "Min", "Relu", "Where")
COMPARISONS = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual")


def lower_relu(node: Node, builder: Builder) -> None:
    """max(x, 0)."""
    clamp(builder.data(node), node, builder, 0.0, math.inf)


def lower_clip(node: Node, builder: Builder) -> None:
    """min(max(x, minimum), maximum); until opset 10 both are attributes."""
    low = builder.constant(node, 1, "minimum", np.float32(node.attributes.get("min", -math.inf)))
    high = builder.constant(node, 2, "maximum", np.float32(node.attributes.get("max", math.inf)))
    clamp(builder.data(node), node, builder, float(low), float(high))


def lower_hard_sigmoid(node: Node, builder: Builder) -> None:
    """max(0, min(1, alpha x + beta))."""
    factor, shift = (np.full((), node.attributes.get(name, default), np.float64) for name, default in (("alpha", 0.2), ("beta", 0.5)))
    clamp(affine(builder.data(node), factor, shift, node, builder), node, builder, 0.0, 1.0)


def lower_max(node: Node, builder: Builder) -> None:
    """With constants, a minimum; of several spike trains, the earliest spike."""
    constant, values = _split(node, builder)
    if len(values) > 1:
        if constant is not None:
            raise UnsupportedNode("it compares several tensors and a constant", "clamp before or behind it")
        builder.values[node.outputs[0]] = _largest(
            [builder.sent(value, node, position) for position, value in enumerate(builder.inputs(node))], node, builder
        )
    else:
        clamp(values[0], node, builder, -math.inf if constant is None else constant, math.inf)


def lower_min(node: Node, builder: Builder) -> None:
    """With constants, a maximum."""
    constant, values = _split(node, builder)
    if len(values) > 1:
        raise UnsupportedNode("the latest of several spikes", "use Max; -Max(-a, -b) is Min(a, b)")
    clamp(values[0], node, builder, -math.inf, math.inf if constant is None else constant)


def lower_comparison(node: Node, builder: Builder) -> None:
    """x > c and its like, for Where alone: at equality both of Where's branches are c, so that >= is the same."""
    first, second = builder.inputs(node)
    swapped = isinstance(first, Constant)
    threshold = _scalar(first if swapped else second)
    if isinstance(second, Constant) == swapped or threshold is None:
        raise UnsupportedNode("it compares other than a tensor with one constant", "use Clip")
    larger = node.operator.startswith("Greater") != swapped
    builder.values[node.outputs[0]] = Compared(node.inputs[1] if swapped else node.inputs[0], larger, threshold)


def lower_where(node: Node, builder: Builder) -> None:
    """Where(x > c, x, c) = max(x, c), Where(x > c, c, x) = min(x, c), and the same with x < c; of a constant condition, elements of either."""
    condition, *branches = builder.inputs(node)
    if isinstance(condition, Constant):
        builder.values[node.outputs[0]] = _chosen(condition.array.astype(bool), branches, node, builder)
        return
    if isinstance(condition, Compared):
        for position, (chosen, other) in enumerate((branches, branches[::-1]), 1):
            if node.inputs[position] == condition.tensor and _scalar(other) == condition.threshold:
                low, high = (condition.threshold, math.inf) if condition.larger == (position == 1) else (-math.inf, condition.threshold)
                clamp(chosen, node, builder, low, high)
                return
    raise UnsupportedNode("it is no clamp: it jumps or chooses between tensors", "use Clip")


def _chosen(first: np.ndarray, branches: Sequence[Value | None], node: Node, builder: Builder) -> Spikes | Potential:
    """Elements of the first branch where `first` is true, else of the second."""
    terms, shift = [], np.zeros(())
    for position, (branch, mask) in enumerate(zip(branches, (first, ~first)), 1):
        if isinstance(branch, Constant):
            shift = np.where(mask, branch.array.astype(np.float64), 0)
        else:
            terms.append((branch, mask, position))
    if not np.isfinite(shift).all():
        raise UnsupportedNode("it masks with a value that is not finite", "mask with a number")
    if len(terms) < 2:
        ((branch, mask, position),) = terms
        return affine(branch, mask.astype(np.float64), shift, node, builder, position)
    parts = [Term(affine(branch, mask.astype(np.float64), np.zeros(()), node, builder, position), 1.0, position) for branch, mask, position in terms]
    return weighted_sum(parts, node, builder)


def _split(node: Node, builder: Builder) -> tuple[float | None, list[Value | None]]:
    """The constant input, None without one, and the computed ones."""
    values = builder.inputs(node)
    given = [value for value in values if isinstance(value, Constant)]
    constants = [scalar for scalar in map(_scalar, given) if scalar is not None]
    if len(constants) < len(given) or len(given) == len(values):
        raise UnsupportedNode("its constant differs by element", "write Max(x, k) as Relu(x - k) + k")
    fold = max if node.operator == "Max" else min
    return fold(constants, default=None), [value for value in values if not isinstance(value, Constant)]


def _scalar(value: Value | None) -> float | None:
    """The one number that a constant holds, if so."""
    if not isinstance(value, Constant):
        return None
    array = value.array
    return float(array.flat[0]) if array.size and (array == array.flat[0]).all() else None


def clamp(value: Value | None, node: Node, builder: Builder, low: float, high: float) -> None:
    """Set the node's output to `value` clamped to [low, high]: neurons, unless `value` stays within, or another clamp follows, which takes this
    one along. Raises UnsupportedNode for a constant, and where nothing is left between the ends."""
    if isinstance(value, Potential):
        low, high = (min(max(end, low), high) for end in (value.low, value.high))
    if not isinstance(value, (Spikes, Potential)) or not low < high:
        raise UnsupportedNode(f"it clamps a constant, or to [{low:g}, {high:g}]", "a clamp of activations, its minimum below its maximum")
    lowest, highest = value.bounds
    if low <= lowest.min() and highest.max() <= high:
        builder.values[node.outputs[0]] = value  # changes nothing
        return
    potential = builder.potential(value, node.name) if isinstance(value, Spikes) else value
    if builder.only_read_by(node.outputs[0], CLAMPS):
        builder.values[node.outputs[0]] = replace(potential, low=low, high=high)
    else:
        builder.values[node.outputs[0]] = builder.fire(potential, node.outputs[0], low, high)


def _largest(parts: list[Spikes], node: Node, builder: Builder) -> Spikes:
    """The earliest spike of each group; parts whose spikes stand for other values are encoded anew, all in one range."""
    if len({part.index.shape for part in parts}) > 1:
        raise UnsupportedNode("its inputs differ in shape", "compare tensors of equal shape")
    first = builder.whole(parts[0])
    shape, index = first.shape, first.index
    parts = [first, *(builder.aligned(part, first) for part in parts[1:])]
    lowest, highest = (
        reduce(fold, (fold.reduce(np.broadcast_to(part.bounds[end], shape).reshape(-1, shape[-1])) for part in parts))
        for end, fold in ((0, np.minimum), (1, np.maximum))
    )
    parts = [_in_range(replace(part, index=index), lowest, highest, node, position, builder) for position, part in enumerate(parts)]
    count, size = len(parts), math.prod(shape)
    joined = Spikes(
        builder.concat(node.name, [part.source for part in parts], (count * size,)),
        index,
        (count, size),
        np.broadcast_to(parts[0].scale, shape).reshape(-1),
        np.broadcast_to(parts[0].offset, shape).reshape(-1),
    )
    geometry: Geometry = {
        "in_shape": (count, size),
        "out_shape": (1, size),
        "kernel": (count,),
        "strides": (1,),
        "dilations": (1,),
        "pads": (0,),
        "pads_end": (0,),
    }
    return replace(builder.max_pool(joined, node, geometry, index), shape=shape, scale=parts[0].scale, offset=parts[0].offset)


def _in_range(part: Spikes, lowest: np.ndarray, highest: np.ndarray, node: Node, position: int, builder: Builder) -> Spikes:
    if all(
        np.array_equal(np.broadcast_to(end, part.shape), np.broadcast_to(wanted, part.shape))
        for end, wanted in zip((part.offset, part.offset + part.scale), (lowest, highest))
    ):
        return part
    return builder.fire(replace(builder.potential(part, node.name), bounds=(lowest, highest)), node.inputs[position])
