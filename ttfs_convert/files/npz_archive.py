"""Reads arrays out of an .npz: without pickle, and nothing allocated that the archive has no bytes for."""

from __future__ import annotations

import contextlib
import math
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..memory_bound import in_words, memory_bound

END_OF_DIRECTORY, LARGE = 22, 0xFFFF  # bytes of its record, without a comment; what it says of 65,535 members or more
BROKEN_MEMBER = (OSError, EOFError, zipfile.BadZipFile, zlib.error)  # its bytes
BROKEN_ARCHIVE = (*BROKEN_MEMBER, ValueError, RuntimeError, struct.error)  # RuntimeError: encrypted, unknown


@contextlib.contextmanager
def npz_archive(path: str | Path) -> Iterator[zipfile.ZipFile]:
    """Open, with all its members where its directory says that they are, by these names: damage of the directory, which has no checksum, could hide
    some. Raises one of BROKEN_ARCHIVE."""
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            archive.open(info).close()
        with open(path, "rb") as file:
            file.seek(-END_OF_DIRECTORY - len(archive.comment), 2)
            told = int.from_bytes(file.read(END_OF_DIRECTORY)[10:12], "little")
        if told not in (LARGE, len(archive.infolist())):
            raise zipfile.BadZipFile(f"a directory of {told:,} members, {len(archive.infolist()):,} found")
        yield archive


@dataclass(frozen=True)
class Header:
    """What a member says that it holds. promised, found: its bytes by that, and by the archive."""

    shape: tuple[int, ...]
    dtype: np.dtype
    promised: int
    found: int


def header_of(archive: zipfile.ZipFile, name: str) -> Header:
    """Of the array `name`. Raises ValueError where there is none or its header is broken, else one of BROKEN_ARCHIVE."""
    try:
        with warnings.catch_warnings(), archive.open(f"{name}.npy") as member:
            warnings.simplefilter("ignore")
            version = np.lib.format.read_magic(member)
            read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read_header(member)
            return Header(shape, dtype, member.tell() + math.prod(shape) * dtype.itemsize, archive.getinfo(f"{name}.npy").file_size)
    except BROKEN_MEMBER:
        raise
    except Exception as error:  # NumPy reads the header as a Python literal: whatever that can raise
        raise ValueError(f"{type(error).__name__}: {error}") from error


def read_member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """The array `name`, whole: the archive's checksum is held against all its bytes. Raises ValueError for one that holds
    objects, whose header is broken, or that is larger than the archive says or memory allows, else one of BROKEN_ARCHIVE."""
    header = header_of(archive, name)
    if header.dtype.hasobject:
        raise ValueError("it holds objects")
    if header.promised != header.found:
        raise ValueError(f"{header.found:,} bytes instead of {header.promised:,} for {header.shape} {header.dtype}")
    if header.found > memory_bound():
        raise ValueError(f"{in_words(header.found)}, more than the {in_words(memory_bound())} that --max-memory allows")
    try:
        with archive.open(f"{name}.npy") as member:
            return np.lib.format.read_array(member, allow_pickle=False)
    except BROKEN_MEMBER:
        raise
    except Exception as error:  # as above
        raise ValueError(f"{type(error).__name__}: {error}") from error
