"""Accuracy, or closeness to the original's outputs, against latency: the rows of a few-steps table as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from benchmarks.few_steps_rows import Row, of_labels
from ttfs_convert.figures.figure_folder import DPI, FORMATS
from ttfs_convert.figures.page import BLUE, GREY, ORANGE, style
from ttfs_convert.shown import shown, shown_text

CURVES = {"no": ("original weights", GREY), "bias": ("biases fitted", ORANGE), "yes": ("weights and biases fitted", BLUE)}
LINES = ("-", "--", ":", "-.")
ROOM = 1.15  # ratio of neighbouring labels on the axis of latency


def draw(rows: Sequence[Row], name: str, about: str, path: str) -> None:
    """Write the figure of `rows`, of one setting, to `path`, whose ending says the format. name: of the network. about: data, mode."""
    kind = Path(path).suffix.removeprefix(".")
    if kind not in FORMATS:
        raise SystemExit(f"--plot: {path!r}; expected a name that ends in .{' or .'.join(FORMATS)}")
    if not rows:
        raise SystemExit("--plot: no rows to draw; compute some first")
    with style():
        figure_of(rows, name, about).savefig(path, format=kind, dpi=DPI, metadata=FORMATS[kind])


def figure_of(rows: Sequence[Row], name: str, about: str) -> Figure:
    """One curve per fit and number of the input's steps, from rows in the order of latency."""
    figure = Figure((5.4, 3.2), layout="constrained")
    axes, labels = figure.subplots(), of_labels(rows[0])
    inputs = sorted({row["input_steps"] for row in rows}, key=lambda each: (each != "own", each))
    for fit, (words, colour) in CURVES.items():
        for of_input, dashes in zip(inputs, LINES):
            own = [row for row in rows if row["fit"] == fit and row["input_steps"] == of_input]
            if own:
                heights = [100 * row["snn_accuracy"] if labels else row["psnr"] for row in own]
                label = words + ("" if of_input == "own" else f", input {of_input} steps")
                axes.plot([row["latency_steps"] for row in own], heights, dashes, color=colour, marker=".", markersize=4, label=label)
    if labels:
        axes.axhline(100 * rows[0]["ann_accuracy"], color="black", linewidth=0.6, linestyle=(0, (1, 2)), label="ANN")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xticks(_apart([row["latency_steps"] for row in rows]))
    axes.minorticks_off()
    axes.set_xlabel("latency, time steps")
    axes.set_ylabel("accuracy, %" if labels else "PSNR to the original's outputs, dB")
    figure.suptitle(f"{shown(name)}: {'accuracy' if labels else 'outputs'} against latency\n{shown_text(about)}")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(inputs))
    return figure


def _apart(latencies: Sequence[int]) -> list[int]:
    """Those that have room for their labels on a logarithmic axis."""
    kept: list[int] = []
    for latency in latencies:
        if not kept or latency >= ROOM * kept[-1]:
            kept.append(latency)
    return kept
