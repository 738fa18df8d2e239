"""Tables that fit the window."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.style import StyleType
from rich.table import Column, Table
from rich.text import Text

from ..shown import shown, shown_text

EDGES = 4  # the box's two, and the paddings beside them
NARROWEST_TEXT = 16  # letters a line of folded text
WIDEST_WORD = 40  # letters of a word that is kept whole


class FittingTable(Table):
    """Columns in the order of their importance; right-justified ones hold numbers, left-justified ones texts.

    Numbers are never cut. Where the window is narrower than the columns, texts are folded at blanks; if that is not enough, the last columns are
    left out, and a line below the table names them.
    """

    def add_row(self, *renderables: RenderableType | None, style: StyleType | None = None, end_section: bool = False) -> None:
        """As rich's; texts may hold names."""
        super().add_row(*(shown_text(cell) if isinstance(cell, str) else cell for cell in renderables), style=style, end_section=end_section)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The columns that there is room for, each as wide as it may be."""
        wanted = [self._ends(column, console, options) for column in self.columns]
        room = options.max_width - EDGES
        shown = len(wanted)
        while shown > 1 and sum(ends.minimum for ends in wanted[:shown]) + _gaps(shown) > room:
            shown -= 1
        fitting = copy.copy(self)
        fitting.columns = [
            _of_width(column, width) for column, width in zip(self.columns, _widths(wanted[:shown], room - _gaps(shown)), strict=False)
        ]
        yield from Table.__rich_console__(fitting, console, options)
        if shown < len(self.columns):
            yield Text(f"No room in {options.max_width} columns for: {', '.join(str(column.header) for column in self.columns[shown:])}.\n")

    def _ends(self, column: Column, console: Console, options: ConsoleOptions) -> Measurement:
        """The least width that cuts nothing, and the one that folds nothing."""
        cells = [Measurement.get(console, options, cell) for cell in column.cells]
        head = Measurement.get(console, options, column.header) if self.show_header else Measurement(0, 0)
        longest = max((cell.maximum for cell in cells), default=0)
        if column.justify == "right" or column.no_wrap:
            least = max(longest, head.minimum)
        else:
            word = max((cell.minimum for cell in cells), default=0)
            least = max(head.minimum, min(longest, max(NARROWEST_TEXT, min(word, WIDEST_WORD))))
        return Measurement(least, max(longest, head.maximum))


def _gaps(columns: int) -> int:
    return 3 * (columns - 1)


def _widths(wanted: Sequence[Measurement], room: int) -> list[int]:
    """As much as each wants, the modest first; what is left is shared evenly."""
    widths = [ends.minimum for ends in wanted]
    spare = room - sum(widths)
    ranked = sorted(range(len(wanted)), key=lambda i: wanted[i].span)
    for rank, i in enumerate(ranked):
        more = max(0, min(wanted[i].span, spare // (len(ranked) - rank)))
        widths[i] += more
        spare -= more
    return widths


def _of_width(column: Column, width: int) -> Column:
    narrowed = copy.copy(column)
    narrowed.width = width
    return narrowed


class Name:
    """A name, or several, folded behind separators and blanks alone: in ONNX a long one is a path."""

    def __init__(self, text: str):
        text = shown(text)
        self._text, self._parts = text, re.findall(r"[^/._ ]*[/._ ]+|[^/._ ]+", text) or [text]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(max(map(cell_len, self._parts)), cell_len(self._text)).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text("\n".join(self._lines(options.max_width)))

    def _lines(self, width: int) -> Iterator[str]:
        line = ""
        for part in self._parts:
            if line and cell_len(line + part) > width:
                yield line
                line = ""
            line += part
        yield line
