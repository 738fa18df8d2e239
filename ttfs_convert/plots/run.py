"""Figures of a run: pre-activations (LC-TTFS, Fig. 5), activations beside decoded spike times (Fig. 6), spike times (Fig. 7)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ..ir import Coded, Layer, Spiking
from ..measure.certificate import Certificate
from ..measure.distributions import POTENTIAL_EDGES, Distributions
from .folder import write_figures
from .page import BLUE, GREY, SHADE, VERMILION, WIDTH, about_network, finish, paged, short, small_multiples, style

if TYPE_CHECKING:
    from ..evaluation import Evaluation

TALLEST = 2.5  # of a density of V0: twice the target's; the same in all figures
TARGET = 1 / 3  # standard deviation of the pre-activations that the paper trains for
RAREST = 1e-6  # share of a layer's values at the lower end of the colours
ROWS = 24  # layers on a page of the time axis


def write_run(found: Distributions, evaluation: Evaluation, folder: str | Path) -> None:
    """Write the figures of a run, and `histograms.npz`, into `folder`. Raises UsageError if they cannot be written."""
    report = evaluation.report
    about = about_network(found.network, report.engine.name, report.engine.threshold)
    figures = run_figures(found, evaluation.certificate, f"{about}; data {report.data.name}, N = {report.data.samples:,}")
    write_figures(figures, folder, {"histograms.npz": histograms(found)})


def run_figures(found: Distributions, certificate: Certificate, about: str) -> dict[str, Figure]:
    """`preactivations`, `activations`, `spike_times` and `time_axis`, one panel or row per layer; of more than 24 layers further pages.

    found, certificate: of the same run. about: network, data and number of samples, for the titles.
    """
    with style():
        return {**_preactivations(found, about), **_activations(found, certificate, about), **_spike_times(found, about),
                **_time_axis(found, about)}


def histograms(found: Distributions) -> bytes:
    """What the figures show as an .npz: `preactivation_edges` (121,) in units of the threshold; by layer `preactivations/<layer>` (120,),
    `activations/<layer>` (101, bins + 1), see `measure.distributions`, and `spike_times/<layer>` (windows x bins,), all counts, int64."""
    counts = {"preactivation_edges": POTENTIAL_EDGES}
    for name, kind in (("preactivations", found.potentials), ("activations", found.pairs), ("spike_times", found.timing.layers)):
        counts |= {f"{name}/{layer}": each.histogram for layer, each in kind.items()}
    file = io.BytesIO()
    np.savez(file, **counts)
    return file.getvalue()


def _preactivations(found: Distributions, about: str) -> dict[str, Figure]:
    layers = [layer for layer in found.network.layers if layer.name in found.potentials]
    width, centres = np.diff(POTENTIAL_EDGES), (POTENTIAL_EDGES[1:] + POTENTIAL_EDGES[:-1]) / 2
    target = np.exp(-(centres / TARGET)**2 / 2) / (TARGET * np.sqrt(2 * np.pi))

    def draw(axes: Axes, layer: Spiking) -> None:
        each = found.potentials[layer.name]
        density = each.histogram / each.count / width
        axes.axvspan(0, 1, color=SHADE, linewidth=0, zorder=0, label="0 to 1: fires inside its window")
        axes.stairs(density, POTENTIAL_EDGES, fill=True, color=BLUE, label="V₀ on the data")
        if layer.slope == "fan_in":
            axes.plot(centres, target, color="black", linestyle="--", linewidth=0.8, label="target N(0, 1/9)")
        peak = int(density.argmax())
        if density[peak] > TALLEST:
            right = centres[peak] < 0.5
            axes.annotate(f"↑ {density[peak]:.1f}", (centres[peak], TALLEST), (5 if right else -5, -1), textcoords="offset points",
                          ha="left" if right else "right", va="top", color=BLUE)
        outside = (each.below + each.above) / each.count
        beyond = f"\n{100 * outside:.1f} % beyond" if outside >= 0.0005 else ""
        axes.text(0.02, 0.97, f"mean {each.mean:.2f}\ns.d. {each.deviation:.2f}{beyond}".replace("-", "−"), transform=axes.transAxes, va="top")
        axes.set_xlim(POTENTIAL_EDGES[0], POTENTIAL_EDGES[-1])
        axes.set_ylim(0, TALLEST)
        axes.set_xticks(range(-3, 4))
        axes.set_title(short(layer.name))

    return small_multiples("preactivations", "Pre-activations: potential V₀ as the window opens", about, layers, draw,
                           "V₀ (units of the threshold)", "density (per unit)")


def _activations(found: Distributions, certificate: Certificate, about: str) -> dict[str, Figure]:
    layers, norm = [layer for layer in found.network.layers if layer.name in found.pairs], LogNorm(RAREST, 1)

    def draw(axes: Axes, layer: Coded) -> None:
        counts, errors = found.pairs[layer.name].histogram, certificate.layers[layer.name]
        rows, columns = (size - 1 for size in counts.shape)
        image = axes.imshow(np.where(counts.T > 0, counts.T / counts.sum(), np.nan), cmap="cividis", norm=norm, origin="lower", aspect="auto",
                            interpolation="nearest", extent=(-0.5 / rows, 1 + 0.5 / rows, -0.5 / columns, 1 + 0.5 / columns))
        axes.plot([0, 1], [0, 1], color=VERMILION, linestyle="--", linewidth=0.7, label="decoded = ANN activation")
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xticks([0, 0.5, 1])
        axes.set_yticks([0, 0.5, 1])
        axes.set_title(f"{short(layer.name)}\nlargest error {errors.max_error:.1e}")
        images.append((axes, image))

    images: list = []
    figures = small_multiples("activations", "ANN activation and what its spike time decodes to", about, layers, draw,
                              "ANN activation a (share of the layer's range)", "decoded spike time 1 − τ")
    for figure in figures.values():
        shown = [image for axes, image in images if axes.figure is figure]
        figure.colorbar(shown[0], ax=figure.axes, label="share of the layer's values", shrink=min(1.0, 2 / (len(figure.axes) / 4)), pad=0.01,
                        format=lambda value, _: f"{value:.0e}")
    return figures


def _spiking(found: Distributions) -> list[Layer]:
    """Populations that make their own spikes; wiring passes on what is shown already."""
    return [layer for layer in found.network.layers if isinstance(layer, Coded) and layer.name in found.timing.layers]


def _density(found: Distributions, layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """Spikes before the windows' ends per bin, as share of the neurons per tenth of a window; and the edges, in windows."""
    bins, timing = found.bins[layer.name], found.timing.layers[layer.name]
    return timing.histogram / timing.neurons * bins / 10, np.arange(timing.histogram.size + 1) / bins


