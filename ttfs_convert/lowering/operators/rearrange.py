"""Operators that move, repeat or leave out elements: ONNX Runtime runs them on the index arrays of `lowering/values.py`, attributes, opset and all.

They leave no trace in the network where the next layer can read its neurons in the new order; else a Reorder. The batch is an axis like
the others: what a tensor is for a sample alone is what counts (`onnx_model/reference.py`), wherever that leaves its axis of size 1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx

from ...onnx_model.node import Node
from ...onnx_model.read import one_line
from ...onnx_model.single_node import alone
from ..builder import Builder
from ..sums_of_trains import spike_trains
from ..unsupported import UnsupportedNode
from ..values import Potential


def lower_identity(node: Node, builder: Builder) -> None:
    """x, a constant too."""
    builder.values[node.outputs[0]] = builder.values[node.inputs[0]]


def lower_moved(node: Node, builder: Builder) -> None:
    """Any operator whose outputs hold nothing but elements of its first input; its other inputs are constants."""
    value = builder.data(node)
    indices = moved(node, builder, value.index)
    trains = None
    if isinstance(value, Potential) and not all(_is_permutation(index, value.index) for index in indices):
        trains = spike_trains(value)  # parts and repetitions are of spike trains
        value = value if trains else builder.spikes(value, node)
    for name, index in zip(filter(None, node.outputs), indices):
        builder.values[name] = (
            builder.sum_of([replace(train, index=index) for train in trains], [value], node.name) if trains else replace(value, index=index)
        )


def moved(node: Node, builder: Builder, index: np.ndarray) -> list[np.ndarray]:
    """`index` as `node` moves data: one array per output. Raises UnsupportedNode if it adds elements, or computes with them."""
    constants = builder.constants(node)
    labels = np.random.default_rng(0).permutation(int(index.max()) + 1)  # of the neurons: what moves elements moves any labels alike
    try:
        results, relabelled = (_run(node, builder.opset, image + 1, constants) for image in (index, labels[index]))  # a 0 was not there before
    except Exception as error:  # of ONNX Runtime
        raise UnsupportedNode(f"its parameters do not fit its input ({one_line(error)[:80]})", "export it again") from error
    return [_checked(one - 1, other - 1, labels) for one, other in zip(results, relabelled)]


def _checked(result: np.ndarray, relabelled: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`result`, if it holds elements and nothing else."""
    if (result < 0).any():
        raise UnsupportedNode("it adds elements", "pad with zeros in front of a convolution or pool")
    if (result >= len(labels)).any() or not np.array_equal(labels[result], relabelled):
        raise UnsupportedNode("it computes with the elements that it moves", "mode nearest")
    return result


def _is_permutation(index: np.ndarray, before: np.ndarray) -> bool:
    return index.size == before.size and np.array_equal(np.sort(index, axis=None), np.sort(before, axis=None))


def _run(node: Node, opset: int, index: np.ndarray, constants: dict[str, np.ndarray]) -> list[np.ndarray]:
    """int64 arrays. Every operator and opset knows float32, which holds whole numbers up to 2^24; nearly all know int32."""
    small = index.max() < 1 << 24
    kind, dtype = (onnx.TensorProto.FLOAT, np.float32) if small else (onnx.TensorProto.INT32, np.int32)
    results = alone(node, opset, constants, index.ndim, kind=kind)(np.array(index, dtype))
    return [np.rint(result).astype(np.int64) for result in results]
