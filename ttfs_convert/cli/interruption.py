"""Signals: Ctrl-C and SIGTERM end a command in one line, with all that it had begun to write removed; in the middle of a long run the first Ctrl-C
makes a report of what was run so far."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from .console import say

INTERRUPTED = 130  # exit codes, as shells have them: 128 + SIGINT
TERMINATED = 143  # 128 + SIGTERM
WORDS = {signal.SIGINT: ("interrupted", INTERRUPTED), signal.SIGTERM: ("terminated", TERMINATED)}
LATER = 0.05  # seconds, after which a signal in the middle of an import is looked at again
WORD = "interrupted: the report will be of what was run so far; once more stops at once"


class Stopped(BaseException):
    """Raised where a signal came: no part of the program handles it, but all clean up. word: for the user. exit_code: of the command."""

    def __init__(self, word: str, exit_code: int):
        super().__init__(word)
        self.word, self.exit_code = word, exit_code


_RAISED: list[Stopped] = []  # the last one, until it has arrived


def _stop(number: int, frame: FrameType | None) -> None:
    if _is_importing(frame):
        again = threading.Timer(LATER, _send_again, [number])
        again.daemon = True
        again.start()
        return
    _RAISED[:] = [Stopped(*WORDS[signal.Signals(number)])]
    raise _RAISED[0]


def _send_again(number: int) -> None:
    """To the main thread: another one's would not wake it from waiting."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported: those written in C make another error of an exception in the middle of that, or crash."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def check_stopped() -> None:
    """Raise what was raised and has not arrived: a library made another error of it."""
    if _RAISED:
        raise _RAISED.pop()


@contextlib.contextmanager
def _handled(handlers: dict[signal.Signals, Callable]) -> Iterator[None]:
    """Inside, signals have these handlers, but for those that the process was started to ignore, as under nohup, and where no handler can stand."""
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in handlers if main and signal.getsignal(number) is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, handlers[number])
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Inside, SIGINT and SIGTERM raise `Stopped`."""
    _RAISED.clear()
    with _handled(dict.fromkeys(WORDS, _stop)):
        try:
            yield
        except Stopped:
            _RAISED.clear()
            raise
        except BaseException:
            check_stopped()
            raise


class Interruption:
    """begun: whether there is something to report; before that, and the second time, Ctrl-C stops at once. asked: whether it was pressed."""

    def __init__(self):
        self.begun = self.asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """As a handler of SIGINT."""
        if not self.begun or self.asked:
            _stop(number, frame)
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
    with _handled({signal.SIGINT: found}):
        yield found
