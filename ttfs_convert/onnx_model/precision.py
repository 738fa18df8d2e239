"""Models in float16, bfloat16 or float64, rewritten to float32, which everything here computes in."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, external_data_helper

OTHER_FLOATS: dict[int, str] = {TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16", TensorProto.DOUBLE: "float64"}
WEIGHTS = "float32.bin"
FLOAT_TYPED = {("Cast", "to"), ("EyeLike", "dtype")}  # attributes that name an element type


def to_float32(model: onnx.ModelProto, folder: Path) -> str:
    """Rewrite every tensor of another float type in `model`, its external data in `folder`; return which type its weights had."""
    found = {tensor.data_type for tensor in model.graph.initializer} & set(OTHER_FLOATS)
    with open(folder / WEIGHTS, "wb") as file:
        for tensor in model.graph.initializer:
            if tensor.data_type in OTHER_FLOATS:
                external = tensor.data_location == TensorProto.EXTERNAL
                array, offset = weight(tensor, folder).astype(np.float32), file.tell()
                tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
                if external:
                    file.write(tensor.raw_data)
                    external_data_helper.set_external_data(tensor, WEIGHTS, offset, array.nbytes)
                    tensor.ClearField("raw_data")
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if value.type.tensor_type.elem_type in OTHER_FLOATS:
            found.add(value.type.tensor_type.elem_type)
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type in OTHER_FLOATS:
                attribute.t.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(attribute.t).astype(np.float32)))
            elif (node.op_type, attribute.name) in FLOAT_TYPED and attribute.i in OTHER_FLOATS:
                attribute.i = TensorProto.FLOAT
    return " and ".join(OTHER_FLOATS[kind] for kind in sorted(found)) or "float32"


def weight(tensor: onnx.TensorProto, folder: Path | None) -> np.ndarray:
    """The array of an initializer whose external data, if it has some, are in `folder`. Unlike onnx's own reader this one leaves no copy
    of them in `tensor`."""
    if folder is None or tensor.data_location != TensorProto.EXTERNAL:
        return onnx.numpy_helper.to_array(tensor)
    place = external_data_helper.ExternalDataInfo(tensor)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return np.fromfile(folder / place.location, dtype, math.prod(tensor.dims), offset=place.offset or 0).reshape(tuple(tensor.dims))
