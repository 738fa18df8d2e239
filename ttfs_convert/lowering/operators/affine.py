"""Mul, Div, Neg and BatchNormalization: y = factor x + shift with constants, which folds into the synapses on either side.

1. Of a spike train  -> the same spikes, with another range.
2. Of a potential    -> its weights and bias; in front of a waiting max-pool if the factors are not negative.
"""

from __future__ import annotations

from dataclasses import replace
from typing import overload

import numpy as np

from ...network.synapses.chains import scaled
from ...network.synapses.connection import Connection
from ...onnx_model.node import Node
from ..builder import Builder
from ..unsupported import UnsupportedNode
from ..values import Constant, Potential, Spikes, Value, is_laid_out, laid_out

PRODUCT_OF_COMPUTED = ("it multiplies or divides two computed tensors", "--mode exact, which takes squares of their sums")


def lower_mul(node: Node, builder: Builder) -> None:
    """a b, one of them constant."""
    first, second = builder.inputs(node)
    position, value, factor = (0, first, second) if isinstance(second, Constant) else (1, second, first)
    if not isinstance(factor, Constant):
        raise UnsupportedNode(*PRODUCT_OF_COMPUTED)
    builder.values[node.outputs[0]] = affine(value, factor.array, np.zeros(()), node, builder, position)


def lower_div(node: Node, builder: Builder) -> None:
    """a / b, b constant and nowhere 0."""
    value, divisor = builder.inputs(node)
    if not isinstance(divisor, Constant):
        raise UnsupportedNode(*PRODUCT_OF_COMPUTED)
    by = divisor.array.astype(np.float64)
    if isinstance(value, Constant) or not by.all():
        raise UnsupportedNode("it divides a constant, or by 0", "divide by constants other than 0")
    builder.values[node.outputs[0]] = affine(value, 1 / by, np.zeros(()), node, builder)


def lower_neg(node: Node, builder: Builder) -> None:
    """-x."""
    builder.values[node.outputs[0]] = affine(builder.data(node), np.full((), -1.0), np.zeros(()), node, builder)


def lower_batch_normalization(node: Node, builder: Builder) -> None:
    """Y = scale (X - mean) / sqrt(variance + epsilon) + shift, per channel (axis 1); until opset 8 also per element (spatial 0)."""
    value = builder.data(node)
    parts = [builder.constant(node, 1 + k, name).astype(np.float64) for k, name in enumerate(("scale", "shift", "mean", "variance"))]
    per_channel = (-1, *(1,) * (value.index.ndim - 2))
    scale, shift, mean, variance = (part.reshape(per_channel if node.attributes.get("spatial", 1) else value.index.shape[1:]) for part in parts)
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    builder.values[node.outputs[0]] = affine(value, factor, shift - factor * mean, node, builder)


@overload
def affine(value: Spikes, factor: np.ndarray, shift: np.ndarray, node: Node, builder: Builder, position: int = 0) -> Spikes: ...


@overload
def affine(value: Value | None, factor: np.ndarray, shift: np.ndarray, node: Node, builder: Builder, position: int = 0) -> Spikes | Potential: ...


def affine(value: Value | None, factor: np.ndarray, shift: np.ndarray, node: Node, builder: Builder, position: int = 0) -> Spikes | Potential:
    """factor * value + shift. factor, shift: constants that broadcast with the tensor, which is the input of `node` at `position` or made
    of no other; where they repeat it, or differ between elements that are one neuron, each element gets a spike train of its own."""
    if not isinstance(value, (Spikes, Potential)):
        raise UnsupportedNode("its data input is a constant", "fold constants before export")
    try:
        shape = np.broadcast_shapes(factor.shape, shift.shape, value.index.shape)
    except ValueError:
        raise UnsupportedNode(
            f"constants of shape {np.broadcast_shapes(factor.shape, shift.shape)} on {value.index.shape}", "constants that broadcast with it"
        ) from None
    value = builder.broadcast(value, shape, node, position)
    if isinstance(value, Spikes) and not (is_laid_out(factor, value) and is_laid_out(shift, value)):
        value = builder.whole(value)
    factors, shifts = laid_out(factor, value, 1.0), laid_out(shift, value, 0.0)
    if isinstance(value, Potential) and value.max_pools and (factors.ndim > 1 or shifts.ndim > 1 or (factors < 0).any()):
        value = builder.spikes(value, node, position)
    if isinstance(value, Spikes):
        return replace(value, scale=value.scale * factors, offset=value.offset * factors + shifts)
    with np.errstate(invalid="ignore"):
        ends = [np.where(factors == 0, 0, factors * end) + shifts for end in value.bounds]
    connections = tuple(Connection(source=each.source, path=scaled(each.path, factors, value.shape)) for each in value.connections)
    return replace(value, connections=connections, bias=value.bias * factors + shifts, bounds=(np.minimum(*ends), np.maximum(*ends)))
