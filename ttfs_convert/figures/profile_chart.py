"""One column per layer, in their order: errors, shares, energy across the network's depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .svg_chart import BOTTOM, LEFT, RIGHT, TOP, Bar, Tick, between, number

HEIGHT = 190
NARROWEST, WIDEST, USUAL = 9, 76, 560  # pixels: of a column, and of all together


@dataclass(frozen=True)
class Column:
    """One layer. index: of the report's layers. parts: (value, kind), one on top of the other. interval: around their sum. limit: a mark."""

    index: int
    parts: Sequence[tuple[float, str]]
    tip: str
    interval: tuple[float, float] | None = None
    limit: float | None = None


@dataclass(frozen=True)
class PlacedColumn:
    """A column in pixels. interval: its two ends. limit: likewise; None where it is beyond the axis."""

    index: int
    x: float
    bars: tuple[Bar, ...]
    tip: str
    interval: tuple[float, float] | None
    limit: float | None


@dataclass(frozen=True)
class ProfileChart:
    """As `svg_chart.Chart`. kinds: of the parts, with what they are. beyond: of all columns' limits those that the axis does not reach."""

    about: str
    columns: tuple[PlacedColumn, ...]
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    y_label: str
    kinds: Sequence[tuple[str, str]]
    beyond: tuple[float, ...]
    width: int
    column: float
    height: int = HEIGHT
    left: int = LEFT
    right: int = 0
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def profile_chart(columns: Sequence[Column], y_label: str, about: str, kinds: Sequence[tuple[str, str]]) -> ProfileChart | None:
    """None where there is nothing to show."""
    if not columns:
        return None
    highest = max(max(sum(value for value, _ in each.parts), each.interval[1] if each.interval else 0.0) for each in columns) or 1.0
    column = min(WIDEST, max(NARROWEST, USUAL / len(columns)))

    def up(value: float) -> float:
        return round(HEIGHT - BOTTOM - min(max(value / highest, 0), 1) * (HEIGHT - TOP - BOTTOM), 1)

    placed = []
    for place, each in enumerate(columns):
        x, bars, below = round(LEFT + place * column, 1), [], 0.0
        for value, kind in each.parts:
            bars.append(Bar(x, up(below + value), round(column * 0.8, 1), round(up(below) - up(below + value), 1), "", kind))
            below += value
        interval = each.interval and (up(each.interval[0]), up(each.interval[1]))
        limit = up(each.limit) if each.limit is not None and each.limit <= highest else None
        placed.append(PlacedColumn(each.index, x, tuple(bars), each.tip, interval, limit))
    every = max(1, -(-len(columns) * 22 // int(column * len(columns))))
    x_ticks = tuple(Tick(round(each.x + column * 0.4, 1), str(each.index + 1)) for each in placed[::every])
    beyond = tuple(sorted({each.limit for each in columns if each.limit is not None and each.limit > highest}))
    width = int(LEFT + column * len(columns) + RIGHT)
    y_ticks = tuple(Tick(up(each), number(each)) for each in between(0, highest))
    return ProfileChart(about, tuple(placed), y_ticks, x_ticks, y_label, kinds, beyond, width, column, right=width - RIGHT)
