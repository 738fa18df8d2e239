"""Where values become spikes: the populations that encode the model's inputs, or what the head makes of them, or an analog part of the network."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx

from ..network.populations import Analog, Input
from ..network.records import Shape
from ..onnx_model.node import Node
from .builder import Builder
from .unsupported import UnsupportedNode
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
    shape, layer_shape, first, index = _layout(name, info, nodes, first)
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


def enter_analog(
    name: str, info: onnx.TypeProto.Tensor | None, nodes: list[Node], builder: Builder, part: Analog, ends: tuple[float, float]
) -> Spikes:
    """A new input population for the ONNX tensor `name`, which `part` gives. ends: between which its values lie, as far as known. Otherwise as
    `enter`."""
    if info is None:
        raise UnsupportedNode(f"its input {name!r} is of no known shape", "FLOAT of fixed sizes")
    shape, layer_shape, first, index = _layout(name, info, nodes)
    layer_name = builder.unique(name)
    lo, hi = builder.ranges.of_analog(layer_name, name, index, layer_shape[-1], ends)
    layer = builder.add(
        Input(
            name=layer_name,
            shape=layer_shape,
            window=part.window,
            tensor=name,
            onnx_name=name,
            onnx_shape=shape,
            channels_first=first,
            measured=True,
            source=part.name,
            lo=lo,
            hi=hi,
        )
    )
    builder.measured[layer_name] = name
    offset = lo.astype(np.float64)
    return Spikes(layer_name, index, layer.shape, hi - offset, offset)


def _layout(name: str, info: onnx.TypeProto.Tensor, nodes: list[Node], first: bool | None = None) -> tuple[Shape, Shape, bool, np.ndarray]:
    """Of a population for the ONNX tensor `name`: the tensor's shape without the batch, the population's, whether the tensor's channels come first,
    and the tensor's index. first: as for `enter`."""
    shape = tuple(dim.dim_value for dim in info.shape.dim)
    kind = onnx.TensorProto.DataType.Name(info.elem_type)
    if kind != "FLOAT" or not shape or 0 in shape:
        raise UnsupportedNode(f"its input {name!r} is {kind} of shape {shape} for one sample", "FLOAT of one axis or more")
    batched = shape[0] == 1
    whole, shape = shape, shape[1:] if batched else shape
    first = batched and bool(shape[1:]) and (read_by_position(name, nodes) if first is None else first)
    layer_shape = (*shape[1:], shape[0]) if first else shape or (1,)
    return shape, layer_shape, first, channels_first(layer_shape) if first else flat_index(whole)


def read_by_position(name: str, nodes: list[Node]) -> bool:
    """Whether the tensor is an image with its channels first."""
    same = {name}
    for node in nodes:
        if same.intersection(node.inputs) and node.operator in KEEPING:
            same.update(node.outputs)
    return any(node.operator in POSITIONAL and node.inputs[0] in same for node in nodes)
