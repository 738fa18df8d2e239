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

from ..errors import UsageError
from ..measurement.distributions import POTENTIAL_EDGES, Distributions
from ..measurement.layer_errors import LayerErrors
from ..network.populations import Coded, Layer, Spiking
from .figure_folder import write_figures
from .page import BLUE, GREY, SHADE, VERMILION, WIDTH, about_network, cut, frame, paged, percent, short, signed, small_multiples, style
from .picture_pairs import pictures

if TYPE_CHECKING:
    from ..studies.tallies import Evaluation

TALLEST = 2.5  # of a density of V0: twice the target's; the same in all figures
TARGET = 1 / 3  # standard deviation of the pre-activations that the paper trains for
RAREST = 1e-6  # share of a layer's values at the lower end of the colours
ROWS = 24  # layers on a page of the time axis


def write_run(evaluation: Evaluation, folder: str | Path, titles: bool = True) -> None:
    """Write the figures of a run, and `histograms.npz`, into `folder`. Raises UsageError if they cannot be written, or if the run did not count
    distributions. titles: whether figures have one."""
    report, found = evaluation.report, evaluation.distributions
    if found is None:
        raise UsageError("figures", "a run without distributions", "those that they show", "evaluate(..., distributions=True)")
    about = about_network(found.network, report.engine.name, report.engine.threshold)
    about = f"{about}; data {report.data.name}, N = {report.data.samples:,}"
    figures = run_figures(found, evaluation.layer_errors, about)
    if evaluation.pictures is not None:
        figures |= pictures(evaluation.pictures, about)
    if not titles:
        for figure in figures.values():
            figure.suptitle("")
    write_figures(figures, folder, {"histograms.npz": histograms(found)})


def run_figures(found: Distributions, layer_errors: LayerErrors, about: str) -> dict[str, Figure]:
    """`preactivations`, `activations`, `spike_times` and `time_axis`, one panel or row per layer; above 24 layers on several pages.

    found, layer_errors: of the same run. about: network, data and number of samples, for the titles.
    """
    with style():
        return {**_preactivations(found, about), **_activations(found, layer_errors, about), **_spike_times(found, about), **_time_axis(found, about)}


def histograms(found: Distributions) -> bytes:
    """What the figures show as an .npz. `preactivation_edges`: (121,), in units of the threshold. Counts, int64, as
    `measurement.distributions` has them: `preactivations/<layer>` (120,), `activations/<layer>` (101, bins + 1), and
    `spike_times/<layer>` (windows x bins,), from the opening of the input's window."""
    counts = {"preactivation_edges": POTENTIAL_EDGES}
    for name, kind in (("preactivations", found.potentials), ("activations", found.pairs), ("spike_times", found.timing.layers)):
        counts |= {f"{name}/{layer}": each.histogram for layer, each in kind.items()}
    file = io.BytesIO()
    np.savez(file, **counts)  # pyright: ignore[reportArgumentType] - no figure is named allow_pickle
    return file.getvalue()


def _preactivations(found: Distributions, about: str) -> dict[str, Figure]:
    layers = [layer for layer in found.network.layers if isinstance(layer, Spiking) and layer.name in found.potentials]
    width, centres = np.diff(POTENTIAL_EDGES), (POTENTIAL_EDGES[1:] + POTENTIAL_EDGES[:-1]) / 2
    target = np.exp(-((centres / TARGET) ** 2) / 2) / (TARGET * np.sqrt(2 * np.pi))

    def draw(axes: Axes, layer: Spiking) -> None:
        each = found.potentials[layer.name]
        density = each.histogram / each.count / width
        axes.axvspan(0, 1, color=SHADE, linewidth=0, zorder=0, label="0 to 1: fires inside its window")
        axes.stairs(density, POTENTIAL_EDGES, fill=True, color=BLUE, label="V₀ on the data")
        if layer.slope == "fan_in":
            axes.plot(centres, target, color="black", linestyle="--", linewidth=0.8, label="target N(0, 1/9)")
        outside = (each.below + each.above) / each.count
        beyond = f"\n{percent(outside)} beyond" if outside >= 0.0005 else ""
        moments = f"mean {signed(each.mean, '.2f')}\ns.d. {each.deviation:.2f}"
        axes.text(0.02, 0.97, moments + beyond, transform=axes.transAxes, va="top")
        axes.set_xlim(POTENTIAL_EDGES[0], POTENTIAL_EDGES[-1])
        axes.set_ylim(0, TALLEST)
        axes.set_xticks(range(-3, 4))
        peak = int(density.argmax())
        if density[peak] > TALLEST:
            cut(axes, centres[peak], TALLEST, f"{density[peak]:.1f}", right=bool(centres[peak] < 1.5))
        axes.set_title(short(layer.name))

    return small_multiples(
        "preactivations",
        "Pre-activations: potential V₀ as the window opens",
        about,
        layers,
        draw,
        "V₀ (units of the threshold)",
        "density (per unit)",
    )


