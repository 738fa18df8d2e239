"""Labelled test or training data by name or path, and its batches as a model's input: `load_dataset`, then `fit_to_input`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import DataError, UsageError
from ..file_kind import DATA, refuse_others
from . import cifar, files, folder, idx, npz
from .fit import Batches, fit_to_input, fit_to_inputs

__all__ = ["Batches", "Dataset", "fit_to_input", "fit_to_inputs", "load_dataset"]

EXPECTED = "data: an .npz with x and, for accuracy, y, or a folder of pictures"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples and labels, as read."""

    name: str
    x: np.ndarray  # images: (n, h, w, c) uint8, c = 1 or 3; else (n, ...) uint8 or float32, exactly as the .npz held them
    y: np.ndarray | None  # (n,) int64 labels
    sha256: str  # over dtype, shape and bytes of x and y
    total: int  # samples before `limit`
    notes: tuple[str, ...]  # what a reader of the results has to know, one phrase each
    image: bool  # whether x is known to be images
    inputs: Mapping[str, np.ndarray] = field(default_factory=dict)  # for a model with several inputs: all of them, by name

    def __len__(self) -> int:
        return len(self.x)


def load_dataset(source: str, *, data_dir: Path | None = None, limit: int | None = None,
                 split: Literal["test", "train"] = "test") -> Dataset:
    """The test or the training samples of a data set.

    source: `mnist`, `fashion-mnist`, `cifar10`, `cifar100` (a folder of such a name: write ./mnist), or the path of an .npz with x and
    optionally y, or, for a model with several inputs, an array per input under its name, or of a folder with one sub-folder of images per class.
    data_dir: where the raw files of a named data set are looked for first (see `files.find`).
    limit: take the first `limit` samples; from a folder of images these are spread over the classes.
    split: which images of a named data set. A path holds one set of samples, which either split gives.
    Raises UsageError for a limit below 1 or an unknown split and DataError for data that is missing or broken.
    """
    if limit is not None and limit < 1:
        raise UsageError("--limit", f"{limit}", "1 or more")
    if split not in files.SPLITS:
        raise UsageError("split", f"{split}", " or ".join(files.SPLITS))
    name, notes, inputs = Path(source).name, (), {}
    if source in files.SOURCES:
        name = source if split == "test" else f"{source} ({split})"
        paths = files.find(source, split, data_dir)
        if source in cifar.FORMATS:
            x, y = cifar.read(paths[0], source, split)
        else:
            x, y, notes = idx.read(*paths, split)
    elif Path(source).is_dir():
        x, y, total, notes = folder.read(Path(source), limit)
        return Dataset(Path(source).resolve().name, x, y, _sha256(x, y), total, notes, True)
    elif Path(source).suffix.lower() == ".npz" and Path(source).is_file():
        refuse_others(source, DATA, DataError, EXPECTED)
        arrays, y = npz.read(Path(source))
        x = next(iter(arrays.values()))
        inputs = {name: array[:limit] for name, array in arrays.items()} if "x" not in arrays else {}
    else:
        if Path(source).is_file():
            refuse_others(source, DATA, DataError, EXPECTED)
        found = "not an .npz file" if Path(source).is_file() else "no such data set, file or folder"
        raise DataError(source, found, f"{', '.join(files.SOURCES)}, or the path of an .npz or of a folder with images")
    total = len(x)
    x, y = x[:limit], None if y is None else y[:limit]
    digest = _sha256(x, y, *(array for array in inputs.values() if len(inputs) > 1))
    return Dataset(name, x, y, digest, total, notes, source in files.SOURCES, inputs)


def _sha256(*arrays: np.ndarray | None) -> str:
    digest = hashlib.sha256()
    for array in (array for array in arrays if array is not None):
        digest.update(f"{array.dtype.str} {array.shape};".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
