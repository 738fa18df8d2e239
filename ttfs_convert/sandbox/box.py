"""A child process for what may crash, seen from outside. It shares nothing with this one but a question and an answer of two words."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping

from .inside import BEGUN

SECONDS = 120.0  # that it may take once it has been asked; a usual network takes less than one


class Box:
    """A process that has begun to load what `task` needs, a function "module:name" of one mapping. It ends with the context, whatever happens.

    Its answers: `passed`; `refused`, where the task raised an error of Python's, which the caller will meet itself; `memory`; `time`; `crash`, with
    `signal` where one is known; `none`, where it ended before it had begun.
    """

    def __init__(self, task: str):
        paths = [path for path in sys.path if path]  # not the working folder, where a file that is called as a module may lie
        start = f"import sys; sys.path[:] = {paths!r}; from ttfs_convert.sandbox.inside import main; main({task!r})"
        self._process = subprocess.Popen(
            [sys.executable, "-c", start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONFAULTHANDLER": ""},
        )

    def ask(self, request: Mapping[str, object], memory: int, seconds: float = SECONDS) -> None:
        """Have it begin. request: what JSON can say. memory: bytes that it may take beside its own code. seconds: of time that it may take."""
        question = json.dumps({"request": request, "memory": memory, "seconds": seconds}).encode()
        self._seconds = seconds
        with contextlib.suppress(OSError):  # it has ended before it was asked, which its answer tells
            if self._process.stdin is not None:
                self._process.stdin.write(question)
                self._process.stdin.close()
                self._process.stdin = None  # else `communicate` would flush it

    def answer(self) -> str:
        """What came of it."""
        try:
            said = self._process.communicate(timeout=self._seconds)[0]
        except subprocess.TimeoutExpired:
            return "time"
        code = self._process.returncode
        answer = said.removeprefix(BEGUN).decode("ascii", "replace")
        if code == 0 and answer in ("passed", "refused", "memory"):
            return answer
        return "none" if not said.startswith(BEGUN) and code > 0 else "time" if -code in _TIME else "crash"

    @property
    def signal(self) -> str:
        """What ended it, in brackets; empty where that is not known."""
        code = self._process.returncode or 0
        with contextlib.suppress(ValueError):
            return f" ({signal.Signals(-code).name})" if code < 0 else f" (exit code {code})" if code else ""
        return ""

    def __enter__(self) -> Box:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


_TIME = tuple(getattr(signal, name) for name in ("SIGALRM", "SIGXCPU") if hasattr(signal, name))  # by which its own limits end it
