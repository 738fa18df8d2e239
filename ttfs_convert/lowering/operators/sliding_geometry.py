"""Sliding geometry from ONNX attributes: explicit pads, auto_pad and ceil_mode as the ONNX operator specification defines them."""

from __future__ import annotations

import numpy as np

from ...network.records import Shape
from ...onnx_model.node import Node
from ..builder import UnsupportedNode
from ..values import Geometry, Potential, Spikes, channels_first, flat_index


def image_index(value: Spikes | Potential) -> np.ndarray:
    """Index of the images of one sample: (*spatial, channels), or (images, *spatial, channels) where others are folded into the batch axis."""
    index = np.moveaxis(value.index, 1, -1)
    return index[0] if len(index) == 1 else index


def image_order(shape: Shape, rank: int) -> np.ndarray:
    """Index of the ONNX tensor of `rank` axes, (batch, channels, *spatial), of a population of `shape`, as `image_index` orders it."""
    return channels_first(shape) if len(shape) < rank else np.moveaxis(flat_index(shape), -1, 1)


def sliding(node: Node, in_shape: Shape, out_channels: int, kernel: Shape) -> Geometry:
    """Keyword arguments of Sliding for `node` over inputs (*spatial, channels) or (images, *spatial, channels), one image at a time."""
    folded = len(in_shape) - 1 - len(kernel)
    each = _over_positions(node, in_shape[folded:], out_channels, kernel)
    images, ones, none = in_shape[:folded], (1,) * folded, (0,) * folded
    return {
        "in_shape": (*images, *each["in_shape"]),
        "out_shape": (*images, *each["out_shape"]),
        "kernel": (*ones, *each["kernel"]),
        "strides": (*ones, *each["strides"]),
        "dilations": (*ones, *each["dilations"]),
        "pads": (*none, *each["pads"]),
        "pads_end": (*none, *each["pads_end"]),
    }


def _over_positions(node: Node, in_shape: Shape, out_channels: int, kernel: Shape) -> Geometry:
    axes = len(kernel)
    strides = tuple(node.attributes.get("strides", (1,) * axes))
    dilations = tuple(node.attributes.get("dilations", (1,) * axes))
    pads = tuple(node.attributes.get("pads", (0,) * 2 * axes))
    auto_pad, ceil_mode = node.attributes.get("auto_pad", "NOTSET"), node.attributes.get("ceil_mode", 0)
    begin, end, out = [], [], []
    for axis in range(axes):
        size, extent = in_shape[axis], dilations[axis] * (kernel[axis] - 1) + 1
        if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            count = -(-size // strides[axis])
            total = max(0, (count - 1) * strides[axis] + extent - size)
            before = total // 2 if auto_pad == "SAME_UPPER" else total - total // 2
            after = total - before
        else:
            before, after = (0, 0) if auto_pad == "VALID" else (pads[axis], pads[axes + axis])
            room = size + before + after - extent
            count = (-(-room // strides[axis]) if ceil_mode else room // strides[axis]) + 1
            if ceil_mode and (count - 1) * strides[axis] >= size + before:
                count -= 1  # a window that would start in the padding behind the data is dropped
        if before < 0 or after < 0 or count < 1:
            raise UnsupportedNode(f"kernel {kernel} with pads {pads} does not fit its input {in_shape}", "use pads that are not negative")
        begin.append(before)
        end.append(after)
        out.append(count)
    return {
        "in_shape": tuple(in_shape),
        "out_shape": (*out, out_channels),
        "kernel": tuple(kernel),
        "strides": strides,
        "dilations": dilations,
        "pads": tuple(begin),
        "pads_end": tuple(end),
    }
