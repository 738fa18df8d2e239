"""What a command prints: tables, and lines on standard error."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, TextIO

from ..shown import shown_text
from ..tables import widths

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..data import Dataset
    from ..data.speech_pairs import SpeechPairs


def show(*parts: Table, stderr: bool = False) -> None:
    """Print tables, without blanks at the ends of lines."""
    stream = sys.stderr if stderr else sys.stdout
    printer = console(stream)
    for part in parts:
        with printer.capture() as captured:
            printer.print(part)
        stream.write(re.sub(r" +$", "", captured.get(), flags=re.MULTILINE))


def console(stream: TextIO) -> Console:
    """As wide as its window or, if $COLUMNS says so, a pipe. Names come from models: nothing in them is markup."""
    from rich.console import Console

    asked = os.environ.get("COLUMNS", "")
    width = max(int(asked), widths.NARROWEST) if asked.isdecimal() else None if stream.isatty() else widths.WITHOUT_WINDOW
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """A line on standard error, at once."""
    print(shown_text(text), file=sys.stderr, flush=True)


def note(text: str) -> None:
    """What a reader of the figures must know, on standard error."""
    say(f"note: {text}")


def note_subset(dataset: Dataset | SpeechPairs) -> None:
    """That `--limit` left samples out, if it did."""
    if len(dataset) < dataset.total:
        note(f"--limit: a subset, {len(dataset):,} of {dataset.total:,} samples")
