"""How far a long computation is, told to whoever listens: a command, which shows it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import TypeVar

Listener = Callable[[str, int, int], None]
"""(what is done, how many of its parts are done, of how many)."""

_listener: ContextVar[Listener] = ContextVar("listener")
T = TypeVar("T")


@contextlib.contextmanager
def told_to(listener: Listener) -> Iterator[None]:
    """Inside, `listener` hears of all that is `counted` in this thread."""
    before = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(before)


def counted(what: str, parts: Iterable[T], of: int) -> Iterator[T]:
    """`parts`, which are `of` many; whoever listens is told of each that is done."""
    for done, part in enumerate(parts, 1):
        yield part
        if (listener := _listener.get(None)) is not None:
            listener(what, done, of)
