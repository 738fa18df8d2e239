"""An operator that is linear in its one computed input, though it has no function of its own here: ONNX Runtime gives its matrix, column by
column. What is not linear, or too large for that, is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...onnx_model.node import Node
from ...onnx_model.read import one_line
from ...onnx_model.single_node import alone
from ..builder import Builder, UnsupportedNode
from ..values import Potential, Spikes
from .affine import affine
from .constant_inputs import constants_of
from .linear_map import map_elements

INPUTS = 4096  # of the matrix at most: so often the node runs
ELEMENTS = 1 << 24  # of the matrix at most
PROBES = (1e-3, 1.0, 1e3)  # scales of random inputs on which it has to be linear
CLOSE = 1e-4  # of the largest value
REMEDY = "CLI.md lists the operators that convert"


def lower_probed(node: Node, builder: Builder) -> None:
    computed = [position for position, name in enumerate(node.inputs) if name and isinstance(builder.value(name), (Spikes, Potential))]
    if len(computed) != 1:
        raise UnsupportedNode("no spiking form here", REMEDY)
    (position,), constants = computed, constants_of(node, builder, computed[0])
    value = builder.data(node, position)
    try:
        matrices = _matrices(node, builder.opset, constants, value.index.shape, position)
    except UnsupportedNode:
        raise
    except Exception as error:  # of ONNX Runtime
        raise UnsupportedNode(f"no spiking form here, and ONNX Runtime cannot run it alone ({one_line(error)[:80]})", REMEDY) from error
    from scipy.sparse import csr_matrix

    for name, (matrix, offset) in matrices.items():
        result = map_elements(value, csr_matrix(matrix), offset.shape, node, builder)
        builder.values[name] = affine(result, np.ones(()), offset, node, builder, position) if offset.any() else result


def _matrices(
    node: Node, opset: int, constants: dict[str, np.ndarray], shape: tuple[int, ...], position: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By output: matrix (elements out, elements in) and what the output is for zeros, float64."""
    run = alone(node, opset, constants, len(shape), position)

    def outputs(x: np.ndarray) -> list[np.ndarray]:
        return [each.astype(np.float64) for each in run(np.ascontiguousarray(x.reshape(shape), np.float32))]

    size, zero = math.prod(shape), run(np.zeros(shape, np.float32))
    if any(each.dtype != np.float32 or not np.isfinite(each).all() or not each.size for each in zero):
        raise UnsupportedNode("no spiking form here", REMEDY)
    offsets = [each.astype(np.float64) for each in zero]
    _check_linear(outputs, offsets, size)
    elements = size * sum(each.size for each in offsets)
    if size > INPUTS or elements > ELEMENTS:
        raise UnsupportedNode(
            f"no spiking form but its matrix, and that is too large: {size:,} inputs, {elements:,} elements",
            f"at most {INPUTS:,} inputs and {ELEMENTS:,} elements; for larger ones MatMul or Conv",
        )
    units = np.eye(size, dtype=np.float32)
    columns = [[result - offset for result, offset in zip(outputs(unit), offsets)] for unit in units]
    found = [np.stack([column[k].reshape(-1) for column in columns], axis=1) for k in range(len(offsets))]
    probe = np.random.default_rng(1).standard_normal(size)
    for matrix, offset, expected in zip(found, offsets, outputs(probe)):
        _require_equal(matrix @ probe.astype(np.float32) + offset.reshape(-1), expected.reshape(-1))
    return dict(zip(filter(None, node.outputs), zip(found, offsets)))


def _check_linear(outputs: Callable[[np.ndarray], list[np.ndarray]], offsets: list[np.ndarray], size: int) -> None:
    """f(x + y) = f(x) + f(y) and f(-2 x) = -2 f(x), less what f is for zeros, at several scales."""
    rng = np.random.default_rng(0)
    for scale in PROBES:
        x, y = (scale * rng.standard_normal((2, size))).astype(np.float32)
        of_x, of_y, of_both, of_twice = ([result - offset for result, offset in zip(outputs(each), offsets)] for each in (x, y, x + y, -2 * x))
        for one, other, both, twice in zip(of_x, of_y, of_both, of_twice):
            _require_equal(one + other, both, np.abs(one).max() + np.abs(other).max())
            _require_equal(-2 * one, twice)


def _require_equal(first: np.ndarray, second: np.ndarray, magnitude: float = 0.0) -> None:
    limit = CLOSE * max(float(np.abs(first).max()), float(np.abs(second).max()), magnitude)
    if not (np.abs(first - second) <= limit).all():
        raise UnsupportedNode("no spiking form here: it is not linear in its input", REMEDY)
