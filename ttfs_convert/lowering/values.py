"""What a tensor of the ONNX graph is in the spiking network: a constant, a spike train, a potential, or part of the tail.

Spikes and Potential carry `index`: an integer array with the tensor's ONNX shape (batch 1) that says which neuron each element is, as a
flat position in channels-last order. Reshape, Transpose and their like act on it as they would on the data; nothing is copied.
Arrays "per channel or whole" have the shape (channels,) or that of the whole population; they are float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from ..network.per_channel import compact
from ..network.records import Shape
from ..network.synapses.connection import Connection


@dataclass(frozen=True)
class Constant:
    """load: reads the array; large weights stay on the disk until then, and are not kept."""

    load: Callable[[], np.ndarray]

    @property
    def array(self) -> np.ndarray:
        """As `load` gives it, in the type of the ONNX tensor."""
        return self.load()


@dataclass(frozen=True)
class Spikes:
    """The values offset + scale a, where a = 1 - tau is decoded from the spike trains of `source`, seen through `index`.

    scale, offset: per channel or whole. shape: of the source, channels last. direct: whether the source is an input that sends no spikes.
    raw: whether the source encodes what ONNX has computed, and no neuron stands between.
    """

    source: str
    index: np.ndarray
    shape: Shape
    scale: np.ndarray
    offset: np.ndarray
    direct: bool = False
    raw: bool = False

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest value, per channel or whole."""
        return _bounds(self.scale, self.offset, self.direct)


class Geometry(TypedDict):
    """Keyword arguments of `network.synapses.sliding.Sliding`."""

    in_shape: Shape
    out_shape: Shape
    kernel: Shape
    strides: Shape
    dilations: Shape
    pads: Shape
    pads_end: Shape


@dataclass(frozen=True)
class Potential:
    """Sum of connections and bias that no neuron has turned into spikes yet, in the original network's units.

    name: of the node that the layer will be called after. shape: channels last, before `max_pools`. bias: per channel or whole.
    max_pools: geometries of pools that wait for the activation, with which they commute.
    """

    name: str
    connections: tuple[Connection, ...]
    bias: np.ndarray
    shape: Shape
    index: np.ndarray
    max_pools: tuple[Geometry, ...] = ()
    bounds: tuple[np.ndarray, np.ndarray] = (np.full(1, -math.inf), np.full(1, math.inf))  # smallest and largest value, as far as known
    low: float = -math.inf  # a clamp to [low, high] that has yet to come, where another one is to follow
    high: float = math.inf
    pooled_only: bool = False  # whether all it holds are spike trains, scaled, shifted or averaged: what is linear reads these themselves
    comonotone: bool = False  # whether these are increasing functions of one value, so that its maxima are those of each


@dataclass(frozen=True)
class Compared:
    """Whether the ONNX tensor `tensor` is larger (or, if not `larger`, smaller) than a threshold."""

    tensor: str
    larger: bool
    threshold: float


@dataclass(frozen=True)
class Head:
    """The ONNX tensor `tensor`, an input of the model or computed from its inputs by ONNX Runtime, before anything spikes."""

    tensor: str


@dataclass(frozen=True)
class Between:
    """The ONNX tensor `tensor`, which ONNX Runtime computes in the middle of the network, before any population has encoded it."""

    tensor: str


@dataclass(frozen=True)
class Tail:
    """Computed by ONNX Runtime after the readouts of `roots` (ONNX tensors)."""

    roots: tuple[str, ...]


@dataclass(frozen=True)
class Unknown:
    """Behind an unsupported node, which has been reported already."""


Value = Constant | Spikes | Potential | Compared | Head | Between | Tail | Unknown


_numbers = np.arange(1 << 16, dtype=np.int64)  # 0, 1, 2, ...: every index of a whole population is a view of it


def flat_index(shape: Shape) -> np.ndarray:
    """0, 1, 2, ... in `shape`: the index of a tensor whose order is the population's own. Shared, so read-only."""
    global _numbers
    size = math.prod(shape)
    if size > len(_numbers):
        _numbers = np.arange(size, dtype=np.int64)
    index = _numbers[:size].reshape(shape)
    index.flags.writeable = False
    return index


def channels_first(shape: Shape) -> np.ndarray:
    """Index of the ONNX tensor (1, channels, *spatial) of a population of `shape` (*spatial, channels). Shared, so read-only."""
    return np.moveaxis(flat_index(shape), -1, 0)[None]


def without_batch(index: np.ndarray) -> np.ndarray:
    """`index` without a first axis of size 1, such as the batch of one sample is; never without axes."""
    return np.atleast_1d(index[0] if index.ndim and len(index) == 1 else index)


def is_flat_order(index: np.ndarray, size: int) -> bool:
    """Whether `index`, read row by row, is 0, 1, ..., size - 1."""
    index = np.atleast_1d(index)
    if index.size != size or index[(0,) * (index.ndim - 1) + (-1,)] != index.shape[-1] - 1:  # most that are not show it in their first row
        return False
    return same_index(index.reshape(-1), flat_index((size,)))


def same_index(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether both are equal; views of the same numbers are, without a look at them."""
    same_memory = first.ctypes.data == second.ctypes.data and first.strides == second.strides and first.dtype == second.dtype
    return first.shape == second.shape and (same_memory or np.array_equal(first, second))


def laid_out(constant: np.ndarray, value: Spikes | Potential, rest: float) -> np.ndarray:
    """A constant that broadcasts to the tensor `value`, per channel or whole in the population's layout; `rest` where the tensor shows
    no neuron."""
    shape = value.max_pools[-1]["out_shape"] if isinstance(value, Potential) and value.max_pools else value.shape
    if constant.size == 1:
        return np.full(shape[-1:], constant.reshape(-1)[0], np.float64)
    whole = np.full(math.prod(shape), rest)
    whole[value.index.reshape(-1)] = np.broadcast_to(constant, value.index.shape).reshape(-1)
    return compact(whole.reshape(shape))


def is_laid_out(constant: np.ndarray, value: Spikes) -> bool:
    """Whether a constant that broadcasts to the tensor `value` is the same wherever one neuron is shown."""
    if constant.size == 1:
        return True
    spread = np.broadcast_to(constant, value.index.shape)
    at = np.zeros(math.prod(value.shape))
    at[value.index.reshape(-1)] = spread.reshape(-1)
    return bool((at[value.index] == spread).all())


def is_raw(value: Value) -> bool:
    """Whether ONNX has computed it, and no neuron yet."""
    return isinstance(value, (Constant, Head)) or (isinstance(value, Spikes) and value.raw)


def _bounds(scale: np.ndarray, offset: np.ndarray, unbounded: bool) -> tuple[np.ndarray, np.ndarray]:
    if unbounded:
        return np.full(1, -math.inf), np.full(1, math.inf)
    return offset + np.minimum(scale, 0), offset + np.maximum(scale, 0)


def in_population_order(values: np.ndarray, index: np.ndarray, channels: int, images: int) -> np.ndarray:
    """(images, positions, channels): an ONNX tensor's values, first axis the batch, in the order of the population that `index` shows."""
    rows = values.reshape(images, -1)
    if index.ndim > 2 and index.shape[:2] == (1, channels) and np.array_equal(index, channels_first((*index.shape[2:], channels))):
        return rows.reshape(images, channels, -1).transpose(0, 2, 1)
    if not is_flat_order(index, index.size):
        rows = rows[:, np.argsort(index.reshape(-1))]
    return rows.reshape(images, -1, channels)
