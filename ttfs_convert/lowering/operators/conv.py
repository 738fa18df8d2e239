"""Conv: weights (out, in / groups, *kernel) -> synapses (*kernel, in / groups, out) from channels-last spikes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...network.synapses.convolution import Conv
from ...onnx_model.node import Node
from ..builder import Builder, UnsupportedNode
from .sliding_geometry import image_index, image_order, sliding


def lower_conv(node: Node, builder: Builder) -> None:
    weights = builder.constant(node, 1, "weights")
    if weights.ndim not in (3, 4):
        raise UnsupportedNode(f"a {weights.ndim - 2}-D convolution", "use 1-D or 2-D convolutions")
    value = builder.data(node)
    index = image_index(value)
    bias = builder.constant(node, 2, "bias", None)
    geometry = sliding(node, index.shape, weights.shape[0], weights.shape[2:])
    kernel = np.ascontiguousarray(np.moveaxis(weights, (0, 1), (-1, -2)), np.float32)
    step = Conv(**geometry, groups=node.attributes.get("group", 1), weights=kernel.reshape(*geometry["kernel"], *kernel.shape[-2:]))
    result = builder.synapses(value, node, step, index)
    builder.values[node.outputs[0]] = replace(
        result, index=image_order(step.out_shape, weights.ndim), bias=result.bias if bias is None else result.bias + bias
    )