def _troubles(found: Distributions, layer: Layer) -> str:
    timing = found.timing.layers[layer.name]
    counts = {"early": timing.premature, "late": timing.late, "none": timing.missing}
    return ", ".join(f"{name} {100 * count / timing.neurons:.0f} %" for name, count in counts.items() if count)


def _spike_times(found: Distributions, about: str) -> dict[str, Figure]:
    def draw(axes: Axes, layer: Coded) -> None:
        density, edges = _density(found, layer)
        bins, timing = found.bins[layer.name], found.timing.layers[layer.name]
        window = slice(bins * layer.window, bins * (layer.window + 1))
        silent = timing.at_end / timing.neurons
        inside, bar = 100 * density[window], 100 * silent
        axes.stairs(inside, np.arange(bins + 1) / bins, fill=True, color=BLUE, label="spikes, per tenth of the window")
        axes.bar(1.12, bar, 0.1, color="white", edgecolor=VERMILION, hatch="//////", linewidth=0.7, label="silent: at the window's end (%)")
        axes.text(1.12, bar, f"{bar:.0f}", ha="center", va="bottom", color="black")
        axes.axvline(1, color=GREY, linewidth=0.5, linestyle=":")
        axes.set_xlim(0, 1.25)
        axes.set_ylim(0, 100)
        axes.set_xticks([0, 0.5, 1])
        troubles = _troubles(found, layer)
        axes.set_title(f"{short(layer.name)}, window {layer.window}" + (f"\n{troubles}" if troubles else ""))

    return small_multiples("spike_times", "Spike times in each layer's own window", about, _spiking(found), draw,
                           "τ (windows; 0 opens, 1 closes)", "neurons (%)")


def _time_axis(found: Distributions, about: str) -> dict[str, Figure]:
    def page(layers: Sequence[Layer], addition: str) -> Figure:
        figure = Figure((WIDTH, 1.3 + 0.3 * len(layers)), layout="constrained")
        axes = figure.subplots()
        ends = []
        for row, layer in enumerate(layers):
            density, edges = _density(found, layer)
            axes.fill_between([layer.window, layer.window + 1], row, row + 0.92, color=SHADE, linewidth=0, label=None if row else "its own window")
            height = 0.9 / max(density.max(), 1e-12)
            axes.stairs(row + 0.92 - height * density, edges, baseline=row + 0.92, fill=True, color=BLUE,
                        label=None if row else "spikes before its end; each row to its own scale")
            filled = np.flatnonzero(density)
            ends += [layer.window, layer.window + 1, *(edges[[filled[0], filled[-1] + 1]] if filled.size else [])]
        first, last = int(np.floor(min(ends))), int(np.ceil(max(ends)))
        axes.set_xlim(first, last)
        axes.set_xticks(range(first, last + 1, max(1, (last - first) // 25)))
        axes.grid(axis="x", color=GREY, linewidth=0.3)
        axes.set_axisbelow(True)
        axes.set_ylim(len(layers), 0)
        axes.set_yticks([row + 0.5 for row in range(len(layers))], [short(layer.name) for layer in layers])
        axes.tick_params(axis="y", length=0)
        right = axes.secondary_yaxis("right")
        right.set_yticks([row + 0.5 for row in range(len(layers))], [_right(found, layer) for layer in layers])
        right.tick_params(axis="y", length=0)
        right.spines["right"].set_visible(False)
        axes.set_xlabel("time (windows since the input's opened)")
        finish(figure, axes, f"Spike times, all layers on one clock{addition}", about)
        return figure

    return paged("time_axis", _spiking(found), ROWS, page)


def _right(found: Distributions, layer: Layer) -> str:
    timing = found.timing.layers[layer.name]
    troubles = _troubles(found, layer)
    return f"{100 * timing.at_end / timing.neurons:.0f} % silent" + (f", {troubles}" if troubles else "")
