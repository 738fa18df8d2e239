"""What a command shows while it works: tables, lines on standard error, a bar."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..tables import widths

if TYPE_CHECKING:
    from rich.console import Console

    from ..data import Dataset


def console(stderr: bool = False) -> Console:
    """What tables are printed by. Names come from models: nothing in them is markup."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else widths.WITHOUT_WINDOW, highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """A line on standard error, at once."""
    print(text, file=sys.stderr, flush=True)


def note(text: str) -> None:
    """What a reader of the figures must know, on standard error."""
    say(f"note: {text}")


def note_subset(dataset: Dataset) -> None:
    """That `--limit` left samples out, if it did."""
    if len(dataset) < dataset.total:
        note(f"--limit: a subset, {len(dataset):,} of {dataset.total:,} samples")


@contextlib.contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A function (done, of) that moves a bar on a terminal and does nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda done, of: None
        return
    from rich.progress import Progress

    with Progress(console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, of: bar.update(task, completed=done, total=of)
