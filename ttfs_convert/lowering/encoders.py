"""Where values become spikes: the populations that encode the model's inputs, or what the head makes of them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx

from ..network.populations import Input
from ..onnx_model.node import Node
from .builder import Builder, UnsupportedNode
from .values import Spikes, channels_first, flat_index

POSITIONAL = ("AveragePool", "Conv", "ConvTranspose", "GlobalAveragePool", "GlobalMaxPool", "MaxPool")  # read (batch, channels, *positions)
KEEPING = (
    "Add",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Div",
    "Gather",
    "Identity",
    "Mul",
    "Neg",
    "Pad",
    "Relu",
    "Resize",
    "Slice",
    "Split",
    "Sub",
    "Upsample",
)  # may stand between them and the input: axis 1 stays the channels'


def enter(
    name: str,
    info: onnx.TypeProto.Tensor,
    nodes: list[Node],
    builder: Builder,
    ends: tuple[float, float] | Literal["data"] | None,
    first: bool | None = None,
) -> Spikes:
    """A new input population for the ONNX tensor `name`. info: its type and shape. ends: smallest and largest of its values; None: analog
    current; "data": channel by channel from calibration data. first: whether its channels are its first axis, by default as the nodes
    that read it take them.

    Raises UnsupportedNode for a tensor that is no float32.
    """
    shape = tuple(dim.dim_value for dim in info.shape.dim)
    kind = onnx.TensorProto.DataType.Name(info.elem_type)
    if kind != "FLOAT" or not shape or 0 in shape:
        raise UnsupportedNode(f"its input {name!r} is {kind} of shape {shape} for one sample", "FLOAT of one axis or more")
    batched = shape[0] == 1
    whole, shape = shape, shape[1:] if batched else shape
    first = batched and bool(shape[1:]) and (read_by_position(name, nodes) if first is None else first)
    layer_shape = (*shape[1:], shape[0]) if first else shape or (1,)
    index = channels_first(layer_shape) if first else flat_index(whole)
    direct, measured = ends is None, ends == "data"
    lo, hi = (
        builder.ranges.of_input(name, index, layer_shape[-1])
        if measured
        else (np.full(layer_shape[-1], end, np.float32) for end in ends or (0.0, 1.0))
    )
    layer = builder.add(
        Input(
            name=builder.unique(name),
            shape=layer_shape,
            window=-1 if direct else 0,
            tensor=name if measured else None,
            onnx_name=name,
            onnx_shape=shape,
            channels_first=first,
            coding="direct" if direct else "spikes",
            measured=measured,
            lo=lo,
            hi=hi,
        )
    )
    offset = lo.astype(np.float64)
    return Spikes(layer.name, index, layer_shape, hi - offset, offset, direct, raw=True)


def read_by_position(name: str, nodes: list[Node]) -> bool:
    """Whether the tensor is an image with its channels first."""
    same = {name}
    for node in nodes:
        if same.intersection(node.inputs) and node.operator in KEEPING:
            same.update(node.outputs)
    return any(node.operator in POSITIONAL and node.inputs[0] in same for node in nodes)
