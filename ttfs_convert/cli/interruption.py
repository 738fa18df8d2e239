"""Ctrl-C in the middle of a long run: what was run so far becomes a report."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from .console import say

INTERRUPTED = 130  # exit code, as shells have it: 128 + SIGINT
WORD = "interrupted: the report will be of what was run so far; once more stops at once"


class Interruption:
    """begun: whether there is something to report; before that, and the second time, Ctrl-C stops at once. asked: whether it was pressed."""

    def __init__(self):
        self.begun = self.asked = False

    def __call__(self, *_: object) -> None:
        """As a handler of SIGINT."""
        if not self.begun or self.asked:
            raise KeyboardInterrupt
        self.asked = True
        say(WORD)

    def heard(self, tell: Callable[[int, int], None]) -> Callable[[int, int], None]:
        """`tell`, after which there is something to report."""

        def told(done: int, of: int) -> None:
            self.begun = True
            tell(done, of)

        return told


@contextlib.contextmanager
def interruptible() -> Iterator[Interruption]:
    """Inside, Ctrl-C is noted instead of raised once work has begun."""
    found = Interruption()
    if threading.current_thread() is not threading.main_thread():  # where no handler can stand
        yield found
        return
    before = signal.signal(signal.SIGINT, found)
    try:
        yield found
    finally:
        signal.signal(signal.SIGINT, before)
