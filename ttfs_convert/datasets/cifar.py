"""Reads the test file of CIFAR-10 and CIFAR-100 in their binary form, out of the archive or unpacked; nothing is written to disk."""

from __future__ import annotations

import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import DataError

IMAGES = 10_000
PIXELS = 3 * 32 * 32
MAX_UNPACKED = 2**28  # bytes of an archive that are searched; the official ones unpack to 185 MB
REMEDY = "replace the file with an unbroken copy, or remove it to have it downloaded"


@dataclass(frozen=True)
class Format:
    member: str  # the only member of the archive that is read
    labels: tuple[tuple[str, int], ...]  # the bytes before each image's pixels: name, classes; the last one is used

    @property
    def size(self) -> int:
        return IMAGES * (len(self.labels) + PIXELS)


FORMATS = {
    "cifar10": Format("cifar-10-batches-bin/test_batch.bin", (("label", 10),)),
    "cifar100": Format("cifar-100-binary/test.bin", (("coarse label", 20), ("fine label", 100))),
}


def read(path: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """x (10000, 32, 32, 3) uint8 RGB and y (10000,) int64 (of CIFAR-100 the fine labels).

    path: a .tar.gz or an unpacked .bin file; name: a key of FORMATS. Raises DataError.
    """
    layout = FORMATS[name]
    data = _unpacked(path, layout) if path.suffix == ".bin" else _member(path, layout)
    records = np.frombuffer(data, np.uint8).reshape(IMAGES, -1)
    for column, (label, classes) in enumerate(layout.labels):
        if (highest := records[:, column].max()) >= classes:
            raise DataError(f"{path}", f"{label} {highest}", f"0 to {classes - 1}", REMEDY)
    pixels = records[:, len(layout.labels):].reshape(IMAGES, 3, 32, 32)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)), records[:, len(layout.labels) - 1].astype(np.int64)


def _unpacked(path: Path, layout: Format) -> bytes:
    try:
        with open(path, "rb") as stream:
            return _sized(path, path.stat().st_size, stream, layout)
    except OSError as e:
        raise DataError(f"{path}", f"a file that cannot be read ({e})", "", REMEDY) from e


def _member(path: Path, layout: Format) -> bytes:
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if member.offset_data + member.size > MAX_UNPACKED:
                    break
                if member.name == layout.member and member.isreg():
                    return _sized(path, member.size, archive.extractfile(member), layout)
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as e:
        raise DataError(f"{path}", f"an archive that cannot be read ({e})", "a .tar.gz of CIFAR's binary form", REMEDY) from e
    raise DataError(f"{path}", f"an archive without {layout.member}", "CIFAR's binary form, not the Python or Matlab one", REMEDY)


def _sized(path: Path, size: int, stream: BinaryIO, layout: Format) -> bytes:
    data = stream.read(layout.size) if size == layout.size else b""
    if len(data) != layout.size:
        raise DataError(f"{path}", f"{len(data) or size:,} bytes in {layout.member}", f"{layout.size:,}", REMEDY)
    return data
