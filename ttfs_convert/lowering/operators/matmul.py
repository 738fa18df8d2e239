"""Gemm and MatMul with a constant vector, matrix or stack of matrices on one side. Every other axis counts positions.

1. No positions -> Dense; the rows of the weights follow the source's channels-last order, so Flatten costs nothing.
2. Positions    -> Conv of kernel 1: one weight matrix shared by all of them. So is what ONNX Runtime makes of MatMul + Add: Reshape, Gemm,
   Reshape.
3. A matrix on the left whose rows multiply the population's positions -> AxisProduct: no spike train is rewired.
4. A stack of matrices -> those for axes that the tensor has too are groups of channels; those for axes that it lacks are further outputs.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ...network.synapses.axis_product import AxisProduct
from ...network.synapses.convolution import Conv
from ...network.synapses.dense import Dense
from ...onnx_model.node import Node
from ..builder import Builder
from ..unsupported import UnsupportedNode
from ..values import Constant, Potential, Spikes, flat_index, is_flat_order, without_batch
from .add import Term, weighted_sum
from .affine import PRODUCT_OF_COMPUTED
from .linear_map import population_shape


def lower_gemm(node: Node, builder: Builder) -> None:
    """Y = alpha A B + beta C, with A or B constant, either transposed, and any C."""
    alpha, beta = (float(np.float32(node.attributes.get(name, 1.0))) for name in ("alpha", "beta"))
    result = _product(node, builder, alpha, [bool(node.attributes.get(name, 0)) for name in ("transA", "transB")])
    if len(node.inputs) > 2 and node.inputs[2]:
        result = weighted_sum([Term(result, 1.0, 0), Term(builder.inputs(node)[2], beta, 2)], node, builder)
    builder.values[node.outputs[0]] = result


def lower_matmul(node: Node, builder: Builder) -> None:
    """A B, one of them constant; axes in front of the last two broadcast."""
    builder.values[node.outputs[0]] = _product(node, builder, 1.0, [False, False])


def _product(node: Node, builder: Builder, alpha: float, transposed: list[bool]) -> Potential:
    """alpha times the first input, times the second. A constant on the left is one on the right of the transposed: W x = (x^T W^T)^T."""
    left, right = builder.inputs(node)[:2]
    from_left = isinstance(left, Constant)
    position, value, matrix = (1, right, left) if from_left else (0, left, right)
    if not isinstance(matrix, Constant) or not isinstance(value, (Spikes, Potential)):
        raise UnsupportedNode(*PRODUCT_OF_COMPUTED)
    index, weights = (
        array.swapaxes(-1, -2) if array.ndim > 1 and turned != from_left else array
        for array, turned in ((value.index, transposed[position]), (matrix.array, transposed[1 - position]))
    )
    weights = weights if alpha == 1 else weights * np.float32(alpha)
    if from_left and weights.ndim == 2 and not transposed[position] and _multiplies_positions(value):
        return _over_positions(value, weights, node, builder)
    rows = index if index.ndim > 1 else index[None]
    result, order = product_of_rows(value, rows, weights if weights.ndim > 1 else weights[:, None], node, builder, position)
    if index.ndim == 1 or weights.ndim == 1:
        order = order.reshape((*order.shape[:-2], *order.shape[-2:-1] * (index.ndim > 1), *order.shape[-1:] * (weights.ndim > 1)))
    elif from_left:
        order = order.swapaxes(-1, -2)
    return replace(result, index=order)


def _multiplies_positions(value: Spikes | Potential) -> bool:
    """Whether the last axis but one of a tensor with two axes beside the batch is the population's positions, its last one the channels."""
    index = without_batch(value.index)
    return index.ndim == 2 and index.shape[1] == population_shape(value)[-1] and is_flat_order(index, index.size)


