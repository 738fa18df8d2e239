"""Reads a folder that has one sub-folder of images per class, or images in `input` and what a network should make of them in `target`."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
PAIRS = ("input", "target")  # sub-folders
GRAY = {"1", "L", "I;16", "I;16L", "I;16B"}
COLOUR = {"RGB", "RGBA", "RGBX", "LA", "P", "PA", "CMYK", "YCbCr"}


def read(
    root: Path, limit: int | None, wanted: tuple[int, int] | None = None
) -> tuple[np.ndarray, np.ndarray, int, tuple[str, ...], tuple[str, ...]]:
    """x (n, h, w, c) uint8, y (n,) int64, the images before `limit`, notes, and the names of the classes. wanted: the model's height and width.

    Labels number the sub-folders in sorted order. Images come the first of each class, then the second of each, and so on, so that the
    first `limit` are spread over the classes. c is 1 if all these are gray, else 3; transparency is dropped. Raises DataError.
    """
    classes = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise DataError(f"{root}", "no sub-folders", "one sub-folder of images per class")
    images = [_images(root / name) for name in classes]
    if not any(images):
        raise DataError(f"{root}", f"no images in {len(classes)} sub-folders", f"files ending in {' '.join(FORMATS)}")
    rounds = zip_longest(*images)
    order = [(path, label) for paths in rounds for label, path in enumerate(paths) if path]
    notes = (f"labels are the sub-folders in sorted order: 0 = {classes[0]} to {len(classes) - 1} = {classes[-1]}",)
    notes += tuple(f"class {name} has no images" for name, paths in zip(classes, images) if not paths)
    kept = order[:limit]
    x = _decode([path for path, _ in kept], wanted)
    return x, np.array([label for _, label in kept], np.int64), len(order), notes, tuple(classes)


def holds_pairs(root: Path) -> bool:
    """Whether its sub-folders are those of PAIRS, and no classes."""
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")) == sorted(PAIRS)


def read_pairs(root: Path, limit: int | None, wanted: tuple[int, int] | None = None) -> tuple[np.ndarray, np.ndarray, int]:
    """Inputs and targets of equal names, sorted by name, (n, h, w, c) uint8 each, and how many there are before `limit`. wanted, c: as for `read`;
    targets may have another size. Raises DataError."""
    inputs, targets = ({path.stem: path for path in _images(root / name)} for name in PAIRS)
    lone = sorted(inputs.keys() ^ targets.keys())
    if lone or not inputs:
        found = f"{lone[0]!r} in one of input/ and target/ alone" if lone else "no images in input/ and target/"
        raise DataError(f"{root}", found, f"files of equal names in both, ending in {' '.join(FORMATS)}")
    names = sorted(inputs)[:limit]
    return _decode([inputs[name] for name in names], wanted), _decode([targets[name] for name in names], None), len(inputs)


def _images(folder: Path) -> list[Path]:
    files = (path for path in folder.iterdir() if path.suffix.lower() in FORMATS and path.is_file())
    return sorted(path for path in files if not path.name.startswith("."))


def _decode(paths: list[Path], wanted: tuple[int, int] | None) -> np.ndarray:
    headers = [_header(path) for path in paths]
    size = headers[0][0] if wanted is None else wanted[::-1]
    for path, (other, mode) in zip(paths, headers):
        if other != size:
            expected = f"{size[0]} x {size[1]} " + (f"like {paths[0]}" if wanted is None else "(width x height), as the model takes")
            raise DataError(
                f"{path}",
                f"an image of {other[0]} x {other[1]}",
                expected,
                f"resize or pad the images to {'one size' if wanted is None else f'{size[0]} x {size[1]}'}",
            )
        if mode not in GRAY | COLOUR:
            raise DataError(f"{path}", f"an image of mode {mode}", "gray or colour with 8 bits (gray also 16)", "convert the image")
    gray = all(mode in GRAY for _, mode in headers)
    x = np.empty((len(paths), size[1], size[0], 1 if gray else 3), np.uint8)
    for index, path in enumerate(paths):
        x[index] = _pixels(path, gray)
    return x


def _header(path: Path) -> tuple[tuple[int, int], str]:
    """((width, height), mode)."""
    with _open(path) as image:
        return image.size, image.mode


def _pixels(path: Path, gray: bool) -> np.ndarray:
    with _open(path) as image:
        try:
            image.load()
        except (OSError, ValueError, SyntaxError, EOFError) as e:
            raise _broken(path, e) from e
        if image.mode.startswith("I;16"):
            pixels = ((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8)
        elif image.mode in GRAY:
            pixels = np.asarray(image.convert("L"))
        else:
            return np.asarray(image.convert("RGB"))
        return pixels[..., None] if gray else np.repeat(pixels[..., None], 3, axis=-1)


def _open(path: Path) -> Image.Image:
    from PIL import Image

    try:
        return Image.open(path, formats=sorted(set(FORMATS.values())))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as e:
        raise _broken(path, e) from e


def _broken(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}", f"an image that cannot be decoded ({error})", "PNG, JPEG, BMP, WebP or TIFF", "replace or remove the file")
