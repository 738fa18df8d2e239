"""A model whose large weights are in a folder instead of in memory: ONNX Runtime maps the file, and keeps only what it lays out anew."""

from __future__ import annotations

from pathlib import Path

import onnx

from .external_data import WEIGHTS, external_files, load_weights, move_weights, no_external_data
from .read import parsed

ORIGINAL = "original.onnx"


def file_apart(path: Path, folder: Path, where: str) -> tuple[onnx.ModelProto, tuple[Path, ...]]:
    """The model at `path` as `apart`, and the files beside it that held some of its weights. Raises ModelError, with `where`."""
    model = parsed(path, where)
    external = external_files(model, path.parent)
    try:
        load_weights(model, path.parent)
    except (OSError, onnx.checker.ValidationError, ValueError) as error:
        raise no_external_data(where, error) from error
    return apart(model, folder, where), external


def apart(model: onnx.ModelProto, folder: Path, where: str) -> onnx.ModelProto:
    """`model`, which loses them, with its large weights in `folder`, where it is saved as ORIGINAL. It is read again from there: a model keeps
    the memory of what it has lost, so that callers let go of theirs. Raises ModelError for weights that do not have their shape's size."""
    move_weights(model, folder / WEIGHTS, where)
    onnx.save(model, str(folder / ORIGINAL))
    return onnx.load(str(folder / ORIGINAL), load_external_data=False)
