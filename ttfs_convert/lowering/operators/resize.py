"""Resize and Upsample.

1. nearest        -> wiring (`shape.py`).
2. linear, cubic  -> one matrix per axis, which ONNX Runtime's own Resize gives for unit vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...onnx_model.node import Node
from ...onnx_model.read import one_line
from ...onnx_model.single_node import alone
from ..builder import Builder, UnsupportedNode
from ..values import Potential, Spikes
from .constant_inputs import constants_of
from .linear_map import map_axes
from .rearrange import lower_moved

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

APART = 16  # inputs between the teeth of a comb, times the factor by which it shrinks: a cubic kernel is four wide
CLOSE = 1e-4  # of the probe's range: how well a matrix per axis has to give what ONNX Runtime does


def lower_resize(node: Node, builder: Builder) -> None:
    value = builder.value(node.inputs[0])
    if node.attributes.get("mode", "nearest") == "nearest" or not isinstance(value, (Spikes, Potential)):
        lower_moved(node, builder)
        return
    if node.attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        raise UnsupportedNode("it crops as it interpolates (tf_crop_and_resize)", "Slice, then Resize with another coordinate_transformation_mode")
    shape = value.index.shape
    try:
        resize = alone(node, builder.opset, constants_of(node, builder), len(shape))
        probe = np.random.default_rng(0).random(shape, np.float32)
        expected = resize(probe)[0]
        matrices = _matrices(resize, probe, expected)
    except UnsupportedNode:
        raise
    except Exception as error:  # of ONNX Runtime
        raise UnsupportedNode(f"ONNX Runtime cannot run it alone ({one_line(error)[:80]})", "use mode nearest, or ConvTranspose") from error
    if matrices is None:
        raise UnsupportedNode(f"its interpolation (mode {node.attributes['mode']}) is not one matrix per axis", "use mode nearest, or ConvTranspose")
    builder.values[node.outputs[0]] = map_axes(value, matrices, node, builder)


def _matrices(resize: Callable[[np.ndarray], list[np.ndarray]], probe: np.ndarray, expected: np.ndarray) -> dict[int, csr_matrix] | None:
    """(size out, size in) float64 by axis: those whose size changes; if that is not all, every axis but the batch. None if that is not all either."""
    if expected.ndim != probe.ndim or expected.shape[0] != probe.shape[0]:
        return None
    changed = [axis for axis in range(1, probe.ndim) if expected.shape[axis] != probe.shape[axis]]
    for axes in (changed, range(1, probe.ndim)):
        matrices = {axis: _matrix(resize, probe.shape, axis, axes) for axis in axes}
        found = probe.astype(np.float64)
        for axis, matrix in matrices.items():
            front = np.moveaxis(found, axis, 0)
            found = np.moveaxis((matrix @ front.reshape(len(front), -1)).reshape(-1, *front.shape[1:]), 0, axis)
        if found.shape == expected.shape and np.abs(found - expected).max() <= CLOSE * max(1.0, float(np.abs(expected).max())):
            return matrices
    return None


def _matrix(resize: Callable[[np.ndarray], list[np.ndarray]], shape: Sequence[int], axis: int, resized: Sequence[int]) -> csr_matrix:
    """Along one axis: columns from inputs that are combs of ones along it and the same along all others, whose weights sum to 1; but for one
    axis that is not resized, along which they are different combs. The teeth of a comb are so far apart that no output sees two."""
    from scipy.sparse import csr_matrix

    size = shape[axis]
    outputs = resize(np.zeros(shape, np.float32))[0].shape[axis]
    apart = min(size, APART * -(-max(size, outputs) // outputs))
    carrier = max((other for other in range(len(shape)) if other not in resized and other != axis), key=lambda other: shape[other], default=0)
    rows, columns, weights = [], [], []
    for first in range(0, apart, shape[carrier]):
        count = min(shape[carrier], apart - first)
        spread = np.zeros((shape[carrier], size), np.float32)
        for number in range(count):
            spread[number, first + number :: apart] = 1
        placed = spread.T if carrier > axis else spread
        wide = placed.reshape([shape[other] if other in (axis, carrier) else 1 for other in range(len(shape))])
        result = resize(np.ascontiguousarray(np.broadcast_to(wide, shape)))[0]
        lines = np.moveaxis(result, (carrier, axis), (0, 1)).reshape(result.shape[carrier], outputs, -1)[:count, :, 0]
        comb, seen = np.nonzero(lines)
        start = first + comb
        tooth = np.clip(np.rint((seen * (size / outputs) - start) / apart), 0, (size - 1 - start) // apart).astype(np.int64)
        rows.append(seen)
        columns.append(start + tooth * apart)
        weights.append(lines[comb, seen].astype(np.float64))
    return csr_matrix((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=(outputs, size))
