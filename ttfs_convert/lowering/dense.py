"""Gemm and MatMul with a constant right-hand side.

1. (1, inputs) -> Dense; the rows of the weights follow the source's channels-last order, so Flatten costs nothing.
2. (1, *positions, inputs) or (positions, inputs) -> Conv of kernel 1: one weight matrix shared by all positions. The latter is what ONNX
   Runtime makes of MatMul + Add: Reshape, Gemm, Reshape.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import Conv, Dense
from .builder import Builder, UnsupportedNode
from .values import Node, Potential, flat_index


def lower_gemm(node: Node, builder: Builder) -> None:
    if node.attributes.get("transA", 0):
        raise UnsupportedNode("its input is transposed (transA)", "apply the layer to (batch, features)")
    weights = builder.constant(node, 1, "weights")
    weights = (weights.T if node.attributes.get("transB", 0) else weights) * np.float32(node.attributes.get("alpha", 1.0))
    bias = builder.constant(node, 2, "bias")
    if bias is not None:
        bias = bias * np.float32(node.attributes.get("beta", 1.0))
    _product(node, builder, weights, bias)


def lower_matmul(node: Node, builder: Builder) -> None:
    weights = builder.constant(node, 1, "right-hand side")
    if weights.ndim != 2:
        raise UnsupportedNode(f"a right-hand side of {weights.ndim} axes", "multiply by one (inputs, outputs) matrix")
    _product(node, builder, weights, None)


def _product(node: Node, builder: Builder, weights: np.ndarray, bias: np.ndarray | None) -> None:
    shape = builder.value(node.inputs[0]).index.shape
    (_dense if len(shape) == 2 and shape[0] == 1 else _pointwise)(node, builder, weights, bias)


def _dense(node: Node, builder: Builder, weights: np.ndarray, bias: np.ndarray | None) -> None:
    value = builder.value(node.inputs[0])
    index, rows, outputs = value.index.reshape(-1), weights.astype(np.float32, copy=False), (weights.shape[1],)
    if np.array_equal(np.sort(index), flat_index(index.shape)):  # the whole population: its weights are reordered, not its spikes
        rows = np.empty(weights.shape, np.float32)
        rows[index] = weights
        index = flat_index(index.shape)
    step = Dense(in_shape=index.shape, out_shape=outputs, weights=rows)
    _set(node, builder, builder.synapses(value, node, step, index), bias, flat_index((1, *outputs)))


def _pointwise(node: Node, builder: Builder, weights: np.ndarray, bias: np.ndarray | None) -> None:
    value = builder.value(node.inputs[0])
    index = value.index[0] if value.index.shape[0] == 1 else value.index
    if index.ndim not in (2, 3):
        raise UnsupportedNode(f"an input of {value.index.ndim} axes", "use at most (batch, height, width, features)")
    axes = index.ndim - 1
    step = Conv(in_shape=index.shape, out_shape=(*index.shape[:-1], weights.shape[1]), kernel=(1,) * axes, strides=(1,) * axes,
                dilations=(1,) * axes, pads=(0,) * axes, pads_end=(0,) * axes, groups=1,
                weights=np.ascontiguousarray(weights.reshape((1,) * axes + weights.shape), np.float32))
    result = builder.synapses(value, node, step, index)
    _set(node, builder, result, bias, flat_index((*value.index.shape[:-1], weights.shape[1])))


def _set(node: Node, builder: Builder, result: Potential, bias: np.ndarray | None, index: np.ndarray) -> None:
    """bias: of one value, or one per output."""
    shift = 0.0 if bias is None else bias.astype(np.float64).reshape(-1)
    builder.values[node.outputs[0]] = replace(result, bias=result.bias + shift, index=index)
