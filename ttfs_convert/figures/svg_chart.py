"""Where the parts of a small chart stand, in pixels, for the templates that draw it as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 330, 170  # of one chart
LEFT, RIGHT, TOP, BOTTOM = 54, 8, 8, 36  # around its axes
LONGEST_NAME = 28  # letters


@dataclass(frozen=True)
class Tick:
    """A number at an axis. at: in pixels."""

    at: float
    text: str


@dataclass(frozen=True)
class Bar:
    """A rectangle with the value that it stands for. kind: its class in the style sheet."""

    x: float
    y: float
    width: float
    height: float
    tip: str
    kind: str = ""


@dataclass(frozen=True)
class Chart:
    """bars between axes. about: what a reader who cannot see it should know. image: data URI behind the bars, over the whole of the axes. line: from
    the lower left to the upper right corner."""

    about: str
    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_label: str
    y_label: str
    image: str | None = None
    line: bool = False
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def across(share: float) -> float:
    """Pixels from the left, of a share of the x axis."""
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def up(share: float) -> float:
    """Pixels from the top, of a share of the y axis."""
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def histogram(
    shares: Sequence[float],
    tips: Sequence[str],
    x_ends: tuple[float, float],
    x_label: str,
    y_label: str,
    about: str,
    highest: float | None = None,
    x_step: float | None = None,
) -> Chart:
    """Bars side by side over the axis from x_ends[0] to x_ends[1]. highest: where the y axis ends; higher bars are cut, and say so."""
    top = highest or max(shares, default=0.0) or 1.0
    size = 1 / max(len(shares), 1)
    bars = tuple(
        Bar(across(number * size), up(min(share / top, 1)), round(size * (WIDTH - LEFT - RIGHT), 1), round(up(0) - up(min(share / top, 1)), 1), tip,
            "cut" if share > top * 1.0001 else "")
        for number, (share, tip) in enumerate(zip(shares, tips))
        if share > 0
    )  # fmt: skip
    low, high = x_ends
    x_ticks = tuple(Tick(across((each - low) / (high - low)), number(each)) for each in between(low, high, x_step))
    return Chart(about, bars, x_ticks, tuple(Tick(up(each / top), number(each)) for each in between(0, top)), x_label, y_label)


def between(low: float, high: float, step: float | None = None) -> list[float]:
    """Round numbers from `low` to `high`, about four."""
    if not high > low:
        return [low]
    power = 10 ** math.floor(math.log10((high - low) / 4))
    size = step or next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= (high - low) / 4 * 0.999)
    return [size * each for each in range(math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9) + 1)]


def number(value: float) -> str:
    """Short: 0.25, 1,200, 3.1e-06."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def short(name: str) -> str:
    """A layer's name where room is scarce: its end, which tells layers apart."""
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"
