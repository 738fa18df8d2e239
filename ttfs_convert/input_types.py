"""The element types that a model's inputs may have, and data as these types: never wrapped, cut or rounded."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from .errors import DataError, ModelError

INPUT_TYPES = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16, TensorProto.DOUBLE: np.float64, TensorProto.INT8: np.int8,
               TensorProto.INT16: np.int16, TensorProto.INT32: np.int32, TensorProto.INT64: np.int64, TensorProto.UINT8: np.uint8,
               TensorProto.UINT16: np.uint16, TensorProto.UINT32: np.uint32, TensorProto.UINT64: np.uint64, TensorProto.BOOL: np.bool_}


def input_type(value: onnx.ValueInfoProto) -> np.dtype:
    """Of the arrays that the input `value` is given. Raises ModelError for one that takes no numbers."""
    kind = value.type.WhichOneof("value")
    number = value.type.tensor_type.elem_type
    if kind != "tensor_type" or number not in INPUT_TYPES:
        found = TensorProto.DataType.Name(number).lower() + "s" if kind == "tensor_type" else f"a {kind}"
        raise ModelError(f"input {value.name!r}", f"takes {found}", "numbers: floats, integers or booleans",
                         "cut the model behind what turns them into numbers")
    return np.dtype(INPUT_TYPES[number])


def is_float(dtype: np.dtype) -> bool:
    return np.dtype(dtype).kind == "f"


def as_type(values: np.ndarray, dtype: np.dtype, where: str) -> np.ndarray:
    """`values`, numbers of any type, as `dtype`, an integer type or bool. Raises DataError for a number that it cannot hold: a fraction,
    one out of its range, one that is not finite."""
    dtype = np.dtype(dtype)
    if values.dtype == dtype or not values.size:
        return values.astype(dtype, copy=False)
    lowest, highest = values.min(), values.max()
    if values.dtype.kind == "f":
        if not np.isfinite([lowest, highest]).all():
            raise DataError(where, "values that are not finite", f"whole numbers, as {dtype} holds them", "mend or leave out the samples")
        if not (np.rint(values) == values).all():
            found = values[np.rint(values) != values].flat[0]
            raise DataError(where, f"a fraction, {found:g}", f"whole numbers: the model's input is {dtype}",
                            "give the values that the model was exported for, unscaled")
    smallest, largest = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if int(lowest) < smallest or int(highest) > largest:
        raise DataError(where, f"values from {int(lowest)} to {int(highest)}", f"{smallest} to {largest}: the model's input is {dtype}",
                        "give the values that the model was exported for")
    return values.astype(dtype)
