"""Arrays that are read from a file when they are needed: parts of a memory map, whose pages can be let go of and are read again when touched."""

from __future__ import annotations

import mmap
import os
from typing import IO

import numpy as np


def mapping(file: IO[bytes]) -> mmap.mmap | None:
    """A map of the whole of `file`, in which nothing that is written reaches it; None where the system cannot let go of pages, or would keep the
    file from being replaced meanwhile."""
    if os.name != "posix" or not hasattr(mmap.mmap, "madvise"):
        return None
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def let_go(array: np.ndarray | None) -> None:
    """Of the memory of the file that `array` is a part of, if it is part of one."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    found = base.obj if isinstance(base, memoryview) else base
    if isinstance(found, mmap.mmap):
        found.madvise(mmap.MADV_DONTNEED)
