"""Reads the IDX files of MNIST and Fashion-MNIST, plain or gzipped."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import DataError

IMAGES, LABELS = 2051, 2049  # magic numbers: unsigned bytes in three dimensions, in one
OFFICIAL = {"test": ("test", 10_000), "train": ("training", 60_000)}
MAX_ITEMS = 1_000_000  # a header that claims more is broken; bounds what is read into memory
PART = 1 << 20  # bytes
SIDE = 28
CLASSES = 10
REMEDY = "replace the file with an unbroken copy, or remove it to have it downloaded"


def read(images: Path, labels: Path, split: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """x (n, 28, 28, 1) uint8, y (n,) int64 in 0..9, and a note unless n is the official number of `split`. Raises DataError."""
    x, y = read_idx(images, IMAGES), read_idx(labels, LABELS)
    if len(x) != len(y):
        raise DataError(f"{labels}", f"{len(y):,} labels", f"{len(x):,} as there are images in {images.name}", "take both files from the same source")
    if y.max() >= CLASSES:
        raise DataError(f"{labels}", f"label {y.max()}", f"labels 0 to {CLASSES - 1}", REMEDY)
    kind, official = OFFICIAL[split]
    notes = () if len(x) == official else (f"{len(x):,} images: not the official {kind} set of {official:,}",)
    return x[..., None], y.astype(np.int64), notes


def read_idx(path: Path, magic: int) -> np.ndarray:
    """The array of an IDX file of unsigned bytes: (n, 28, 28) for IMAGES, (n,) for LABELS; uint8. Raises DataError."""
    try:
        with open(path, "rb") as raw:
            gzipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not gzipped:
                return _parse(raw, path, magic)
            with gzip.GzipFile(fileobj=raw) as stream:
                return _parse(stream, path, magic)
    except (OSError, EOFError, zlib.error) as e:
        raise DataError(f"{path}", f"a file that cannot be read ({e})", "an IDX file, plain or gzipped", REMEDY) from e


def _read(stream: BinaryIO | gzip.GzipFile, size: int) -> bytearray:
    """At most `size` bytes, in parts: nothing is allocated that is not there."""
    found = bytearray()
    while len(found) < size and (part := stream.read(min(PART, size - len(found)))):
        found += part
    return found


def _parse(stream: BinaryIO | gzip.GzipFile, path: Path, magic: int) -> np.ndarray:
    axes = 3 if magic == IMAGES else 1
    header = stream.read(4 + 4 * axes)
    found = struct.unpack(">I", header[:4])[0] if len(header) >= 4 else None
    if found != magic:
        raise DataError(
            f"{path}",
            "no magic number" if found is None else f"magic number {found}",
            f"{magic} (IDX {'images' if magic == IMAGES else 'labels'})",
            REMEDY,
        )
    if len(header) < 4 + 4 * axes:
        raise DataError(f"{path}", f"a header of {len(header)} bytes", f"{4 + 4 * axes}", REMEDY)
    shape = struct.unpack(f">{axes}I", header[4:])
    if not 1 <= shape[0] <= MAX_ITEMS or any(size != SIDE for size in shape[1:]):
        raise DataError(
            f"{path}",
            f"a header that claims {' x '.join(map(str, shape))}",
            f"1 to {MAX_ITEMS:,} " + (f"images of {SIDE} x {SIDE}" if magic == IMAGES else "labels"),
            REMEDY,
        )
    size = math.prod(shape)
    data = _read(stream, size + 1)  # one more: shows trailing bytes, and at the end of a gzip stream has its checksum verified
    if len(data) != size:
        count = f"more than {size:,}" if len(data) > size else f"{len(data):,}"
        raise DataError(f"{path}", f"{count} bytes after the header", f"{size:,} as the header claims", REMEDY)
    return np.frombuffer(data, np.uint8).reshape(shape)
