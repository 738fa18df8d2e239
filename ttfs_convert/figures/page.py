"""What all figures share: type and colours, a grid of small multiples with the same axes, pages of a printed size."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..network.network import Network
from ..shown import shown, shown_text

BLUE, ORANGE, VERMILION, GREY = "#0072B2", "#E69F00", "#D55E00", "#999999"  # Okabe and Ito's
SHADE = "#E8E8E8"
WIDTH = 7.16  # inches, two columns of a journal
COLUMNS, ROWS = 4, 6  # panels on a page
LONGEST_NAME = 24  # letters
STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "figure.titlesize": 8,
    "figure.labelsize": 7.5,
    "axes.linewidth": 0.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
    "lines.linewidth": 0.9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlepad": 3,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "ttfs-convert",
    "text.parse_math": False,
}

Item = TypeVar("Item")


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Inside, figures are made and written in our type, whatever the user's settings; letters that the typeface lacks become boxes."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():  # pyright: ignore[reportArgumentType] - its stubs list every key
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def short(name: str) -> str:
    """A layer's name where room is scarce: its end, which tells layers apart."""
    name = shown(name[-2 * LONGEST_NAME :])
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"


def about_network(network: Network, engine: str = "exact", threshold: str = "dynamic") -> str:
    """For titles: a network, its time, and what it ran on if that is not the default."""
    steps = {steps for steps in network.steps_per_layer().values() if steps}
    time = "continuous time" if not steps else f"{min(steps)} to {max(steps)} steps" if len(steps) > 1 else f"{max(steps)} steps"
    ran = "" if (engine, threshold) == ("exact", "dynamic") else f", engine {engine}, {threshold} threshold"
    return f"network {network.name} (mode {network.mode}, slope {network.slope}, {time}{ran})"


def paged(name: str, items: Sequence[Item], most: int, draw: Callable[[Sequence[Item], str], Figure]) -> dict[str, Figure]:
    """Figures of at most `most` items each, drawn from the items and an addition to the title: `name`, `name-2` and so on."""
    pages = [items[first : first + most] for first in range(0, len(items), most)]
    return {
        name if number == 1 else f"{name}-{number}": draw(page, f", page {number} of {len(pages)}" if len(pages) > 1 else "")
        for number, page in enumerate(pages, 1)
    }


def small_multiples(
    name: str, title: str, about: str, panels: Sequence[Item], draw: Callable[[Axes, Item], None], xlabel: str, ylabel: str, share: bool = True
) -> dict[str, Figure]:
    """Pages of a grid, one panel per layer.

    title: what is shown; about: network, data, number of samples. draw: fills a panel. share: the same axes in all panels, labelled at
    the grid's border alone. The first panel's artists with labels make the legend.
    """

    def page(items: Sequence[Item], addition: str) -> Figure:
        columns = min(COLUMNS, max(2, len(items)))
        rows = -(-len(items) // columns)
        figure = Figure((max(WIDTH * columns / COLUMNS, 4.6), 0.95 + 1.45 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share).reshape(-1)
        for axes, item in zip(grid, items):
            draw(axes, item)
        for axes in grid[len(items) :]:
            axes.set_visible(False)
        if share:  # above a panel that is not there
            for axes in grid[max(len(items) - columns, 0) : len(items)]:
                axes.tick_params(labelbottom=True)
        figure.supylabel(ylabel)
        frame(figure, grid[0], title + addition, about, xlabel)
        return figure

    return paged(name, panels, COLUMNS * ROWS, page)


def frame(figure: Figure, first: Axes, title: str, about: str, xlabel: str = "") -> None:
    """Title, and at the bottom what the x axes show and a legend of what has labels in the axes `first`."""
    figure.suptitle(f"{title}\n{shown_text(about)}")
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=max(len(handles), 1), title=xlabel or None, title_fontsize=7.5)


def cut(axes: Axes, x: float, height: float, text: str, right: bool) -> None:
    """Say to the right or left of a bar at `x` how high it would be if the axis did not end at `height`."""
    axes.annotate(
        f"↑ {text}", (x, height), (4 if right else -4, -1), textcoords="offset points", color=BLUE, ha="left" if right else "right", va="top"
    )


def percent(share: float) -> str:
    """With one decimal below 1 %."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if 0 < share < 0.00995 else f"{100 * share:.0f} %"


def signed(number: float, form: str) -> str:
    """With a minus sign as wide as a plus sign, as matplotlib's axes have it; that of an exponent stays a hyphen."""
    return f"{number:{form}}".replace("-", "−", int(number < 0))
