"""Bars in a cell of a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

BARS = " ▁▂▃▄▅▆▇█"
WIDEST = 56  # bars
JOINED = (1, 2, 5, 10)  # bins in one bar


class Histogram:
    """Counts per bin, drawn to the largest bar; as many bins make one bar as the room asks for.

    counts: bins, `per_window` for each of `windows` windows, which a line parts unless a bar holds a whole window.
    """

    def __init__(self, counts: Sequence[int], per_window: int, windows: int):
        self._counts, self._per_window, self._windows = counts, per_window, windows

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        lengths = [len(self._drawn(joined)) for joined in JOINED]
        return Measurement(lengths[-1], max(min(lengths), *(length for length in lengths if length <= WIDEST), 0))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = min(options.max_width, WIDEST)
        yield Text(next((drawn for joined in JOINED if len(drawn := self._drawn(joined)) <= room), self._drawn(JOINED[-1])))

    def _drawn(self, joined: int) -> str:
        counts = [sum(self._counts[i : i + joined]) for i in range(0, len(self._counts), joined)]
        bars = "".join(BARS[-(-count * (len(BARS) - 1) // max(1, *counts))] for count in counts)
        width = self._per_window // joined
        return bars if width <= 1 else "|".join(bars[i : i + width] for i in range(0, len(bars), width))
