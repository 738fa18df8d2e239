"""ONNX models inside a network file, which are as untrusted as the file."""

from __future__ import annotations

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from ..errors import ModelError
from .external_data import has_external_data
from .known_operators import refuse_unknown


def embedded_model(content: np.ndarray, where: str) -> onnx.ModelProto:
    """The model that `content`, uint8, is. where: what it is in the network. Raises ModelError for what is no ONNX graph, for one that wants
    data from other files, and for operators that nobody knows."""
    try:
        model = onnx.ModelProto.FromString(content.tobytes())
    except (DecodeError, UnicodeDecodeError) as error:
        raise ModelError(where, "no ONNX model, or one cut short", "an ONNX model inside the network", "convert the model again") from error
    if has_external_data(model):
        raise ModelError(where, "weights in another file", "weights inside the network", "convert the model again")
    refuse_unknown(model, where)
    return model
