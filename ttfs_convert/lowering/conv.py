"""Conv: weights (out, in / groups, *kernel) -> synapses (*kernel, in / groups, out) from channels-last spikes."""

from __future__ import annotations

import numpy as np

from ..ir import Connection, Conv
from .builder import Builder, UnsupportedNode
from .geometry import image_index, sliding
from .values import Node, Potential, channels_first


def lower_conv(node: Node, builder: Builder) -> None:
    weights = builder.constant(node, 1, "weights")
    if weights.ndim not in (3, 4):
        raise UnsupportedNode(f"a {weights.ndim - 2}-D convolution", "use 1-D or 2-D convolutions")
    value = builder.value(node.inputs[0])
    index = image_index(value)
    bias = builder.constant(node, 2, "bias")
    source, path = builder.fan_in(value, node, index)
    step = Conv(**sliding(node, index.shape, weights.shape[0], weights.shape[2:]), groups=node.attributes.get("group", 1),
                weights=np.ascontiguousarray(np.moveaxis(weights, (0, 1), (-1, -2)), np.float32))
    full_bias = None if bias is None else np.broadcast_to(bias.astype(np.float32), step.out_shape)
    builder.values[node.outputs[0]] = Potential(node.name, (Connection(source=source, path=(*path, step)),), full_bias,
                                                step.out_shape, channels_first(step.out_shape))
