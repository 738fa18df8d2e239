"""The child process from inside: limits first, then the task that its parent names, then one word."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import math
import os
import signal
import sys
from pathlib import Path

BEGUN = b"begun "  # in front of the answer: what follows is the task's doing
NO_MEMORY = ("bad_alloc", "bad allocation", "failed to allocate", "cannot allocate", "not enough memory")  # what C++ calls it
UNKNOWN_CODE = 4 << 30  # bytes of addresses that code and threads take where the system does not tell


def main(task: str) -> None:
    """Read the question from standard input, answer on standard output, in two words, end. task: see `Box`."""
    gc.disable()  # a process as short as this leaves little to collect
    reply = os.dup(1)
    _be_quiet()
    module, _, name = task.partition(":")
    work = getattr(importlib.import_module(module), name)
    question = json.loads(sys.stdin.buffer.read())
    _limit(question["memory"], question["seconds"])
    os.write(reply, BEGUN)
    word = b"passed"
    try:
        work(question["request"])
    except Exception as error:
        word = b"memory" if is_about_memory(error) else b"refused"
    os.write(reply, word)
    os._exit(0)  # no threads are waited for, nothing is torn down that may crash


def is_about_memory(error: Exception) -> bool:
    """Whether it says that there is not enough, in Python's words or those of C++."""
    return isinstance(error, MemoryError) or any(text in str(error).lower() for text in NO_MEMORY)


def _be_quiet() -> None:
    """No output, no core dumps, no windows, no word on Ctrl-C."""
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.kernel32.SetErrorMode(0x8003)  # neither dialogs about errors nor reports of crashes
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: no program that collects dumps gets one either


def _limit(memory: int, seconds: float) -> None:
    """Of this process, where the system knows limits: bytes beside those that it has, and seconds, of every core and by the clock."""
    if sys.platform == "win32":
        return
    import resource

    whole = math.ceil(seconds) + 1  # the parent's own clock comes first
    _lower(resource.RLIMIT_CPU, whole * (os.cpu_count() or 1))
    with contextlib.suppress(ValueError, OSError):  # of a system that has the limit and does not take it
        _lower(resource.RLIMIT_AS, _taken() + memory)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(whole)  # where the parent was killed and cannot end it


def _lower(which: int, limit: int) -> None:
    import resource

    now = resource.getrlimit(which)
    resource.setrlimit(which, (min([limit, *(each for each in now if each != resource.RLIM_INFINITY)]), now[1]))


def _taken() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return UNKNOWN_CODE
