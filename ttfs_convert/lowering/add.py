"""Add: of a constant, a bias; of two parts of the network, one neuron with the fan-ins of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import Connection
from .builder import Builder, UnsupportedNode
from .geometry import image_index
from .values import Constant, Node, Potential, Spikes, channels_first


def lower_add(node: Node, builder: Builder) -> None:
    first, second = (builder.value(name) for name in node.inputs)
    if isinstance(first, Constant):
        first, second = second, first
    if isinstance(second, Constant):
        result = _with_bias(first, second.array)
    else:
        if not isinstance(first, Potential):
            first, second = second, first
        result = _sum_of(first, second, node, builder)
    builder.values[node.outputs[0]] = result


def _with_bias(value: Potential | Spikes, constant: np.ndarray) -> Potential:
    if isinstance(value, Spikes) or value.max_pools or value.pooled_only:
        raise UnsupportedNode("it shifts values that are no pre-activations", "move the shift in front of the pool or into the next layer")
    try:
        onnx_order = np.broadcast_to(constant, value.index.shape)
    except ValueError:
        raise UnsupportedNode(f"a constant of shape {constant.shape} on {value.index.shape}", "a constant that broadcasts") from None
    bias = np.empty(value.index.size, np.float32)
    bias[value.index.reshape(-1)] = onnx_order.reshape(-1)
    bias = bias.reshape(value.shape)
    return replace(value, bias=bias if value.bias is None else value.bias + bias)


def _sum_of(first: Potential | Spikes, second: Potential | Spikes, node: Node, builder: Builder) -> Potential:
    """A residual sum: relu1(conv(h) + x) is one neuron; a bare spike train enters through identity synapses of weight 1."""
    if first.index.shape != second.index.shape:
        raise UnsupportedNode(f"shapes {first.index.shape} and {second.index.shape} differ", "add tensors of equal shape")
    if isinstance(first, Spikes):
        shape = image_index(first).shape
        index = channels_first(shape)
        first = Potential(node.name, (_identity(first, index, builder),), None, shape, index)
    if first.max_pools or (isinstance(second, Potential) and second.max_pools):
        raise UnsupportedNode("it adds to a max-pool of pre-activations", "add before pooling, or pool behind the activation")
    if isinstance(second, Spikes):
        connections, bias = (_identity(second, first.index, builder),), None
    elif np.array_equal(first.index, second.index) and first.shape == second.shape:
        connections, bias = second.connections, second.bias
    else:
        raise UnsupportedNode("its two inputs are laid out differently", "add before reshaping")
    biases = [b for b in (first.bias, bias) if b is not None]
    return replace(first, connections=first.connections + connections, bias=sum(biases) if biases else None)


def _identity(spikes: Spikes, index: np.ndarray, builder: Builder) -> Connection:
    order = np.empty(index.size, np.int64)
    order[index.reshape(-1)] = spikes.index.reshape(-1)
    return Connection(source=builder.ordered(spikes.source, order), path=())
