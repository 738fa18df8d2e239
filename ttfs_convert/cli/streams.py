"""Standard output and standard error that take whatever a command prints, so that no console, pipe or disk can break a run.

A letter that the encoding lacks is printed as one that it has. Where nobody listens (a pipe whose reader has gone, a closed stream) output is
dropped; where it should have arrived (a full disk) it is dropped too, and the error kept for the command's end.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import TextIO

STAND_INS = {**dict(zip("▁▂▃▄▅▆▇█", ".:-=+*#@")), "±": "+-", "…": "."}
ERRORS = "ttfs-convert"  # name of the handler below


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    """What is printed for letters that an encoding lacks, as wide as they are, so that tables keep their columns."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(STAND_INS.get(letter, "??" if unicodedata.east_asian_width(letter) in "WF" else "?") for letter in letters), error.end


codecs.register_error(ERRORS, _stand_in)


class Output(io.RawIOBase):
    """Hands bytes on until that fails. stream: None for one that was closed when Python started."""

    def __init__(self, stream: TextIO | None):
        self.listening, self.error = stream is not None, None
        if stream is not None:
            stream.flush()
            self._target = getattr(stream.buffer, "raw", stream.buffer)  # a buffer would try again what has failed, when Python ends

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self.listening and self._target.isatty()

    def fileno(self) -> int:
        if not self.listening:
            raise io.UnsupportedOperation("fileno")
        return self._target.fileno()

    def write(self, data) -> int:
        if self.listening and self.error is None:
            try:
                return self._target.write(data)
            except BrokenPipeError:
                self.listening = False
            except OSError as error:
                self.error = error
        return len(data)


@contextlib.contextmanager
def sturdy_streams() -> Iterator[None]:
    """Inside, sys.stdout and sys.stderr are of the kind described above."""
    _occupy_descriptors()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _sturdy(before[0], False), _sturdy(before[1], True)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def undelivered() -> str:
    """Why not all that was printed has arrived at standard output; empty if it has, or if nobody listens."""
    sys.stdout.flush()
    error = getattr(_output(), "error", None)
    return "" if error is None else error.strerror or str(error)


def is_closed() -> bool:
    """Whether standard output was closed from the beginning, or its reader has gone."""
    return not getattr(_output(), "listening", True)


def _output() -> Output | None:
    return getattr(getattr(sys.stdout, "buffer", None), "raw", None)


def _sturdy(stream: TextIO | None, at_once: bool) -> TextIO:
    if stream is not None and not hasattr(stream, "buffer"):  # text in memory: nothing to fail
        return stream
    errors = getattr(stream, "errors", None) or "strict"
    return io.TextIOWrapper(
        io.BufferedWriter(Output(stream)),
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors=ERRORS if errors in ("strict", "surrogateescape") else errors,
        line_buffering=at_once or getattr(stream, "line_buffering", False),
    )


def _occupy_descriptors() -> None:
    """Let no file that is opened later become standard output or error, which libraries written in C print to."""
    with contextlib.suppress(OSError):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(descriptor)
