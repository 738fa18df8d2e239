"""Activations of two slopes: f(x) = p relu(x) - n relu(-x), exactly, by two populations that each ramp with one slope.

1. LeakyRelu, PRelu, Abs, and what `spellings.py` finds written out in other operators -> p x where x > 0, n x elsewhere.
2. p = n, or a sign that is known -> a factor.   n = 0 -> a clamp.
3. Else two spike trains, one for either half of the line; what follows reads both, so that they take one window and no more.

The second half is max(-x, 0), silent wherever the first one is not. In front of a max-pool, and for slope `fan_in`, it is min(x, 0): an
increasing function of x, which commutes with a maximum, and whose weights have the same sums.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ...onnx_model.node import Node
from ..builder import Builder
from ..values import Potential, Spikes
from .activation import clamp
from .affine import affine


def lower_leaky_relu(node: Node, builder: Builder) -> None:
    positive, alpha = (np.asarray(node.attributes.get(name, default), np.float64) for name, default in (("positive", 1.0), ("alpha", 0.01)))
    _lower(node, builder, positive, alpha)


def lower_prelu(node: Node, builder: Builder) -> None:
    _lower(node, builder, np.ones(()), builder.constant(node, 1, "slope").astype(np.float64))


def lower_abs(node: Node, builder: Builder) -> None:
    _lower(node, builder, np.ones(()), np.full((), -1.0))


def _lower(node: Node, builder: Builder, positive: np.ndarray, negative: np.ndarray) -> None:
    """positive x where x > 0, negative x elsewhere. Both broadcast to the tensor."""
    value, none = builder.data(node), np.zeros(())
    if isinstance(value, Potential) and (math.isfinite(value.low) or math.isfinite(value.high)):
        value = builder.spikes(value, node)
    lowest, highest = value.bounds
    if lowest.min() >= 0 or (positive == negative).all():
        builder.values[node.outputs[0]] = affine(value, positive, none, node, builder)
    elif highest.max() <= 0:
        builder.values[node.outputs[0]] = affine(value, negative, none, node, builder)
    elif (positive == 1).all() and not negative.any():
        clamp(value, node, builder, 0.0, math.inf)
    else:
        builder.values[node.outputs[0]] = _halves(value, positive, negative, node, builder)


def _halves(value: Spikes | Potential, positive: np.ndarray, negative: np.ndarray, node: Node, builder: Builder) -> Spikes | Potential:
    potential = builder.potential(value, node.name) if isinstance(value, Spikes) else value
    tensor, written = node.inputs[0], node.attributes.get("written", node.operator)
    builder.violate(potential, f"activation is {written}, not ReLU1", "train with ReLU1 (clamp to [0, 1])")
    pooled = bool(potential.max_pools) or (node.outputs[0] in builder.max_pooled and bool((positive >= 0).all() and (negative >= 0).all()))
    increasing = pooled or builder.slope == "fan_in"
    parts = [(builder.fire(potential, tensor, 0.0, math.inf, "positive"), positive)] if positive.any() else []
    if negative.any():
        named = replace(potential, name=f"{potential.name}/negative")
        if increasing:
            parts.append((builder.fire(named, tensor, -math.inf, 0.0, "negative"), negative))
        else:
            mirrored = affine(named, np.full((), -1.0), np.zeros(()), node, builder)
            turned = builder.potential(mirrored, named.name) if isinstance(mirrored, Spikes) else mirrored
            parts.append((builder.fire(turned, tensor, 0.0, math.inf, "negated"), -negative))
    scaled = [affine(spikes, factor, np.zeros(()), node, builder) for spikes, factor in parts]
    return scaled[0] if len(scaled) == 1 else _sum(scaled, increasing, node, builder)


def _sum(parts: list[Spikes], increasing: bool, node: Node, builder: Builder) -> Potential:
    """Of two spike trains of which one is 0 at a time."""
    bounds = [fold(*(part.bounds[end] for part in parts)) for end, fold in ((0, np.minimum), (1, np.maximum))]
    return replace(builder.summed(parts, node.name), bounds=tuple(bounds), pooled_only=True, comonotone=increasing)
