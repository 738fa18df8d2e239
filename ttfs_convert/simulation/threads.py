"""How many threads the kernels use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numba
from numba.core import config

from ..errors import UsageError


@contextlib.contextmanager
def numba_threads(threads: int | None) -> Iterator[None]:
    """Let kernels use `threads` threads, by default all cores. Raises UsageError for more than there are."""
    limit, before = _cores(), numba.get_num_threads()
    if threads is not None and not 1 <= threads <= limit:
        raise UsageError("threads", f"{threads}", f"1 to {limit}, the number of cores")
    numba.set_num_threads(threads or limit)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def _cores() -> int:
    return config.NUMBA_NUM_THREADS  # pyright: ignore[reportAttributeAccessIssue] - set as the environment is read
