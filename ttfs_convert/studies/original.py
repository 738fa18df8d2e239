"""The original of a network: embedded in it, or the file that it was converted from."""

from __future__ import annotations

from pathlib import Path

import onnx

from ..errors import ModelError, UsageError
from ..files.content_kind import MODEL, refuse_others
from ..network.network import Network
from ..onnx_model.canonical import runnable
from ..onnx_model.embedded import embedded_model
from ..onnx_model.read import check_onnx, load_onnx
from ..onnx_model.sha256 import sha256_of


def original_model(network: Network, onnx_file: str | Path | None) -> onnx.ModelProto:
    """The model that `network` was converted from, in `onnx_file` if that is given, else inside the network. Raises ModelError for a file that is
    another one, UsageError where there is neither."""
    if onnx_file is not None:
        found = sha256_of(onnx_file)
        if found != network.onnx_sha256:
            refuse_others(onnx_file, MODEL, ModelError, "the ONNX model that was converted")
            raise ModelError(
                str(onnx_file),
                f"SHA-256 {found[:16]}...",
                f"{network.onnx_sha256[:16]}..., the model that was converted",
                "name that file, or convert this one",
            )
        return load_onnx(onnx_file)
    if network.onnx is None:
        raise UsageError("network", "the original model is not inside", remedy="name it with --onnx FILE")
    model = embedded_model(network.onnx, "embedded model")
    check_onnx(model, "embedded model")
    return runnable(model)
