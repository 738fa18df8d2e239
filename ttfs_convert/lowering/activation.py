"""Clip and Relu: the neurons. ReLU1 = Clip(0, 1) is what a spike time carries; any other is recorded as a violation and clamped at 1."""

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
    bounded = isinstance(value, (Spikes, Potential)) and value.in_unit_interval
    if bounded and low <= 0 and high >= 1:
        builder.values[node.outputs[0]] = value  # values in [0, 1] pass unchanged
        return
    if not isinstance(value, Potential) or bounded or low != 0 or high < 1:
        raise UnsupportedNode(f"it clamps to [{low:g}, {high:g}]", "use ReLU1, a clamp to [0, 1], behind a convolution or linear layer")
    if high != 1:
        name = "ReLU" if high == math.inf else f"clamp to [0, {high:g}]"
        builder.violate(value, f"activation is {name}, not ReLU1", math.prod(value.shape), "train with ReLU1 (clamp to [0, 1])")
    builder.values[node.outputs[0]] = builder.fire(value, node.outputs[0])
