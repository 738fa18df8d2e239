"""When windows begin and end, and how often a new sample can enter.

All windows of a sample follow one another: a layer charges while its inputs' windows last and fires in its own. Samples can follow one another in
the same way, one a window behind the other, since every layer is in one window at a time:

    interval = the longest window: a neuron charges for the next sample while it ramps for this one, and so has two potentials
    interval with one potential = the longest (window of a layer + the longest window that it reads): it charges, then fires

Spikes of earlier windows wait in delay lines, which then hold those of several samples.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..network.network import Network
from ..network.populations import Input, Readout, Spiking, has_neurons, sources


@dataclass(frozen=True)
class PipelineTiming:
    """In time steps. windows: of each population the first step of the window in which its spikes travel and the one past its last, by name; of
    analog inputs an empty one."""

    latency: int
    interval: int
    interval_with_one_potential: int
    windows: dict[str, tuple[int, int]]


def pipeline_timing(network: Network) -> PipelineTiming | None:
    """None in continuous time, which has no steps."""
    latency = network.latency_steps
    if latency is None:
        return None
    counts, windows, needed = network.grid(), {}, 0
    for layer in network.layers:
        start = max((windows[source][1] for source in sources(layer)), default=0)
        if isinstance(layer, Spiking) or (isinstance(layer, Input) and layer.coding == "spikes"):
            windows[layer.name] = start, start + counts[layer.name]
        else:  # wiring passes spikes on in the window that they travel in; a readout is read as its inputs' ends
            windows[layer.name] = min(start, max((windows[source][0] for source in sources(layer)), default=0)), start
        if has_neurons(layer):
            read = max(end - begin for begin, end in (windows[source] for source in sources(layer)))
            needed = max(needed, read + (0 if isinstance(layer, Readout) else counts[layer.name]))
    longest = max(end - begin for begin, end in windows.values())
    return PipelineTiming(latency, longest, max(longest, needed), windows)
