"""Gemm and MatMul with a constant matrix on one side.

1. (1, inputs) -> Dense; the rows of the weights follow the source's channels-last order, so Flatten costs nothing.
2. (1, *positions, inputs) or (positions, inputs) -> Conv of kernel 1: one weight matrix shared by all positions. The latter is what ONNX
   Runtime makes of MatMul + Add: Reshape, Gemm, Reshape.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..synapses import Conv, Dense
from .affine import PRODUCT_OF_COMPUTED, affine
from .builder import Builder, UnsupportedNode
from .values import Constant, Node, Potential, Spikes, flat_index


def lower_gemm(node: Node, builder: Builder) -> None:
    """Y = alpha A B + beta C, with A or B constant and either transposed."""
    scale, beta = np.float32(node.attributes.get("alpha", 1.0)), np.float32(node.attributes.get("beta", 1.0))
    left, right = (_factor(node, builder, position, node.attributes.get(name, 0)) for position, name in enumerate(("transA", "transB")))
    bias = builder.constant(node, 2, "bias")
    result = _product(left, right, scale, node, builder)
    builder.values[node.outputs[0]] = result if bias is None else affine(result, np.ones(()), beta * bias, node, builder)


def lower_matmul(node: Node, builder: Builder) -> None:
    """With a constant matrix on either side; axes in front of the last two are positions."""
    builder.values[node.outputs[0]] = _product(_factor(node, builder, 0, 0), _factor(node, builder, 1, 0), np.float32(1), node, builder)


def _factor(node: Node, builder: Builder, position: int, transposed: int) -> np.ndarray | Spikes | Potential:
    value = builder.value(node.inputs[position])
    if isinstance(value, Constant):
        return value.array.T if transposed else value.array
    return replace(builder.spikes(value, node, position), index=value.index.T) if transposed else value


def _product(left: np.ndarray | Spikes | Potential, right: np.ndarray | Spikes | Potential, scale: np.float32, node: Node,
             builder: Builder) -> Potential:
    """scale * left right. A constant on the left is one on the right of the transposed: W x = (x^T W^T)^T."""
    if isinstance(left, np.ndarray) == isinstance(right, np.ndarray):
        raise UnsupportedNode(*PRODUCT_OF_COMPUTED)
    from_left = isinstance(left, np.ndarray)
    value, matrix = (right, left) if from_left else (left, right)
    if matrix.ndim > value.index.ndim:
        raise UnsupportedNode(f"a constant factor of {matrix.ndim} axes adds axes in front of the batch", "multiply by one (inputs, outputs) matrix")
    matrix = matrix.reshape(matrix.shape[-2:]) if matrix.ndim > 1 and matrix.size == math.prod(matrix.shape[-2:]) else matrix
    if matrix.ndim != 2:
        raise UnsupportedNode(f"a constant factor of shape {matrix.shape}", "multiply by one (inputs, outputs) matrix")
    position = 1 if from_left else 0
    if not from_left:
        return _rows(value, matrix * scale, node, builder, position)
    if value.index.ndim < 3 or value.index.shape[0] != 1:
        raise UnsupportedNode("a constant matrix on the left mixes the batch", "multiply from the right")
    spikes = builder.spikes(value, node, position)  # under the name of their tensor, before it is turned
    result = _rows(replace(spikes, index=value.index.swapaxes(-1, -2)), matrix.T * scale, node, builder, position)
    return replace(result, index=result.index.swapaxes(-1, -2))


def _rows(value: Spikes | Potential, weights: np.ndarray, node: Node, builder: Builder, position: int) -> Potential:
    """Every row of the tensor, (..., inputs), times weights (inputs, outputs)."""
    shape = value.index.shape
    return (_dense if len(shape) == 2 and shape[0] == 1 else _pointwise)(value, weights, node, builder, position)


def _dense(value: Spikes | Potential, weights: np.ndarray, node: Node, builder: Builder, position: int) -> Potential:
    index, rows, outputs = value.index.reshape(-1), weights.astype(np.float32, copy=False), (weights.shape[1],)
    if np.array_equal(np.sort(index), flat_index(index.shape)):  # the whole population: its weights are reordered, not its spikes
        rows = np.empty(weights.shape, np.float32)
        rows[index] = weights
        index = flat_index(index.shape)
    step = Dense(in_shape=index.shape, out_shape=outputs, weights=rows)
    return replace(builder.synapses(value, node, step, index, position), index=flat_index((1, *outputs)))


def _pointwise(value: Spikes | Potential, weights: np.ndarray, node: Node, builder: Builder, position: int) -> Potential:
    index = value.index[0] if value.index.shape[0] == 1 else value.index
    if index.ndim not in (2, 3):
        raise UnsupportedNode(f"an input of {value.index.ndim} axes", "use at most (batch, height, width, features)")
    axes = index.ndim - 1
    step = Conv(in_shape=index.shape, out_shape=(*index.shape[:-1], weights.shape[1]), kernel=(1,) * axes, strides=(1,) * axes,
                dilations=(1,) * axes, pads=(0,) * axes, pads_end=(0,) * axes, groups=1,
                weights=np.ascontiguousarray(weights.reshape((1,) * axes + weights.shape), np.float32))
    return replace(builder.synapses(value, node, step, index, position), index=flat_index((*value.index.shape[:-1], weights.shape[1])))
