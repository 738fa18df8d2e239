"""The element types that a model's inputs may have."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from ..errors import ModelError

INPUT_TYPES: dict[int, type[np.generic]] = {
    TensorProto.FLOAT: np.float32,
    TensorProto.FLOAT16: np.float16,
    TensorProto.DOUBLE: np.float64,
    TensorProto.INT8: np.int8,
    TensorProto.INT16: np.int16,
    TensorProto.INT32: np.int32,
    TensorProto.INT64: np.int64,
    TensorProto.UINT8: np.uint8,
    TensorProto.UINT16: np.uint16,
    TensorProto.UINT32: np.uint32,
    TensorProto.UINT64: np.uint64,
    TensorProto.BOOL: np.bool_,
}


def input_type(value: onnx.ValueInfoProto) -> np.dtype:
    """Of the arrays that the input `value` is given. Raises ModelError for one that takes no numbers."""
    kind = value.type.WhichOneof("value")
    number = value.type.tensor_type.elem_type
    if kind != "tensor_type" or number not in INPUT_TYPES:
        found = TensorProto.DataType.Name(number).lower() + "s" if kind == "tensor_type" else f"a {kind}"
        raise ModelError(
            f"input {value.name!r}", f"takes {found}", "numbers: floats, integers or booleans", "cut the model behind what turns them into numbers"
        )
    return np.dtype(INPUT_TYPES[number])
