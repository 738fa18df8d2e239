"""Reads a folder that has one sub-folder of images per class, or images in `input` and what a network should make of them in `target`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..memory_bound import in_words, memory_bound
from .image_file import FORMATS, GRAY, Header, header_of, pixels_of

PAIRS = ("input", "target")  # sub-folders


@dataclass(frozen=True)
class Skipped:
    """An image that was left out, and what was wrong with it."""

    file: str
    why: str


@dataclass(frozen=True)
class Pictures:
    """x: (n, h, w, c) uint8; c is 1 if all are gray, else 3. y: labels (n,) int64, or None. targets: as x, or None. total: images before `limit`,
    without those that were skipped. skipped: these."""

    x: np.ndarray
    y: np.ndarray | None
    targets: np.ndarray | None
    total: int
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def read(root: Path, limit: int | None, wanted: tuple[int, int] | None = None, skip_broken: bool = False) -> Pictures:
    """The images of a folder of classes. wanted: the model's height and width. skip_broken: leave images out that cannot be decoded.

    Labels number the sub-folders in sorted order, whatever is broken. Images come the first of each class, then the second of each, and so on, so
    that the first `limit` are spread over the classes. Transparency is dropped. Raises DataError, also where no image is left.
    """
    classes = _folders(root)
    if not classes:
        raise DataError(f"{root}", "no sub-folders", "one sub-folder of images per class")
    images = [_images(root / name) for name in classes]
    if not any(images):
        raise DataError(f"{root}", f"no images in {len(classes)} sub-folders", f"files ending in {' '.join(FORMATS)}")
    rounds = zip_longest(*images)
    order = [(path, label) for paths in rounds for label, path in enumerate(paths) if path]
    notes = (f"labels are the sub-folders in sorted order: 0 = {classes[0]} to {len(classes) - 1} = {classes[-1]}",)
    notes += tuple(f"class {name} has no images" for name, paths in zip(classes, images) if not paths)
    kept, (x,), skipped = _decoded([(path,) for path, _ in order], (wanted,), limit, skip_broken)
    labels = np.array([order[index][1] for index in kept], np.int64)
    return Pictures(x, labels, None, len(order) - len(skipped), notes, tuple(classes), skipped)


def holds_pairs(root: Path) -> bool:
    """Whether its sub-folders are those of PAIRS, and no classes."""
    return _folders(root) == sorted(PAIRS)


def read_pairs(root: Path, limit: int | None, wanted: tuple[int, int] | None = None, skip_broken: bool = False) -> Pictures:
    """Inputs and targets of equal names, sorted by name. limit, wanted, skip_broken: as for `read`, of pairs; targets may have another size.
    Raises DataError."""
    inputs, targets = ({path.stem: path for path in _images(root / name)} for name in PAIRS)
    lone = sorted(inputs.keys() ^ targets.keys())
    if lone or not inputs:
        found = f"{lone[0]!r} in one of input/ and target/ alone" if lone else "no images in input/ and target/"
        raise DataError(f"{root}", found, f"files of equal names in both, ending in {' '.join(FORMATS)}")
    pairs = [(inputs[name], targets[name]) for name in sorted(inputs)]
    _, (x, y), skipped = _decoded(pairs, (wanted, None), limit, skip_broken)
    return Pictures(x, None, y, len(pairs) - len(skipped), skipped=skipped)


def _folders(root: Path) -> list[str]:
    """Names of the sub-folders, sorted: a link that leads nowhere would change the labels of all behind it."""
    entries = [entry for entry in root.iterdir() if not entry.name.startswith(".")]
    lost = sorted(entry for entry in entries if entry.is_symlink() and not entry.exists())
    if lost:
        raise DataError(f"{lost[0]}", "a link that leads nowhere or in a loop", "a folder or a file", "mend or remove the link")
    return sorted(entry.name for entry in entries if entry.is_dir())


def _images(folder: Path) -> list[Path]:
    """Sorted; links that lead nowhere included, which are broken images, and folders left out."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in FORMATS and not path.name.startswith(".") and not path.is_dir())


def _decoded(
    samples: Sequence[tuple[Path, ...]], wanted: Sequence[tuple[int, int] | None], limit: int | None, skip_broken: bool
) -> tuple[list[int], list[np.ndarray], tuple[Skipped, ...]]:
    """Which of the samples were taken, their images by place in the sample, and what was skipped. limit: of good ones."""
    headers: dict[int, tuple[Header, ...]] = {}
    skipped: list[Skipped] = []
    for index, paths in enumerate(samples):
        if len(headers) == limit:
            break
        try:
            headers[index] = tuple(map(header_of, paths))
            if skip_broken:  # whatever is wrong has to be known before others are counted
                _ = [pixels_of(path, False) for path in paths]
        except DataError as error:
            if not skip_broken:
                raise
            headers.pop(index, None)
            skipped.append(Skipped(error.where.encode("utf-8", "backslashreplace").decode(), error.found))
    if not headers:
        raise DataError(
            f"{samples[0][0].parent.parent}",
            f"no image that is whole: {len(skipped):,} are broken",
            "images",
            f"the first, {skipped[0].file}, is {skipped[0].why}",
        )
    columns = [[(samples[index][place], header[place]) for index, header in headers.items()] for place in range(len(wanted))]
    return list(headers), [_stacked(column, size) for column, size in zip(columns, wanted)], tuple(skipped)


def _stacked(images: Sequence[tuple[Path, Header]], wanted: tuple[int, int] | None) -> np.ndarray:
    """All of one size, that of the first or the one wanted, in one array."""
    first, size = images[0][0], images[0][1].size if wanted is None else wanted[::-1]
    for path, header in images:
        if header.size != size:
            expected = f"{size[0]} x {size[1]} " + (f"like {first}" if wanted is None else "(width x height), as the model takes")
            raise DataError(
                f"{path}",
                f"an image of {header.size[0]} x {header.size[1]}",
                expected,
                f"resize or pad the images to {'one size' if wanted is None else f'{size[0]} x {size[1]}'}",
            )
    gray = all(header.mode in GRAY for _, header in images)
    shape = (len(images), size[1], size[0], 1 if gray else 3)
    if math.prod(shape) > memory_bound():
        raise DataError(
            f"{first.parent.parent}",
            f"{len(images):,} images of {in_words(math.prod(shape))}",
            f"at most {in_words(memory_bound())}",
            "take fewer with --limit, or allow more with --max-memory",
        )
    x = np.empty(shape, np.uint8)
    for index, (path, _) in enumerate(images):
        x[index] = pixels_of(path, gray)
    return x
