"""Read an untrusted ONNX file, and let ONNX Runtime simplify it for conversion."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError

from .errors import ModelError


def load_onnx(path: str | Path) -> onnx.ModelProto:
    """The model at `path`, external data included, checked by onnx. Raises ModelError with one line for whatever is wrong."""
    where = str(path)
    try:
        model = onnx.load(str(path), format="protobuf", load_external_data=False)
    except (DecodeError, UnicodeDecodeError, ValueError) as error:
        raise ModelError(where, "is not an ONNX model or is cut short", "a protobuf with an ONNX graph", "export it again") from error
    except OSError as error:
        raise ModelError(where, f"cannot be read ({error.strerror or error})", "an ONNX file") from error
    if not model.ir_version or not model.graph.node:
        raise ModelError(where, "a protobuf without an ONNX graph", "an ONNX model",
                         "export the trained network with its framework's ONNX exporter")
    try:
        onnx.load_external_data_for_model(model, str(Path(path).parent))
    except (OSError, onnx.checker.ValidationError, ValueError) as error:
        raise ModelError(where, f"external data cannot be read ({error})", "the file beside the model, inside its folder",
                         "keep both files together, or export with the weights inside") from error
    check_onnx(model, where)
    return model


def check_onnx(model: onnx.ModelProto, where: str) -> None:
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise ModelError(where, f"onnx's checker refuses it ({one_line(error)})", "a valid ONNX model", "export it again") from error


def _zeros(model: onnx.ModelProto, constants: set[str]) -> dict[str, np.ndarray]:
    tensors = {value.name: value.type.tensor_type for value in model.graph.input if value.name not in constants}
    return {name: np.zeros([dim.dim_value for dim in tensor.shape.dim], onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
            for name, tensor in tensors.items()}


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def sha256_of(model_bytes: bytes) -> str:
    return hashlib.sha256(model_bytes).hexdigest()


def normalise(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    """`model` for one image, after ONNX Runtime's basic rewrites: constants and BatchNorm folded, identities and dropout gone.

    The batch axis (the first one of every input) becomes 1, and with it all shapes are known. Raises ModelError when ONNX Runtime
    cannot run the model or an input has another axis of unknown size.
    """
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    constants = {tensor.name for tensor in fixed.graph.initializer}
    for value in fixed.graph.input:
        if value.name in constants:
            continue
        dims = value.type.tensor_type.shape.dim
        for axis, dim in enumerate(dims):
            if axis == 0:
                dim.ClearField("dim_param")
                dim.dim_value = 1
            elif not dim.HasField("dim_value") or dim.dim_value < 1:
                raise ModelError(where, f"axis {axis} of input {value.name!r} has no fixed size ({dim.dim_param or 'unknown'})",
                                 "only the batch (axis 0) to be dynamic", "export with fixed image sizes")
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    del fixed.graph.value_info[:]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "normalised.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(fixed.SerializeToString(), options, providers=["CPUExecutionProvider"])
            session.run(None, _zeros(fixed, constants))  # some shapes are checked only now, such as those that rely on a fixed batch
        except Exception as error:  # ONNX Runtime has one exception class per status, none of them public
            raise ModelError(where, f"ONNX Runtime cannot run it with one image ({one_line(error)})", "a model that runs",
                             "check it with onnxruntime alone, and export it with a dynamic batch axis") from error
        return onnx.shape_inference.infer_shapes(onnx.load(str(target)))
