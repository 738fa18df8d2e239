"""Accuracy against latency and energy, one curve per report."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator, ScalarFormatter

from ..files.atomic import write_whole
from ..shown import shown, shown_text
from ..studies.trade_off import CostedPoint, Curve
from .figure_file import METADATA, suffix_of
from .page import BLUE, GREY, ORANGE, VERMILION, WIDTH, style

COLOURS = (BLUE, VERMILION, "#009E73", ORANGE, "#CC79A7", "#56B4E9", "black", GREY)  # Okabe and Ito's
MARKERS = "osD^vPX*"
Cost = Callable[[CostedPoint], float | None]


def trade_off_figure(curves: Sequence[Curve], titles: bool = True) -> Figure:
    """A panel against latency, and one against energy under every cost table that all curves have; without any against P_proxy. titles: whether there
    is one above."""
    costs: list[tuple[str, Cost]] = [("latency (time steps)", lambda point: point.latency_steps)]
    tables = [table for table in curves[0].tables if all(table in curve.tables for curve in curves)]
    costs += [(f"energy per inference, {table} (µJ)", _energy(table)) for table in tables]
    if not tables:
        costs.append(("P_proxy (operations per inference)", lambda point: point.p_proxy))
    with style():
        figure = Figure((min(WIDTH, 1.2 + 2.6 * len(costs)), 2.8), layout="constrained")
        grid = figure.subplots(1, len(costs), squeeze=False, sharey=True)[0]
        for axes, (label, cost) in zip(grid, costs):
            for number, curve in enumerate(curves):
                _draw(axes, curve, cost, COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)])
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(ScalarFormatter())
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.set_xlabel(label)
            axes.grid(color=GREY, linewidth=0.3)
            _few_ticks(axes)
        measures = list(dict.fromkeys(curve.measure for curve in curves))
        grid[0].set_ylabel(" / ".join(measures))
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(handles), 3))
        if titles:
            figure.suptitle(f"What {measures[0].split(',')[0]} costs: {shown_text(', '.join(curve.name for curve in curves))}")
    return figure


def write_trade_off(curves: Sequence[Curve], path: str | Path, titles: bool = True) -> None:
    """Write the figure as PNG, SVG or PDF, by the ending of `path`, whole or not at all."""
    kind, buffer = suffix_of(path), io.BytesIO()
    with style():
        trade_off_figure(curves, titles).savefig(buffer, format=kind, dpi=200, metadata=METADATA[kind])
    write_whole(path, lambda file: file.write(buffer.getvalue()))


def _energy(table: str) -> Cost:
    def microjoules(point: CostedPoint) -> float | None:
        joules = point.joules[table]
        return None if joules is None else 1e6 * joules

    return microjoules


def _draw(axes: Axes, curve: Curve, cost: Cost, colour: str, marker: str) -> None:
    points = [(x, point.value) for point in curve.points if (x := cost(point)) is not None]
    name = shown(curve.name)
    if points:
        axes.plot(*zip(*points), color=colour, marker=marker, markersize=3, label=name)
    if curve.own is not None and (x := cost(curve.own)) is not None:
        label = f"{name}, as it is" if points else name
        axes.plot([x], [curve.own.value], color=colour, marker=marker, markersize=7, linestyle="", fillstyle="none", label=label)
    if curve.ann is not None:
        axes.axhline(curve.ann, color=colour, linestyle="--", linewidth=0.7, label=f"{name}, original")


def _few_ticks(axes: Axes) -> None:
    """Numbers that stand apart, 1, 2 and 5 times powers of ten; of a narrow range the usual ones."""
    low, high = axes.get_xlim()
    ticks = [factor * 10.0**power for power in range(-9, 13) for factor in (1, 2, 5) if low <= factor * 10.0**power <= high]
    if len(ticks) >= 2:
        axes.set_xticks(ticks[:: -(-len(ticks) // 6)])
        axes.xaxis.set_minor_locator(NullLocator())
