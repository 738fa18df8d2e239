"""Add and Sub: of a constant, a shift (`affine.py`); of two parts of the network, one neuron with the fan-ins of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .affine import affine
from .builder import Builder, UnsupportedNode
from .sums import spike_trains
from .values import Constant, Node, Potential, Spikes


def lower_add(node: Node, builder: Builder) -> None:
    _sum(node, builder, 1.0)


def lower_sub(node: Node, builder: Builder) -> None:
    _sum(node, builder, -1.0)


def _sum(node: Node, builder: Builder, sign: float) -> None:
    """First input + sign * second input."""
    first, second = (builder.value(name) for name in node.inputs)
    if isinstance(second, Constant):
        result = affine(first, np.ones(()), sign * second.array, node, builder)
    elif isinstance(first, Constant):
        result = affine(second, np.full((), sign), first.array, node, builder)
    else:
        first, second = _broadcast(first, second, node, builder)
        second = affine(second, np.full((), sign), np.zeros(()), node, builder)
        result = _sum_of(*((first, second) if isinstance(first, Potential) else (second, first)), node, builder)
    builder.values[node.outputs[0]] = result


def _broadcast(first: Spikes | Potential, second: Spikes | Potential, node: Node, builder: Builder) -> list[Spikes | Potential]:
    """Both in one shape; where that repeats elements, they are repeated spike trains."""
    try:
        shape = np.broadcast_shapes(first.index.shape, second.index.shape)
    except ValueError:
        raise UnsupportedNode(f"shapes {first.index.shape} and {second.index.shape} differ", "add tensors of equal shape") from None
    if shape[0] != first.index.shape[0] or len(shape) != first.index.ndim or len(shape) != second.index.ndim:
        raise UnsupportedNode(f"shapes {first.index.shape} and {second.index.shape} differ", "add tensors of equal rank")
    return [value if value.index.shape == shape else
            replace(spikes := builder.spikes(value, node, position), index=np.broadcast_to(spikes.index, shape))
            for position, value in enumerate((first, second))]


def _sum_of(first: Potential | Spikes, second: Potential | Spikes, node: Node, builder: Builder) -> Potential:
    """A residual sum: relu1(conv(h) + x) is one neuron; a bare spike train enters through one connection per neuron."""
    if isinstance(first, Spikes):
        first = builder.potential(first, node.name)
    if first.max_pools or (isinstance(second, Potential) and second.max_pools):
        raise UnsupportedNode("it adds to a max-pool of pre-activations", "add before pooling, or pool behind the activation")
    if isinstance(second, Potential) and np.array_equal(first.index, second.index) and first.shape == second.shape:
        return Potential(node.name, first.connections + second.connections, first.bias + second.bias, first.shape, first.index)
    if isinstance(second, Potential) and spike_trains(second) is None:
        first, second = second, first
    trains = spike_trains(second)
    if trains is None:
        raise UnsupportedNode("its two inputs are laid out differently", "add before reshaping")
    aligned = [builder.aligned(train, first) for train in trains]
    values = [builder.linear(spikes, spikes.index) for spikes in aligned]
    return Potential(node.name, first.connections + tuple(each.connection for each in values),
                     first.bias + sum(each.offset for each in values), first.shape, first.index)
