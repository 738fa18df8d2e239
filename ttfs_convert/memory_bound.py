"""How much memory a network may take: as much as is asked for, by default three quarters of what the machine and the limits of this process leave."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

SHARE = 0.75  # of the memory, by default
CONTROL_GROUPS = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of Linux, both versions
UNKNOWN = 8 << 30  # bytes that a machine which does not tell is taken to have

_ASKED: ContextVar[int | None] = ContextVar("max_memory", default=None)


@contextlib.contextmanager
def at_most(size: int | None) -> Iterator[None]:
    """Inside, `memory_bound` is so many bytes; None: what it is by default."""
    token = _ASKED.set(size)
    try:
        yield
    finally:
        _ASKED.reset(token)


def memory_bound() -> int:
    """Bytes that a network's file, and a run of it, may take."""
    asked = _ASKED.get()
    return int(SHARE * min(_physical(), _of_control_group(), _of_process())) if asked is None else asked


def _physical() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return UNKNOWN


def _of_control_group() -> int:
    for file in CONTROL_GROUPS:
        with contextlib.suppress(OSError, ValueError):
            return int(file.read_text())
    return 1 << 62


def _of_process() -> int:
    """What a limit of its address space leaves."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return 1 << 62
        return max(0, limit - int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE"))
    except (ImportError, OSError, ValueError):
        return 1 << 62


def in_words(size: float) -> str:
    """Bytes, as people say them."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:,.0f} TiB"
