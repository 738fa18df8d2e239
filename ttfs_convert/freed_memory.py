"""Give freed memory back to the system: glibc keeps what many arrays of moderate size leave behind, as much again as a network's weights."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Where the C library is glibc; elsewhere nothing."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
