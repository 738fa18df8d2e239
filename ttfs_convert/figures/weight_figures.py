"""Figures of a network's weight sums: their distribution per layer (LC-TTFS, Fig. 4), and how close to 1 they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ..conversion.options import ConversionOptions
from ..network.network import Network
from ..network.populations import Layer, Readout, Spiking, has_neurons
from ..studies.inspection import ModelInspection
from .figure_folder import write_figures
from .page import BLUE, GREY, ORANGE, VERMILION, WIDTH, about_network, frame, paged, short, signed, small_multiples, style

BINS = 41  # odd: one is centred on 1
NARROWEST = 0.1  # half the width of an axis of weight sums
SMALLEST = 1e-9  # deviations are drawn at least this large: float32 resolves 6e-8 at 1, so that only 0 is smaller
ROWS = 40  # layers on a page


@dataclass(frozen=True)
class _Sums:
    """Weight sums of one layer, as they are stored: of each neuron, or of each channel, whose neurons share theirs."""

    name: str
    values: np.ndarray  # flat, float64
    what: str
    exempt: str  # why no sum has to be 1; empty where it has to

    @property
    def deviations(self) -> np.ndarray:
        return np.abs(self.values - 1)


def weight_sum_figures(layers: Sequence[Layer], about: str) -> dict[str, Figure]:
    """`weight_sums`: the distribution of sum_j w_ij of each layer's neurons, padded taps included, pure numbers around 1 (LC-TTFS,
    Fig. 4); each panel's axis reaches as far as its largest deviation. `weight_sum_deviations`: |sum_j w_ij - 1| of all layers on one
    logarithmic axis, from the smallest over the quartiles to the largest, with the tolerance of mode strict.

    layers: of a network or of a model; those without neurons are left out, and without any others the result is {}. about: what they
    are of, for the titles.
    """
    sums = [_sums(layer) for layer in layers if has_neurons(layer)]
    with style():
        return {
            **small_multiples(
                "weight_sums", "Weight sums", about, sums, _distribution, "weight sum Σ w of a neuron (no unit)", "share of the sums (%)", share=False
            ),
            **paged("weight_sum_deviations", sums, ROWS, lambda page, addition: _deviations(page, addition, about)),
        }


def write_weight_sums(subject: Network | ModelInspection, folder: str | Path) -> None:
    """Write the figures of a network's weight sums into `folder`; of a model's those that mode strict judges, before any range is
    folded in. Writes nothing for a model of which no layer can be lowered. Raises UsageError if they cannot be written."""
    if isinstance(subject, Network):
        layers, about = subject.layers, about_network(subject)
    else:
        layers, about = subject.modes["strict"].layers, f"model {subject.name}, as mode strict sees it"
    figures = weight_sum_figures(layers, about)
    if figures:
        write_figures(figures, folder)


def _sums(layer: Spiking | Readout) -> _Sums:
    exempt = "readout" if isinstance(layer, Readout) else "" if layer.slope == "fan_in" else f"slope {layer.slope}"
    return _Sums(
        layer.name, layer.weight_sums.reshape(-1).astype(np.float64), "neurons" if layer.weight_sums.shape == layer.shape else "channels", exempt
    )


def _distribution(axes: Axes, sums: _Sums) -> None:
    half = _round_up(max(float(sums.deviations.max()), NARROWEST))
    counts, edges = np.histogram(sums.values.clip(1 - half, 1 + half), BINS, (1 - half, 1 + half))
    axes.axvline(1, color=VERMILION, linestyle="--", linewidth=0.8, zorder=0, label="1, as unity sums demand")
    axes.stairs(100 * counts / counts.sum(), edges, fill=True, color=GREY if sums.exempt else BLUE)
    axes.set_xlim(1 - half, 1 + half)
    axes.set_xticks([1 - half, 1, 1 + half], [signed(end, ".4g") for end in (1 - half, 1, 1 + half)])
    axes.set_ylim(0, 135 * counts.max() / counts.sum())
    axes.set_yticks([tick for tick in MaxNLocator(4).tick_values(0, 100 * counts.max() / counts.sum()) if tick <= 100])
    exempt = f"\nexempt: {sums.exempt}" if sums.exempt else ""
    axes.text(
        0.03,
        0.98,
        f"{len(sums.values)} {sums.what}{exempt}",
        transform=axes.transAxes,
        va="top",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )
    axes.set_title(f"{short(sums.name)}\nmax |Σ w − 1| = {sums.deviations.max():.1e}")


def _exempt(sums: _Sums) -> str:
    return f" ({sums.exempt})" if sums.exempt else ""


def _round_up(value: float) -> float:
    """To 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * next(step for step in (1, 2, 5, 10) if step * power >= value))


def _deviations(page: Sequence[_Sums], addition: str, about: str) -> Figure:
    figure = Figure((WIDTH, 1.3 + 0.17 * len(page)), layout="constrained")
    axes = figure.subplots()
    for row, sums in enumerate(page):
        smallest, lower, median, upper, largest = np.maximum(np.percentile(sums.deviations, (0, 25, 50, 75, 100)), SMALLEST)
        colour = GREY if sums.exempt else BLUE
        named = {label: label if row == 0 else None for label in ("smallest to largest", "middle half", "median")}
        axes.plot([smallest, largest], [row, row], color=colour, linewidth=0.8, marker="|", markersize=5, label=named["smallest to largest"])
        axes.plot([lower, upper], [row, row], color=colour, linewidth=4, solid_capstyle="butt", label=named["middle half"])
        axes.plot(median, row, "D", color="white", markeredgecolor="black", markeredgewidth=0.6, markersize=3.5, linestyle="", label=named["median"])
    axes.axvline(
        ConversionOptions.tolerance,
        color=VERMILION,
        linestyle="--",
        linewidth=0.8,
        label=f"tolerance of mode strict, {ConversionOptions.tolerance:g}",
    )
    axes.axvline(2**-23, color=ORANGE, linestyle=":", linewidth=0.8, label="one float32 step at 1, 1.2e-07")
    axes.set_xscale("log")
    axes.set_xlim(SMALLEST / 2, max(10.0, 2 * max(sums.deviations.max() for sums in page)))
    axes.xaxis.set_major_locator(LogLocator(numticks=20))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: "0" if value <= SMALLEST * 1.01 else f"{value:.0e}"))
    axes.set_yticks(range(len(page)), [f"{short(sums.name)}{_exempt(sums)}" for sums in page])
    axes.set_ylim(len(page) - 0.4, -0.6)
    axes.set_xlabel("|Σ w − 1| of the layer's neurons")
    frame(figure, axes, f"Deviations of weight sums from 1{addition}", about)
    return figure
