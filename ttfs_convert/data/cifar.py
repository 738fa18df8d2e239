"""Reads the files of CIFAR-10 and CIFAR-100 in their binary form, out of the archive or unpacked; nothing is written to disk."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import DataError

PIXELS = 3 * 32 * 32
MAX_UNPACKED = 2**28  # bytes of an archive that are searched; the official ones unpack to 185 MB
BROKEN = (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, TypeError, KeyError, IndexError, OverflowError, struct.error)
REMEDY = "replace the file with an unbroken copy, or remove it to have it downloaded"


@dataclass(frozen=True)
class Format:
    """One of the archives in binary form."""

    folder: str  # of the members
    members: dict[str, dict[str, int]]  # split -> the only members of the archive that are read, in this order: name, images
    labels: tuple[tuple[str, int], ...]  # the bytes before each image's pixels: name, classes; the last one is used

    def sizes(self, split: str) -> dict[str, int]:
        """Bytes of each member, by its path in the archive."""
        record = len(self.labels) + PIXELS
        return {f"{self.folder}/{name}": images * record for name, images in self.members[split].items()}


FORMATS = {
    "cifar10": Format(
        "cifar-10-batches-bin",
        {"test": {"test_batch.bin": 10_000}, "train": {f"data_batch_{index}.bin": 10_000 for index in range(1, 6)}},
        (("label", 10),),
    ),
    "cifar100": Format(
        "cifar-100-binary", {"test": {"test.bin": 10_000}, "train": {"train.bin": 50_000}}, (("coarse label", 20), ("fine label", 100))
    ),
}


def read(path: Path, name: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """x (n, 32, 32, 3) uint8 RGB and y (n,) int64 (of CIFAR-100 the fine labels); n is 10,000 for `test`, 50,000 for `train`.

    path: a .tar.gz or an unpacked .bin file, of several the first; name: a key of FORMATS. Raises DataError.
    """
    layout = FORMATS[name]
    sizes = layout.sizes(split)
    data = _unpacked(path.parent, sizes) if path.suffix == ".bin" else _members(path, sizes)
    records = np.frombuffer(data, np.uint8).reshape(-1, len(layout.labels) + PIXELS)
    for column, (label, classes) in enumerate(layout.labels):
        if (highest := records[:, column].max()) >= classes:
            raise DataError(f"{path}", f"{label} {highest}", f"0 to {classes - 1}", REMEDY)
    pixels = records[:, len(layout.labels) :].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)), records[:, len(layout.labels) - 1].astype(np.int64)


def _unpacked(folder: Path, sizes: dict[str, int]) -> bytes:
    data = []
    for member, size in sizes.items():
        path = folder / Path(member).name
        try:
            with open(path, "rb") as stream:
                data.append(_sized(path, member, path.stat().st_size, stream, size))
        except OSError as e:
            raise DataError(f"{path}", f"a file that cannot be read ({e})", "", REMEDY) from e
    return b"".join(data)


def _members(path: Path, sizes: dict[str, int]) -> bytes:
    data = {}
    try:
        with gzip.GzipFile(path) as unpacked, tarfile.open(fileobj=_Bounded(unpacked, max(sizes.values())), mode="r:") as archive:
            for member in archive:
                if member.offset_data + member.size > MAX_UNPACKED:
                    break
                if member.name in sizes and member.isreg() and (stream := archive.extractfile(member)) is not None:
                    data[member.name] = _sized(path, member.name, member.size, stream, sizes[member.name])
                    if len(data) == len(sizes):
                        return b"".join(data[name] for name in sizes)
    except BROKEN as e:
        raise DataError(f"{path}", f"an archive that cannot be read ({e})", "a .tar.gz of CIFAR's binary form", REMEDY) from e
    missing = ", ".join(name for name in sizes if name not in data)
    raise DataError(f"{path}", f"an archive without {missing}", "CIFAR's binary form, not the Python or Matlab one", REMEDY)


class _Bounded(io.BufferedIOBase):
    """A stream of which no more than `size` bytes are read at a time: a header may claim a name of gigabytes."""

    def __init__(self, stream: gzip.GzipFile, size: int):
        self._stream, self._size, self.name = stream, size, ""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= self._size:
            raise tarfile.ReadError(f"a part of {size} bytes")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _sized(path: Path, member: str, found: int, stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size) if found == size else b""
    if len(data) != size:
        raise DataError(f"{path}", f"{len(data) or found:,} bytes in {member}", f"{size:,}", REMEDY)
    return data
