"""Read an untrusted ONNX file."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from ..errors import ModelError
from ..files.content_kind import MODEL, refuse_others
from .canonical import runnable
from .external_data import check_external_data, no_external_data
from .known_operators import refuse_unknown


def load_onnx(path: str | Path) -> onnx.ModelProto:
    """The model at `path`, external data included, checked by onnx, see `runnable`. Raises ModelError with one line for whatever is
    wrong."""
    return said_plainly(whole_model(path), str(path))


def said_plainly(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    """`model` as `canonical.runnable` puts it. Raises ModelError, with `where`, for functions or sparse weights that are broken."""
    try:
        return runnable(model)
    except (RuntimeError, ValueError) as error:  # the inliner's, and those of sparse weights
        raise ModelError(where, one_line(error), "a valid ONNX model", "export it again") from error


def whole_model(path: str | Path) -> onnx.ModelProto:
    """The model at `path` as it is, external data included."""
    where, model = str(path), parsed(path)
    try:
        onnx.load_external_data_for_model(model, str(Path(path).parent))
    except (OSError, onnx.checker.ValidationError, ValueError) as error:
        raise no_external_data(where, error) from error
    check_onnx(model, where)
    return model


def parsed(path: str | Path, where: str | None = None) -> onnx.ModelProto:
    """The model at `path` without its external data, not checked but for where these lie and how large they are, and that its operators are known.
    Raises ModelError, with `where`, by default the path."""
    where = where or str(path)
    model = as_it_is(path, where)
    refuse_unknown(model, where)
    check_external_data(model, Path(path).parent, where)
    return model


def as_it_is(path: str | Path, where: str) -> onnx.ModelProto:
    """The graph at `path`, about which nothing is known. Raises ModelError, with `where`, for a file that is none."""
    try:
        model = onnx.load(str(path), format="protobuf", load_external_data=False)
    except (DecodeError, UnicodeDecodeError, ValueError) as error:
        refuse_others(path, MODEL, ModelError, "an ONNX model")
        raise ModelError(where, "is not an ONNX model or is cut short", "a protobuf with an ONNX graph", "export it again") from error
    except OSError as error:
        raise ModelError(where, f"cannot be read ({error.strerror or error})", "an ONNX file") from error
    if not model.ir_version or not model.graph.node:
        refuse_others(path, MODEL, ModelError, "an ONNX model")
        raise ModelError(where, "a protobuf without an ONNX graph", "an ONNX model", "export the trained network with its framework's ONNX exporter")
    return model


def check_onnx(model: onnx.ModelProto | Path, where: str) -> None:
    """Raises ModelError, with `where`, for a model, or the file of one, that onnx's checker refuses."""
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        folder = model.parent if isinstance(model, Path) else None
        raise ModelError(where, f"onnx's checker refuses it ({one_line(error, folder)})", "a valid ONNX model", "export it again") from error


def one_line(error: Exception, folder: Path | None = None) -> str:
    """The error's text, without the temporary `folder`."""
    text = " ".join(str(error).split())
    return (text if folder is None else text.replace(f"{folder}/", ""))[:300]
