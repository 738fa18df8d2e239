"""Labelled test or training data by name or path, and its batches as a model's input: `load_dataset`, then `fit_to_input`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import DataError, UsageError
from ..files.content_kind import DATA, refuse_others
from . import cifar, idx, image_folder, npz, raw_files
from .model_inputs import Batches, fit_to_input, fit_to_inputs, image_size

__all__ = ["Batches", "Dataset", "dataset_of_arrays", "fit_to_input", "fit_to_inputs", "image_size", "load_dataset"]

SHOWN = 3  # names of broken images in a note
EXPECTED = "data: an .npz with x and, for accuracy, y, or a folder of pictures"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples and labels, as read."""

    name: str
    x: np.ndarray  # images: (n, h, w, c) uint8, c = 1 or 3; else (n, ...), integers and booleans as the .npz held them, or float32
    y: np.ndarray | None  # labels (n,): int64, or class names as NumPy strings; None without
    sha256: str  # over dtype, shape and bytes of x and y
    total: int  # samples before `limit`
    notes: tuple[str, ...]  # what a reader of the results has to know, one phrase each
    image: bool  # whether x is known to be images
    inputs: Mapping[str, np.ndarray] = field(default_factory=dict)  # what the file holds beside labels, by name: for a model with several inputs
    targets: np.ndarray | None = None  # (n, ...) what the model's output should be, float32 or whole numbers; numbers that may be labels are in both
    class_names: tuple[str, ...] = ()  # of label 0, 1, ..., where the source has names for them
    x_name: str = "x"  # of x in `inputs`; "" where the source does not say which it is: the model's input has to have the name of one
    arrays: tuple[str, ...] = ("x",)  # names of all that the source holds
    skipped: tuple[image_folder.Skipped, ...] = ()  # broken images of a folder that were left out

    def __len__(self) -> int:
        return len(self.x)

    @property
    def left_out(self) -> tuple[str, ...]:
        """That broken images are left out, and which, as a note; nothing where none are."""
        if not self.skipped:
            return ()
        first, more = ", ".join(each.file for each in self.skipped[:SHOWN]), len(self.skipped) - SHOWN
        others = f" and {more:,} more" if more > 0 else ""
        return (f"--skip-broken: {len(self.skipped):,} broken image{'s are' if len(self.skipped) > 1 else ' is'} left out, {first}{others}",)

    def take(self, rows: slice | np.ndarray) -> Dataset:
        """The samples `rows`, with all that belongs to them."""
        inputs = {name: values[rows] for name, values in self.inputs.items()}
        y, targets = (None if each is None else each[rows] for each in (self.y, self.targets))
        x = inputs[self.x_name] if self.x is self.inputs.get(self.x_name) else self.x[rows]
        return replace(self, x=x, y=y, targets=targets, inputs=inputs)

    def first(self, limit: int | None) -> Dataset:
        """The first `limit` samples, None for all, with the SHA-256 of these; `total` stays. Raises UsageError for a limit below 1."""
        _check_limit(limit)
        data = self.take(slice(limit))
        others = [array for array in data.inputs.values() if array is not data.x]
        return replace(data, sha256=_sha256(data.x, data.y, None if data.y is not None else data.targets, *others))


def load_dataset(
    source: str | Path,
    *,
    data_dir: str | Path | None = None,
    limit: int | None = None,
    split: Literal["test", "train"] = "test",
    size: tuple[int, int] | None = None,
    skip_broken: bool = False,
) -> Dataset:
    """The test or the training samples of a data set.

    source: `mnist`, `fashion-mnist`, `cifar10`, `cifar100` (a folder of such a name: write ./mnist), or the path of an .npz with x and
        optionally y, or a usual pair of other names (see `data.npz.read`), or, for a model with several inputs, an array per input under its
        name, or of a folder with one sub-folder of images per class, or with images in `input` and targets of equal names in `target`.
    data_dir: where the raw files of a named data set are looked for first (see `data.raw_files.find`).
    limit: take the first `limit` samples; from a folder of images these are spread over the classes.
    split: which images of a named data set, and which part of an .npz that has several (x_train, x_test).
    size: height and width that the model takes, which images of a folder are held against.
    skip_broken: leave images of a folder out that cannot be decoded; labels of the others stay, and `skipped` says which.

    Raises UsageError for a limit below 1 or an unknown split and DataError for data that is missing or broken.
    """
    _check_limit(limit)
    if split not in raw_files.SPLITS:
        raise UsageError("split", f"{split}", " or ".join(raw_files.SPLITS))
    source, data_dir = str(source), None if data_dir is None else Path(data_dir)
    if source in raw_files.SOURCES:
        paths = raw_files.find(source, split, data_dir)
        if source in cifar.FORMATS:
            (x, y), notes = cifar.read(paths[0], source, split), ()
        else:
            images, labels = paths
            x, y, notes = idx.read(images, labels, split)
        data = Dataset(source if split == "test" else f"{source} ({split})", x, y, "", len(x), notes, True)
    elif Path(source).is_dir():
        read = image_folder.read_pairs if image_folder.holds_pairs(Path(source)) else image_folder.read
        data = _of_pictures(Path(source).resolve().name, read(Path(source), limit, size, skip_broken))
    elif Path(source).suffix.lower() == ".npz" and Path(source).is_file():
        refuse_others(source, DATA, DataError, EXPECTED)
        data = _of_contents(Path(source).name, npz.read(Path(source), split))
    else:
        if Path(source).is_file():
            refuse_others(source, DATA, DataError, EXPECTED)
        found = "not an .npz file" if Path(source).is_file() else "no such data set, file or folder"
        raise DataError(source, found, f"{', '.join(raw_files.SOURCES)}, or the path of an .npz or of a folder with images")
    return data.first(limit)


def dataset_of_arrays(x: np.ndarray | Mapping[str, np.ndarray], y: np.ndarray | None, name: str = "arrays") -> Dataset:
    """Samples x (n, ...), or for several inputs a mapping from the model's inputs to arrays (n, ...), and labels (n,), targets, or None: as
    `load_dataset` makes it of an .npz with these arrays. name: of the data set. Raises DataError for arrays that do not fit."""
    return _of_contents(name, npz.of_arrays(x, y, name)).first(None)


def _check_limit(limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise UsageError("--limit", f"{limit}", "1 or more")


def _of_pictures(name: str, found: image_folder.Pictures) -> Dataset:
    names = found.class_names
    data = Dataset(name, found.x, found.y, "", found.total, found.notes, True, targets=found.targets, class_names=names, skipped=found.skipped)
    return replace(data, notes=(*data.notes, *data.left_out))


def _of_contents(name: str, found: npz.Contents) -> Dataset:
    x = found.inputs[found.x_name] if found.x_name else next(iter(found.inputs.values()))
    return Dataset(name, x, found.y, "", len(x), found.notes, False, found.inputs, found.targets, x_name=found.x_name, arrays=found.names)


def _sha256(*arrays: np.ndarray | None) -> str:
    digest = hashlib.sha256()
    for array in (array for array in arrays if array is not None):
        digest.update(f"{array.dtype.str} {array.shape};".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