def _activations(found: Distributions, layer_errors: LayerErrors, about: str) -> dict[str, Figure]:
    layers, norm = [layer for layer in found.network.layers if isinstance(layer, Coded) and layer.name in found.pairs], LogNorm(RAREST, 1)

    def draw(axes: Axes, layer: Coded) -> None:
        counts, errors = found.pairs[layer.name].histogram, layer_errors.layers[layer.name]
        rows, columns = (size - 1 for size in counts.shape)
        shares = np.where(counts.T > 0, counts.T / counts.sum(), np.nan)
        image = axes.imshow(
            shares,
            cmap="cividis",
            norm=norm,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            extent=(-0.5 / rows, 1 + 0.5 / rows, -0.5 / columns, 1 + 0.5 / columns),
        )
        axes.plot([0, 1], [0, 1], color=VERMILION, linestyle=(0, (4, 4)), linewidth=0.7, label="decoded = ANN activation")
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xticks([0, 0.5, 1])
        axes.set_yticks([0, 0.5, 1])
        axes.set_title(f"{short(layer.name)}\nlargest error {errors.max_error:.1e}")
        images.append((axes, image))

    images: list = []
    figures = small_multiples(
        "activations",
        "ANN activation and what its spike time decodes to",
        about,
        layers,
        draw,
        "ANN activation a (share of the layer's range)",
        "decoded spike time 1 − τ",
    )
    for figure in figures.values():
        shown = [image for axes, image in images if axes.figure is figure]
        place = figure.axes[0].get_subplotspec()
        rows = 1 if place is None else place.get_gridspec().nrows
        figure.colorbar(
            shown[0], ax=figure.axes, label="share of the layer's values", shrink=min(1.0, 2 / rows), pad=0.01, format=lambda value, _: f"{value:.0e}"
        )
    return figures


def _spiking(found: Distributions) -> list[Layer]:
    """Populations that make their own spikes; wiring passes on what is shown already."""
    return [layer for layer in found.network.layers if isinstance(layer, Coded) and layer.name in found.timing.layers]


def _density(found: Distributions, layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """Spikes before the windows' ends, per bin, in % of the neurons per tenth of a window; and the edges, in windows."""
    bins, timing = found.bins[layer.name], found.timing.layers[layer.name]
    return 100 * timing.histogram / timing.neurons * bins / 10, np.arange(timing.histogram.size + 1) / bins


def _inside(found: Distributions, layer: Layer) -> np.ndarray:
    """`_density` in the layer's own window."""
    bins = found.bins[layer.name]
    return _density(found, layer)[0][bins * layer.window : bins * (layer.window + 1)]


def _usual_height(density: np.ndarray) -> float:
    """What all bins but the very highest stay below: neurons that fire at the opening are many, and would flatten all others."""
    if not density.any():
        return 1.0
    return 1.3 * max(float(np.percentile(density, 97)), float(density.max()) / 20)


def _shares(found: Distributions, layer: Layer, between: str) -> str:
    """Neurons that the histogram does not count, or counts outside the layer's window."""
    timing = found.timing.layers[layer.name]
    counts = {"silent": timing.at_end, "early": timing.premature, "late": timing.late, "missing": timing.missing}
    return between.join(f"{percent(count / timing.neurons)} {name}" for name, count in counts.items() if count or name == "silent")


def _spike_times(found: Distributions, about: str) -> dict[str, Figure]:
    layers = _spiking(found)
    height = max(_usual_height(_inside(found, layer)) for layer in layers) if layers else 1.0

    def draw(axes: Axes, layer: Layer) -> None:
        density, bins = _inside(found, layer), found.bins[layer.name]
        axes.stairs(density, np.arange(bins + 1) / bins, fill=True, color=BLUE, label="spikes before the window's end")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, height)
        axes.set_xticks([0, 0.5, 1])
        axes.text(0.55, 0.97, _shares(found, layer, "\n"), transform=axes.transAxes, ha="center", va="top")
        if density.max() > height:
            at = (density.argmax() + 0.5) / bins
            cut(axes, at, height, f"{density.max():.0f}", right=bool(at < 0.5))
        axes.set_title(f"{short(layer.name)}, window {layer.window}")

    return small_multiples(
        "spike_times",
        "Spike times in each layer's own window",
        about,
        layers,
        draw,
        "spike time τ (windows; 0: it opens, 1: it closes)",
        "neurons (% per tenth of the window)",
    )


def _time_axis(found: Distributions, about: str) -> dict[str, Figure]:
    def page(layers: Sequence[Layer], addition: str) -> Figure:
        figure = Figure((WIDTH, 1.3 + 0.3 * len(layers)), layout="constrained")
        axes = figure.subplots()
        ends = []
        for row, layer in enumerate(layers):
            density, edges = _density(found, layer)
            axes.fill_between([layer.window, layer.window + 1], row, row + 0.92, color=SHADE, linewidth=0, label=None if row else "its own window")
            height = np.minimum(density / _usual_height(density[density > 0]), 1) * 0.88
            axes.stairs(
                row + 0.92 - height,
                edges,
                baseline=row + 0.92,
                fill=True,
                color=BLUE,
                label=None if row else "spikes before its end; each row to its own scale, peaks cut",
            )
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
        right.set_yticks([row + 0.5 for row in range(len(layers))], [_shares(found, layer, ", ") for layer in layers])
        right.tick_params(axis="y", length=0)
        right.spines["right"].set_visible(False)
        axes.set_xlabel("time (windows since the input's opened)")
        frame(figure, axes, f"Spike times, all layers on one clock{addition}", about)
        return figure

    return paged("time_axis", _spiking(found), ROWS, page)
