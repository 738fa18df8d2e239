"""What a tensor of the ONNX graph is in the spiking network: a constant, a spike train, a potential, or part of the tail.

Spikes and Potential carry `index`: an integer array with the tensor's ONNX shape (batch 1) that says which neuron each element is, as a
flat position in channels-last order. Reshape, Transpose and their like act on it as they would on the data; nothing is copied.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx

from ..ir import Connection, Shape


@dataclass(frozen=True)
class Constant:
    array: np.ndarray


@dataclass(frozen=True)
class Spikes:
    """Spike times of the population `source`, seen through `index`."""

    source: str
    index: np.ndarray
    in_unit_interval = True


@dataclass(frozen=True)
class Potential:
    """Sum of connections and bias that no neuron has turned into spikes yet.

    name: of the node that the layer will be called after. shape: channels last, before `max_pools`. bias: of that shape, float32, or
    None. max_pools: geometries (keyword arguments of ir.MaxPool) of pools that wait for the activation, with which they commute.
    """

    name: str
    connections: tuple[Connection, ...]
    bias: np.ndarray | None
    shape: Shape
    index: np.ndarray
    max_pools: tuple[dict, ...] = ()

    @property
    def pooled_only(self) -> bool:
        """Whether it is a bare average of one spike train, so that its values are in [0, 1]."""
        kinds = {step.kind for connection in self.connections for step in connection.path}
        return len(self.connections) == 1 and kinds == {"average_pool"} and self.bias is None and not self.max_pools

    @property
    def in_unit_interval(self) -> bool:
        """Whether a clamp to [0, 1] changes nothing."""
        return self.pooled_only


@dataclass(frozen=True)
class Tail:
    """Computed after the readout `root` (an ONNX tensor) by ONNX Runtime."""

    root: str


@dataclass(frozen=True)
class Unknown:
    """Behind an unsupported node, which has been reported already."""


Value = Constant | Spikes | Potential | Tail | Unknown


@dataclass(frozen=True)
class Node:
    """An ONNX node with its attributes as Python values. `name` is never empty."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict
    domain: str

    @classmethod
    def of(cls, proto: onnx.NodeProto) -> Node:
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in proto.attribute}
        texts = {key: value.decode() if isinstance(value, bytes) else value for key, value in attributes.items()}
        return cls(proto.op_type, proto.name or proto.output[0], tuple(proto.input), tuple(proto.output), texts, proto.domain)


def flat_index(shape: Shape) -> np.ndarray:
    """0, 1, 2, ... in `shape`: the index of a tensor whose order is the population's own."""
    return np.arange(math.prod(shape), dtype=np.int64).reshape(shape)


def channels_first(shape: Shape) -> np.ndarray:
    """Index of the ONNX tensor (1, channels, *spatial) of a population of `shape` (*spatial, channels)."""
    return np.moveaxis(flat_index(shape), -1, 0)[None]
