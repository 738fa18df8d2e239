"""ConvTranspose: a convolution with its kernel turned round, over inputs that are `strides` apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...network.synapses.convolution import Conv
from ...network.synapses.spread import Spread
from ...onnx_model.node import Node
from ..builder import Builder, UnsupportedNode
from .sliding_geometry import image_index, image_order


def lower_conv_transpose(node: Node, builder: Builder) -> None:
    weights = builder.constant(node, 1, "weights")
    if weights.ndim not in (3, 4):
        raise UnsupportedNode(f"a {weights.ndim - 2}-D transposed convolution", "use 1-D or 2-D ones")
    value, bias = builder.data(node), builder.constant(node, 2, "bias", None)
    order, groups, axes = image_index(value), node.attributes.get("group", 1), weights.ndim - 2
    strides = tuple(node.attributes.get("strides", (1,) * axes))
    dilations = tuple(node.attributes.get("dilations", (1,) * axes))
    images = order.shape[: -1 - axes]  # folded into the batch axis
    wide = tuple((size - 1) * stride + 1 for size, stride in zip(order.shape[-1 - axes :], strides))
    before, after = _padding(node, wide, weights.shape[2:], dilations)
    out = tuple(size + b + a - dilation * (kernel - 1) for size, b, a, dilation, kernel in zip(wide, before, after, dilations, weights.shape[2:]))
    if min(*before, *after) < 0 or min(out) < 1:
        raise UnsupportedNode(f"pads {node.attributes.get('pads')} beyond its kernel {weights.shape[2:]}", "use pads below the kernel's size")
    outputs = weights.shape[1] * groups
    ones, none = (1,) * len(images), (0,) * len(images)
    spread = Spread(in_shape=order.shape, out_shape=(*images, *wide, order.shape[-1]), strides=(*ones, *strides))
    turned = np.flip(weights, tuple(range(2, weights.ndim))).reshape(groups, -1, *weights.shape[1:])  # (group, in / groups, out / groups, *kernel)
    kernel = (*ones, *weights.shape[2:])
    turned = np.moveaxis(turned, (1, 0, 2), (-3, -2, -1)).reshape(*kernel, -1, outputs)
    step = Conv(
        in_shape=spread.out_shape,
        out_shape=(*images, *out, outputs),
        kernel=kernel,
        strides=(1,) * len(kernel),
        dilations=(*ones, *dilations),
        pads=(*none, *before),
        pads_end=(*none, *after),
        groups=groups,
        weights=np.ascontiguousarray(turned, np.float32),
    )
    result = builder.synapses(value, node, (spread, step), order)
    builder.values[node.outputs[0]] = replace(
        result, index=image_order(step.out_shape, weights.ndim), bias=result.bias if bias is None else result.bias + bias
    )


def _padding(node: Node, wide: tuple[int, ...], kernel: tuple[int, ...], dilations: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Padding of the convolution before and after, per axis (ONNX operator ConvTranspose: pads are cut off its full output)."""
    axes = len(kernel)
    extra = node.attributes.get("output_padding", (0,) * axes)
    pads = node.attributes.get("pads", (0,) * 2 * axes)
    auto_pad, asked = node.attributes.get("auto_pad", "NOTSET"), node.attributes.get("output_shape")
    reach = [dilation * (size - 1) for dilation, size in zip(dilations, kernel)]
    strides = node.attributes.get("strides", (1,) * axes)
    if asked is None and auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        asked = [((size - 1) // stride + 1) * stride for size, stride in zip(wide, strides)]
    before, after = [], []
    for axis in range(axes):
        cut = (pads[axis], pads[axes + axis]) if auto_pad != "VALID" else (0, 0)
        if asked is not None:
            total = wide[axis] + reach[axis] + extra[axis] - asked[-axes:][axis]
            cut = (total // 2, total - total // 2) if auto_pad == "SAME_UPPER" else (total - total // 2, total // 2)
        before.append(reach[axis] - cut[0])
        after.append(reach[axis] - cut[1] + extra[axis])
    return tuple(before), tuple(after)
