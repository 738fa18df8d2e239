"""Operators that move, repeat or leave out elements: ONNX Runtime runs them on the index arrays of `values.py`, attributes, opset and all.

They leave no trace in the network where the next layer can read its neurons in the new order; else a Reorder.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx

from ..onnx_file import one_line
from .builder import Builder, UnsupportedNode
from .single_node import alone, constants_of
from .sums import spike_trains, sum_of
from .values import Node, Potential, Spikes

FIXED_BATCH = ("Expand", "GatherElements", "GatherND", "Reshape", "Resize")  # in a graph for one image their shapes hold that 1; Reshape may fold positions into it


def lower_identity(node: Node, builder: Builder) -> None:
    builder.values[node.outputs[0]] = builder.value(node.inputs[0])


def lower_moved(node: Node, builder: Builder) -> None:
    """Any operator whose outputs hold nothing but elements of its first input; its other inputs are constants."""
    value = builder.value(node.inputs[0])
    if not isinstance(value, (Spikes, Potential)):
        raise UnsupportedNode("its data input is a constant", "fold constants before export")
    indices = moved(node, builder, value.index)
    trains = None
    if isinstance(value, Potential) and not all(_is_permutation(index, value.index) for index in indices):
        trains = spike_trains(value)  # parts and repetitions are of spike trains
        value = value if trains else builder.spikes(value, node)
    for name, index in zip(filter(None, node.outputs), indices):
        builder.values[name] = (sum_of([replace(train, index=index) for train in trains], [value], node.name, builder) if trains
                                else replace(value, index=index))


def moved(node: Node, builder: Builder, index: np.ndarray) -> list[np.ndarray]:
    """`index` as `node` moves data: one array per output. Raises UnsupportedNode if it adds elements, or moves the batch axis."""
    constants = constants_of(node, builder)
    size = int(index.max()) + 1
    labels = np.random.default_rng(0).permutation(size)  # of the neurons: what moves elements moves any labels alike
    images = [index, labels[index] + size]
    try:
        if node.operator in FIXED_BATCH:
            first, second = (_run(node, builder.opset, image + 1, constants) for image in images)  # from 1: a 0 was not there before
        else:
            both = _run(node, builder.opset, np.concatenate(images) + 1, constants)
            first, second = zip(*(np.split(result, 2) if len(result) % 2 == 0 else (result, result[:0]) for result in both))
    except Exception as error:  # ONNX Runtime has one exception class per status, none of them public
        raise UnsupportedNode(f"it moves the batch axis, or its attributes do not fit ({one_line(error)[:80]})",
                              "leave axis 0 where it is") from error
    return [_checked(one - 1, other - 1, labels, size, index) for one, other in zip(first, second)]


def _checked(result: np.ndarray, relabelled: np.ndarray, labels: np.ndarray, size: int, index: np.ndarray) -> np.ndarray:
    """`result`, if it holds elements of `index` and nothing else, of one image and not of the other."""
    if (result < 0).any():
        raise UnsupportedNode("it adds elements", "pad with zeros in front of a convolution or pool")
    if result.shape != relabelled.shape or (result >= size).any() or (relabelled < size).any():
        raise UnsupportedNode("it moves the batch axis", "leave axis 0 where it is")
    if not np.array_equal(labels[result] + size, relabelled):
        raise UnsupportedNode("it computes with the elements that it moves", "mode nearest")
    if len(result) != len(index) and not np.array_equal(result.reshape(-1), index.reshape(-1)):
        raise UnsupportedNode("it moves the batch axis", "leave axis 0 where it is")
    return result


def _is_permutation(index: np.ndarray, before: np.ndarray) -> bool:
    return index.size == before.size and np.array_equal(np.sort(index, axis=None), np.sort(before, axis=None))


def _run(node: Node, opset: int, index: np.ndarray, constants: dict[str, np.ndarray]) -> list[np.ndarray]:
    """int64 arrays. Every operator and opset knows float32, which holds whole numbers up to 2^24; nearly all know int32."""
    small = index.max() < 1 << 24
    kind, dtype = (onnx.TensorProto.FLOAT, np.float32) if small else (onnx.TensorProto.INT32, np.int32)
    results = alone(node, opset, constants, index.ndim, kind=kind)(index.astype(dtype))
    return [np.rint(result).astype(np.int64) for result in results]
