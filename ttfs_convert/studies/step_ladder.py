"""Which numbers of steps are tried, and of which populations."""

from __future__ import annotations

import math

from ..network.network import Network
from ..network.populations import Input, Readout, Spiking, sources

LADDER = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 50, 64, 80, 100, 128, 160, 200, 256, 512, 1024)


def rungs_up_to(steps: int) -> list[int]:
    """Those of the ladder below `steps`, and `steps` itself, from the lowest."""
    return [*(rung for rung in LADDER if rung < steps), steps]


def own_steps(network: Network) -> dict[str, int]:
    """N of every encoder and every layer of neurons."""
    counts = network.grid()
    return {layer.name: counts[layer.name] for layer in network.layers if isinstance(layer, (Input, Spiking)) and layer.name in counts}


def groups(network: Network) -> list[tuple[str, ...]]:
    """Populations that must share N, because a concatenation joins their spikes; those with most neurons first."""
    group = {layer.name: {layer.name} for layer in network.layers}
    for layer in network.layers:
        if not isinstance(layer, (Input, Spiking, Readout)):
            together = {layer.name}.union(*(group[source] for source in sources(layer)))
            for name in together:
                group[name] = together
    tunable = own_steps(network)
    sizes = {layer.name: math.prod(layer.shape) for layer in network.layers}
    found = dict.fromkeys(tuple(name for name in tunable if name in members) for members in group.values())
    return sorted(filter(None, found), key=lambda names: -sum(sizes[name] for name in names))
