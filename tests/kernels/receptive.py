"""Random receptive fields, and the synapses that they stand for, one by one."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ttfs_convert.kernels.incoming_spikes import VIRTUAL, Fields


class Sizes(NamedTuple):
    positions: int = 3
    groups: int = 2
    outputs: int = 2  # of one group
    channels: int = 2  # of one group
    sources: int = 5

    @property
    def neurons(self) -> int:
        return self.positions * self.groups * self.outputs


SMALL = Sizes()
MANY = (SMALL, Sizes(2, 1, 41, 19, 40), Sizes(3, 5, 1, 1, 9), Sizes(2, 40, 1, 2, 90), Sizes(1, 2, 9, 8, 16))


def random_fields(rng: np.random.Generator, sizes: Sizes = SMALL, direct: bool = False, windows: int = 1) -> tuple[Fields, np.ndarray]:
    """Positions with none to three taps, some virtual, which follow some of so many clocks; and weights. Relays pass on none to three neurons, some
    virtual; or, `direct`, one neuron each."""
    per_tap = sizes.groups * sizes.channels
    first = np.cumsum([0, *rng.integers(0, 4, sizes.positions)])
    taps = first[-1]
    row = rng.integers(0, 3, taps) * sizes.channels
    if direct:
        relay = rng.integers(0, sizes.sources - per_tap + 1, taps)
        start, source, factor = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    else:
        relay = rng.integers(0, 3, taps) * per_tap
        start = np.cumsum([0, *rng.integers(0, 4, 3 * per_tap)])
        source = rng.integers(-1, sizes.sources, start[-1])
        factor = rng.normal(1, 0.5, source.size).astype(np.float32)
    relay[rng.random(taps) < 0.25] = VIRTUAL
    most = 9 * sizes.channels
    fields = Fields(start, source, factor, first, relay, row, np.full(taps, sizes.channels), rng.integers(0, windows, taps), most)
    return fields, rng.normal(0, 1, (sizes.groups, 3 * sizes.channels, sizes.outputs)).astype(np.float32)


def synapses(fields: Fields, weights: np.ndarray) -> list[list[tuple[int, float, int]]]:
    """Per neuron its (source or VIRTUAL, weight, window)."""
    groups, _, outputs = weights.shape
    found = []
    for p in range(fields.first.size - 1):
        for g in range(groups):
            for o in range(outputs):
                listed = []
                for t in range(fields.first[p], fields.first[p + 1]):
                    window = int(fields.window[t])
                    for c in range(fields.channels[t]):
                        weight, r = float(weights[g, fields.row[t] + c, o]), fields.relay[t] + g * fields.channels[t] + c
                        if fields.relay[t] == VIRTUAL:
                            listed.append((VIRTUAL, weight, window))
                        elif fields.start.size == 0:
                            listed.append((int(r), weight, window))
                        else:
                            passed = range(fields.start[r], fields.start[r + 1])
                            listed += [(int(fields.source[s]), float(fields.factor[s]) * weight, window) for s in passed]
                found.append(listed)
    return found


def arriving(neuron: list[tuple[int, float, int]], arrivals: np.ndarray) -> list[tuple[float, float]]:
    """(time, weight) of the spikes that arrive; virtual neurons fire as the window closes."""
    timed = [(1.0 if source == VIRTUAL else arrivals[source], weight) for source, weight, _ in neuron]
    return [(time, weight) for time, weight in timed if not math.isnan(time)]
