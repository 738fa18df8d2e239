"""When spikes happen: premature, late and missing ones of each layer, and the histogram of LC-TTFS, Fig. 7."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..network.network import Network
from ..simulation.recording import ROUNDING, Recording

BINS = 10  # of a histogram, per window


@dataclass
class LayerTiming:
    """Spikes of one population over all images. histogram: per bin of global time, without those at the window's end."""

    histogram: np.ndarray
    neurons: int = 0  # times images
    premature: int = 0  # before the layer's window
    late: int = 0  # after it
    missing: int = 0
    at_end: int = 0  # silent neurons that spike as the window closes


@dataclass
class SpikeTiming:
    """Of every population that spikes, batch by batch. With the dynamic threshold none is premature, late or missing.

    bins: per window, by the population's name; 10 where it names none.
    """

    network: Network
    bins: Mapping[str, int] = field(default_factory=dict)
    layers: dict[str, LayerTiming] = field(default_factory=dict)

    def add(self, recording: Recording) -> None:
        """recording: of one batch."""
        windows = {layer.name: layer.window for layer in self.network.layers}
        for name in recording.spike_times:
            per_window = self.bins.get(name, BINS)
            timing = self.layers.setdefault(name, LayerTiming(np.zeros(per_window * self.network.windows, np.int64)))
            tau = recording.tau(name).reshape(-1)
            sent = tau[~np.isnan(tau)]
            at_end = (sent >= 1 - ROUNDING) & (sent <= 1 + ROUNDING)
            timing.neurons += tau.size
            timing.missing += tau.size - sent.size
            timing.at_end += int(at_end.sum())
            timing.premature += int((sent < -ROUNDING).sum())
            timing.late += int((sent > 1 + ROUNDING).sum())
            bins = np.floor((sent[~at_end] + windows[name]) * per_window + ROUNDING * per_window).astype(np.int64)
            timing.histogram += np.bincount(bins.clip(0, timing.histogram.size - 1), minlength=timing.histogram.size)
