"""How far a command is, on standard error: a bar in a window, now and then a line in a pipe."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

from .console import console, say

PATIENCE = 2.0  # seconds without a word


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function (done, of) that tells how far `what` is, once it has taken PATIENCE seconds, and when it will be done."""
    with _bar(what) if sys.stderr.isatty() else contextlib.nullcontext(_Lines(what)) as tell:
        yield tell


@contextlib.contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    from rich.progress import Progress

    with Progress(console=console(sys.stderr), transient=True) as bar:
        task, started = bar.add_task(what, total=None, visible=False), time.monotonic()
        yield lambda done, of: bar.update(task, completed=done, total=of, visible=time.monotonic() - started > PATIENCE)


class _Lines:
    """A line after PATIENCE seconds, then each after twice the time of the one before: few, however long it takes."""

    def __init__(self, what: str):
        self._what, self._started, self._next = what, time.monotonic(), PATIENCE
        self._first: tuple[float, int] | None = None  # the time and the number of the first word: what was prepared before it is no part

    def __call__(self, done: int, of: int) -> None:
        now = time.monotonic()
        since, before = self._first = self._first or (now, done)
        if now - self._started >= self._next and before < done < of:
            self._next = 2 * (now - self._started)
            say(f"{self._what}: {done:,} of {of:,}, about {duration((now - since) * (of - done) / (done - before))} left")


def duration(seconds: float) -> str:
    """In the unit that people would choose."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


@contextlib.contextmanager
def hearing() -> Iterator[None]:
    """Show the progress of whatever the library counts, one thing after another."""
    from ..progress import told_to

    with contextlib.ExitStack() as stack:
        shown: dict[str, Callable[[int, int], None]] = {}

        def show(what: str, done: int, of: int) -> None:
            if what not in shown:
                stack.close()  # what was counted before is done
                shown.clear()
                shown[what] = stack.enter_context(progress(what))
            shown[what](done, of)

        with told_to(show):
            yield


@contextlib.contextmanager
def patience(text: str) -> Iterator[Callable[[], None]]:
    """Say `text` if PATIENCE seconds pass before the function that it gives is called."""
    timer = threading.Timer(PATIENCE, say, [text])
    timer.daemon = True
    timer.start()
    try:
        yield timer.cancel
    finally:
        timer.cancel()


@contextlib.contextmanager
def patient_progress(what: str, text: str) -> Iterator[Callable[[int, int], None]]:
    """As `progress`; `text` is said where the first word takes long."""
    with progress(what) as tell, patience(text) as begun:

        def told(done: int, of: int) -> None:
            begun()
            tell(done, of)

        yield told
