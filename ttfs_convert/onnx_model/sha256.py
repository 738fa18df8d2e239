"""SHA-256 of a model, files with its weights included."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ..errors import ModelError
from .external_data import check_external_data, external_files, no_external_data
from .read import as_it_is


def sha256_of(path: str | Path) -> str:
    """Of the file at `path` and, if it is a model with weights in other files, of those after it. Raises ModelError if one cannot be
    read."""
    try:
        model = as_it_is(path, str(path))
    except ModelError:
        return digest(Path(path), ())
    check_external_data(model, Path(path).parent, str(path))
    return digest(Path(path), external_files(model, Path(path).parent))


def digest(path: Path, external: Sequence[Path]) -> str:
    """SHA-256, in hexadecimal digits, of the bytes at `path`, and of those in the files `external` after them."""
    digest = hashlib.sha256()
    for part in (path, *external):
        try:
            with open(part, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise (
                ModelError(str(path), f"cannot be read ({error.strerror or error})", "an ONNX file")
                if part == path
                else no_external_data(str(path), error)
            ) from error
    return digest.hexdigest()