def _over_positions(value: Spikes | Potential, weights: np.ndarray, node: Node, builder: Builder) -> Potential:
    """weights: (positions, positions out)."""
    shape = without_batch(value.index).shape
    out = (weights.shape[1], shape[1])
    step = AxisProduct(in_shape=shape, out_shape=out, weights=np.ascontiguousarray(weights, np.float32))
    result = builder.synapses(value, node, step, flat_index(shape), position=1)
    return replace(result, index=flat_index(out).reshape(*value.index.shape[:-2], *out))


def product_of_rows(
    value: Spikes | Potential, index: np.ndarray, weights: np.ndarray, node: Node, builder: Builder, position: int
) -> tuple[Potential, np.ndarray]:
    """The product of the tensor that `index` shows, (..., rows, inputs), and weights (..., inputs, outputs), whose axes in front broadcast;
    and its index, (..., rows, outputs)."""
    front = max(index.ndim, weights.ndim) - 2
    index, weights = (array.reshape(*(1,) * (front + 2 - array.ndim), *array.shape) for array in (index, weights))
    of = [axis for axis in range(front) if weights.shape[axis] == 1]  # positions
    groups = [axis for axis in range(front) if weights.shape[axis] > 1 and index.shape[axis] > 1]
    more = [axis for axis in range(front) if weights.shape[axis] > 1 and index.shape[axis] == 1]  # outputs
    rows, inputs, outputs = index.shape[-2], *weights.shape[-2:]
    group_sizes, more_sizes, of_sizes = ([array.shape[axis] for axis in axes] for array, axes in ((weights, groups), (weights, more), (index, of)))
    count, wide = math.prod(group_sizes), math.prod(more_sizes) * outputs
    order = index.transpose(*of, front, *groups, *more, front + 1).reshape(*_two_at_most([*of_sizes, rows]), count * inputs)
    matrix = weights.transpose(*of, *groups, front, *more, front + 1).reshape(count, inputs, wide)
    result = (_dense if order.ndim == 1 and count == 1 else _pointwise)(value, order, matrix, node, builder, position)
    found = flat_index((*of_sizes, rows, *group_sizes, *more_sizes, outputs))
    back = np.argsort([*of, front, *groups, *more, front + 1])
    return result, found.transpose(back)


def _two_at_most(sizes: list[int]) -> tuple[int, ...]:
    """Positions in at most two axes, none of them of size 1: rows of an image."""
    sizes = [size for size in sizes if size > 1]
    return (math.prod(sizes[:-1]), sizes[-1]) if len(sizes) > 2 else tuple(sizes)


def _dense(value: Spikes | Potential, order: np.ndarray, matrix: np.ndarray, node: Node, builder: Builder, position: int) -> Potential:
    weights = matrix[0].astype(np.float32, copy=False)
    if np.array_equal(np.sort(order), flat_index(order.shape)):  # the whole population: its weights are reordered, not its spikes
        rows = np.empty(weights.shape, np.float32)
        rows[order] = weights
        weights, order = rows, flat_index(order.shape)
    step = Dense(in_shape=order.shape, out_shape=weights.shape[1:], weights=np.ascontiguousarray(weights))
    return builder.synapses(value, node, step, order, position)


def _pointwise(value: Spikes | Potential, order: np.ndarray, matrix: np.ndarray, node: Node, builder: Builder, position: int) -> Potential:
    """matrix: (groups, inputs of a group, outputs of a group)."""
    order = order if order.ndim > 1 else order[None]
    axes, groups = order.ndim - 1, len(matrix)
    weights = np.ascontiguousarray(matrix.transpose(1, 0, 2), np.float32).reshape(*(1,) * axes, matrix.shape[1], -1)
    step = Conv(
        in_shape=order.shape,
        out_shape=(*order.shape[:-1], weights.shape[-1]),
        kernel=(1,) * axes,
        strides=(1,) * axes,
        dilations=(1,) * axes,
        pads=(0,) * axes,
        pads_end=(0,) * axes,
        groups=groups,
        weights=weights,
    )
    return builder.synapses(value, node, step, order, position)
