"""What a page shows of each layer on its own: spike times, pre-activations, activations against decoded values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..measurement.distributions import ORIGINAL_BINS, POTENTIAL_EDGES, ActivationPairs, Distributions, PreActivations
from ..network.populations import Layer
from ..report.schema import LayerPart
from ..studies.details import makes_spikes
from .picture_uri import heat_map_uri
from .svg_chart import Bar, Chart, Tick, across, between, histogram, number, up

MOST_BARS = 50  # of a histogram of spike times
USUAL = 97  # percentile of the bars that is shown in full: neurons that fire at the opening are many, and would flatten all others
COLUMNS = 20  # of the original's activations that have words


@dataclass(frozen=True)
class LayerPanel:
    """index: of the report's layers. Charts are None where there is nothing to show."""

    index: int
    layer: LayerPart
    spike_times: Chart | None
    potentials: Chart | None
    activations: Chart | None


def layer_panels(layers: tuple[LayerPart, ...], found: Distributions) -> list[LayerPanel]:
    """Of all layers that have something to show."""
    populations = {layer.name: layer for layer in found.network.layers}
    panels = [
        LayerPanel(
            index,
            part,
            _spike_times(found, populations[part.name]) if part.name in populations else None,
            _potentials(found.potentials[part.name]) if part.name in found.potentials else None,
            _activations(found.pairs[part.name]) if part.name in found.pairs else None,
        )
        for index, part in enumerate(layers)
    ]
    return [panel for panel in panels if (panel.spike_times, panel.potentials, panel.activations) != (None, None, None)]


def _spike_times(found: Distributions, layer: Layer) -> Chart | None:
    """In the layer's own window."""
    timing, bins = found.timing.layers.get(layer.name), found.bins[layer.name]
    if timing is None or not makes_spikes(layer):
        return None
    counts = timing.histogram[bins * layer.window : bins * (layer.window + 1)]
    each = next(size for size in range(-(-bins // MOST_BARS), bins + 1) if bins % size == 0)
    shares = 100 * counts.reshape(-1, each).sum(1) / timing.neurons
    width = each / bins
    tips = [f"{number * width:.3g} to {(number + 1) * width:.3g} of the window: {share:.3g} % of the neurons" for number, share in enumerate(shares)]
    usual = float(np.percentile(shares, USUAL)) * 1.3
    highest = usual if usual > 0 and shares.max() > 2 * usual else None
    silent = 100 * timing.at_end / timing.neurons
    about = f"Spike times in the layer's own window: {100 - silent:.1f} % of the neurons spike before its end, {silent:.1f} % at it."
    return histogram(shares.tolist(), tips, (0, 1), "spike time τ (share of the window)", "% of neurons", about, highest, 0.25)


def _potentials(found: PreActivations) -> Chart:
    shares = 100 * found.histogram.reshape(-1, 2).sum(1) / max(found.count, 1)
    edges = POTENTIAL_EDGES[::2]
    tips = [f"V₀ from {low:.3g} to {high:.3g}: {share:.3g} %" for low, high, share in zip(edges, edges[1:], shares)]
    outside = 100 * (found.below + found.above) / max(found.count, 1)
    about = f"Potentials as the window opens: mean {found.mean:.3g}, standard deviation {found.deviation:.3g}, {outside:.3g} % beyond -3 to 3."
    return histogram(shares.tolist(), tips, (-3, 3), "potential V₀ (units of the threshold)", "% of neurons", about, x_step=1)


def _activations(found: ActivationPairs) -> Chart:
    counts = found.histogram
    decoded = np.arange(counts.shape[1]) / (counts.shape[1] - 1)
    edges = np.linspace(0, ORIGINAL_BINS + 1, COLUMNS + 1).round().astype(int)
    bars = tuple(
        Bar(across(first / (ORIGINAL_BINS + 1)), up(1), round(across(last / (ORIGINAL_BINS + 1)) - across(first / (ORIGINAL_BINS + 1)), 1),
            round(up(0) - up(1), 1), _in_words(counts[first:last].sum(0), decoded, first, last), "bare")
        for first, last in zip(edges, edges[1:])
    )  # fmt: skip
    rows, columns = np.nonzero(counts)
    gap = float((counts[rows, columns] * np.abs(rows / ORIGINAL_BINS - decoded[columns])).sum() / max(counts.sum(), 1))
    about = f"The original's activations against decoded spike times: mean distance {gap:.2g} of the range."
    ticks = [(each, number(each)) for each in between(0, 1, 0.25)]
    return Chart(
        about,
        bars,
        tuple(Tick(across(each), text) for each, text in ticks),
        tuple(Tick(up(each), text) for each, text in ticks),
        "ANN activation (share of the range)",
        "decoded 1 − τ",
        heat_map_uri(counts),
        True,
    )


def _in_words(counts: np.ndarray, decoded: np.ndarray, first: int, last: int) -> str:
    name, total = f"ANN {first / ORIGINAL_BINS:.2f} to {(last - 1) / ORIGINAL_BINS:.2f}", int(counts.sum())
    if not total:
        return f"{name}: no value"
    below = np.cumsum(counts) / total
    low, high = (decoded[int(np.searchsorted(below, share))] for share in (0.05, 0.95))
    return f"{name}: decoded {float(counts @ decoded) / total:.3f} on average, 90 % from {low:.2f} to {high:.2f}; {total:,} values"
