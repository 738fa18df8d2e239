"""The original of a network: embedded in it, or the file that it was converted from."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path

import onnx

from ..errors import ModelError, UsageError
from ..files.atomic import writing
from ..files.content_kind import MODEL, refuse_others
from ..files.mapped import let_go
from ..network.network import Network
from ..onnx_model.canonical import runnable
from ..onnx_model.embedded import embedded_model
from ..onnx_model.read import check_onnx, load_onnx, said_plainly
from ..onnx_model.sha256 import sha256_of
from ..onnx_model.weights_apart import ORIGINAL, apart, file_apart
from ..simulation.run_size import weight_bytes

EMBEDDED = "embedded model"
LARGE = 4 << 20  # bytes of weights from which on they are kept in a file: sessions then share what they do not lay out anew


def original_model(network: Network, onnx_file: str | Path | None, folder: Path | None = None) -> onnx.ModelProto:
    """The model that `network` was converted from, in `onnx_file` if that is given, else inside the network. folder: where its large weights are
    put, instead of into memory. Raises ModelError for a file that is another one, UsageError where there is neither, TtfsError if the folder
    cannot be written to."""
    if onnx_file is not None:
        _check_same(network, onnx_file)
    elif network.onnx is None:
        raise UsageError("network", "the original model is not inside", remedy="name it with --onnx FILE")
    if folder is not None:
        with writing(folder, "free some space, or set TMPDIR to a folder on another disk"):
            return _apart(network, onnx_file, folder)
    if onnx_file is not None:
        return load_onnx(onnx_file)
    model = _embedded(network)
    check_onnx(model, EMBEDDED)
    return runnable(model)


def _apart(network: Network, onnx_file: str | Path | None, folder: Path) -> onnx.ModelProto:
    where = EMBEDDED if onnx_file is None else str(onnx_file)
    model = apart(_embedded(network), folder, where) if onnx_file is None else file_apart(Path(onnx_file), folder, where)[0]
    check_onnx(folder / ORIGINAL, where)
    return runnable(model) if onnx_file is None else said_plainly(model, where)


def _embedded(network: Network) -> onnx.ModelProto:
    if network.onnx is None:
        raise TypeError("a network without its original")
    model = embedded_model(network.onnx, EMBEDDED)
    let_go(network.onnx)
    return model


def _check_same(network: Network, onnx_file: str | Path) -> None:
    found = sha256_of(onnx_file)
    if found != network.onnx_sha256:
        refuse_others(onnx_file, MODEL, ModelError, "the ONNX model that was converted")
        raise ModelError(
            str(onnx_file),
            f"SHA-256 {found[:16]}...",
            f"{network.onnx_sha256[:16]}..., the model that was converted",
            "name that file, or convert this one",
        )


def folder_for_weights(network: Network, owner: object) -> Path | None:
    """A temporary folder for the weights of the original, which lasts as long as `owner`; None where they are few."""
    if weight_bytes(network) < LARGE:
        return None
    folder = tempfile.mkdtemp(prefix="ttfs-")
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
