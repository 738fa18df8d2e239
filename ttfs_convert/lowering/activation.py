"""Clip and Relu: the neurons. What a spike time carries is a clamp to the layer's range; ReLU1 = Clip(0, 1) is the paper's."""

from __future__ import annotations

import math

import numpy as np

from .builder import Builder, UnsupportedNode
from .values import Node, Potential, Spikes


def lower_relu(node: Node, builder: Builder) -> None:
    _clamp(node, builder, 0.0, math.inf)


def lower_clip(node: Node, builder: Builder) -> None:
    low = builder.constant(node, 1, "minimum", np.float32(node.attributes.get("min", -math.inf)))
    high = builder.constant(node, 2, "maximum", np.float32(node.attributes.get("max", math.inf)))
    _clamp(node, builder, float(low), float(high))


def _clamp(node: Node, builder: Builder, low: float, high: float) -> None:
    value = builder.value(node.inputs[0])
    if not isinstance(value, (Spikes, Potential)) or not low < high:
        raise UnsupportedNode(f"it clamps a constant, or to [{low:g}, {high:g}]", "a clamp of activations, its minimum below its maximum")
    lowest, highest = value.bounds
    if low <= lowest.min() and highest.max() <= high:
        builder.values[node.outputs[0]] = value  # changes nothing
        return
    potential = builder.potential(value, node.name) if isinstance(value, Spikes) else value
    builder.values[node.outputs[0]] = builder.fire(potential, node.outputs[0], low, high)
