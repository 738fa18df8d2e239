"""How many threads the kernels use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numba
from numba.core import config

from ..errors import UsageError


def numba_setting(name: str) -> int:
    """One of Numba's settings, which it reads from the environment when it is imported; no type checker knows them."""
    return getattr(config, name)


@contextlib.contextmanager
def numba_threads(threads: int | None) -> Iterator[None]:
    """Let kernels use `threads` threads, by default all cores. Raises UsageError for more than there are."""
    limit, before = numba_setting("NUMBA_NUM_THREADS"), numba.get_num_threads()
    if threads is not None and not 1 <= threads <= limit:
        raise UsageError("threads", f"{threads}", f"1 to {limit}, the number of cores")
    numba.set_num_threads(threads or limit)
    try:
        yield
    finally:
        numba.set_num_threads(before)
