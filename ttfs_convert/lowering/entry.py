"""Where values become spikes: the populations that encode the model's inputs, or what the head makes of them."""

from __future__ import annotations

import numpy as np
import onnx

from ..ir import Input
from .builder import Builder, UnsupportedNode
from .values import Node, Spikes, channels_first, flat_index

POSITIONAL = ("AveragePool", "Conv", "ConvTranspose", "GlobalAveragePool", "GlobalMaxPool", "MaxPool")  # read (batch, channels, *positions)
ELEMENTWISE = ("Add", "BatchNormalization", "Cast", "Div", "Identity", "Mul", "Neg", "Sub")  # may stand between them and the input


def enter(name: str, info: onnx.TypeProto.Tensor, nodes: list[Node], builder: Builder,
          input_range: tuple[float, float] | None) -> Spikes:
    """A new input population for the ONNX tensor `name`. info: its type and shape. input_range: of its values; None: analog current.

    Raises UnsupportedNode for a tensor that is no float32.
    """
    shape = tuple(dim.dim_value for dim in info.shape.dim)
    kind = onnx.TensorProto.DataType.Name(info.elem_type)
    if kind != "FLOAT" or not shape or 0 in shape:
        raise UnsupportedNode(f"its input {name!r} is {kind} of shape {shape} for one sample", "FLOAT of one axis or more")
    whole, shape = shape, shape[1:] if shape[0] == 1 else shape
    first = len(shape) > 1 and len(whole) > len(shape) and _read_by_position(name, nodes)
    layer_shape = (*shape[1:], shape[0]) if first else shape or (1,)
    index = channels_first(layer_shape) if first else flat_index(whole)
    direct, (lo, hi) = input_range is None, input_range or (0.0, 1.0)
    ends = {"lo": np.full(layer_shape[-1], lo, np.float32), "hi": np.full(layer_shape[-1], hi, np.float32)}
    layer = builder.add(Input(name=builder.unique(name), shape=layer_shape, window=-1 if direct else 0, tensor=None, onnx_name=name,
                              onnx_shape=shape, channels_first=first, coding="direct" if direct else "spikes", **ends))
    offset = ends["lo"].astype(np.float64)
    return Spikes(layer.name, index, layer_shape, ends["hi"] - offset, offset, direct, raw=True)


def _read_by_position(name: str, nodes: list[Node]) -> bool:
    """Whether the tensor is an image with its channels first."""
    same = {name}
    for node in nodes:
        if same.intersection(node.inputs) and node.operator in ELEMENTWISE:
            same.update(node.outputs)
    return any(node.operator in POSITIONAL and node.inputs[0] in same for node in nodes)
