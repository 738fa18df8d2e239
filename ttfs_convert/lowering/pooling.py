"""AveragePool, GlobalAveragePool and ReduceMean are synapses of weight 1/n; MaxPool is the earliest spike.

1. AveragePool(spikes), pooling `synaptic` -> part of the next layer's synapses; pooling `spiking` -> neurons with a window.
2. AveragePool(potential) -> appended to its synapses: pooling is linear.
3. MaxPool(spikes) -> wiring; MaxPool(potential) -> waits for the activation, which is monotone and so commutes with it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import AveragePool, Connection
from .builder import Builder, UnsupportedNode
from .geometry import image_index, sliding
from .values import Node, Potential, Spikes, channels_first


def _kernel(node: Node) -> tuple[int, ...]:
    kernel = tuple(node.attributes["kernel_shape"])
    if len(kernel) > 2:
        raise UnsupportedNode(f"a {len(kernel)}-D pool", "use 1-D or 2-D pools")
    return kernel


def lower_average_pool(node: Node, builder: Builder) -> None:
    value = builder.value(node.inputs[0])
    shape = image_index(value).shape
    step = AveragePool(**sliding(node, shape, shape[-1], _kernel(node)), include_pad=bool(node.attributes.get("count_include_pad", 0)))
    builder.values[node.outputs[0]] = _average(value, step, node, builder)


def lower_global_average_pool(node: Node, builder: Builder) -> None:
    builder.values[node.outputs[0]] = _global_average(builder.value(node.inputs[0]), node, builder)


def lower_reduce_mean(node: Node, builder: Builder) -> None:
    """A global average pool: over all axes but the batch and the channels, which are the first or the last of the others."""
    value = builder.value(node.inputs[0])
    rank = value.index.ndim
    axes = builder.constant(node, 1, "axes", node.attributes.get("axes"))
    averaged = () if axes is None else tuple(sorted(int(axis) % rank for axis in axes))
    channel = {tuple(range(2, rank)): 1, tuple(range(1, rank - 1)): rank - 1}.get(averaged) if averaged else None
    if channel is None:
        raise UnsupportedNode(f"it averages over axes {averaged or 'all'} of {rank}", "average over all positions and nothing else")
    pooled = _global_average(replace(value, index=np.moveaxis(value.index, channel, 1)), node, builder)
    keep = node.attributes.get("keepdims", 1)
    shape = [1 if axis in averaged else size for axis, size in enumerate(value.index.shape) if keep or axis not in averaged]
    builder.values[node.outputs[0]] = replace(pooled, index=pooled.index.reshape(shape))


def _global_average(value: Potential | Spikes, node: Node, builder: Builder) -> Potential | Spikes:
    shape = image_index(value).shape
    if len(shape) > 3:
        raise UnsupportedNode(f"a {len(shape) - 1}-D pool", "use 1-D or 2-D pools")
    plain = replace(node, attributes={})  # a ReduceMean's are no geometry
    return _average(value, AveragePool(**sliding(plain, shape, shape[-1], shape[:-1]), include_pad=False), node, builder)


def _average(value: Potential | Spikes, step: AveragePool, node: Node, builder: Builder) -> Potential | Spikes:
    index = image_index(value)
    if isinstance(value, Potential) and not value.pooled_only:
        return _average_of_potential(value, step, index)
    source, path = builder.fan_in(value, node, index)
    pooled = Potential(node.name, (Connection(source=source, path=(*path, step)),), None, step.out_shape, channels_first(step.out_shape))
    return builder.fire(pooled, node.outputs[0]) if builder.pooling == "spiking" else pooled


def _average_of_potential(value: Potential, step: AveragePool, index: np.ndarray) -> Potential:
    padded = any(step.pads) or any(step.pads_end)
    if value.max_pools or padded or not np.array_equal(index.reshape(-1), np.arange(index.size)):
        raise UnsupportedNode("a padded or rearranged average of pre-activations", "pool behind the activation, or without padding")
    if not all(connection.path for connection in value.connections):
        raise UnsupportedNode("an average of a residual sum before its activation", "pool behind the activation")
    uniform = None if value.bias is None else value.bias.reshape(-1, value.shape[-1])
    if uniform is not None and not (uniform == uniform[0]).all():
        raise UnsupportedNode("an average of pre-activations whose bias differs by position", "pool behind the activation")
    bias = None if uniform is None else np.broadcast_to(uniform[0], step.out_shape)
    connections = tuple(replace_path(connection, step) for connection in value.connections)
    return replace(value, connections=connections, bias=bias, shape=step.out_shape, index=channels_first(step.out_shape))


def replace_path(connection: Connection, step: AveragePool) -> Connection:
    return Connection(source=connection.source, path=(*connection.path, step))


def lower_max_pool(node: Node, builder: Builder) -> None:
    if len(node.outputs) > 1 and node.outputs[1]:
        raise UnsupportedNode("its indices are used", "use a max-pool without indices")
    value = builder.value(node.inputs[0])
    index = image_index(value)
    geometry = sliding(node, index.shape, index.shape[-1], _kernel(node))
    out_index = channels_first(geometry["out_shape"])
    if isinstance(value, Potential) and not value.pooled_only:
        if not np.array_equal(index.reshape(-1), np.arange(index.size)):
            raise UnsupportedNode("a max-pool of rearranged pre-activations", "pool behind the activation")
        result = replace(value, index=out_index, max_pools=(*value.max_pools, geometry))
    else:
        spikes = builder.spikes(value, node)
        name = builder.max_pool(builder.ordered(spikes.source, image_index(spikes)), node.name, geometry, node.outputs[0], out_index)
        result = Spikes(name, out_index)
    builder.values[node.outputs[0]] = result
