"""Where convolutions have groups a layer's rows fall apart into blocks, each with inputs and outputs of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..network.synapses.kind import FittableKind


class ChannelGroups:
    """Blocks of a layer's fitted connections. steps: their last synapses."""

    def __init__(self, steps: Sequence[FittableKind]):
        self._ends = np.cumsum([0, *(step.fan_in for step in steps)])
        self.count = math.lcm(*(step.channel_groups() for step in steps))

    def columns(self, parts: Sequence[np.ndarray], block: int) -> np.ndarray:
        """(n, weights per neuron) of a block, all connections side by side. parts: (n, groups, weights per neuron) each."""
        own = [part[:, block * part.shape[1] // self.count] for part in parts]
        return own[0] if len(own) == 1 else np.concatenate(own, 1)

    def outputs(self, block: int, outputs: int) -> slice:
        """Those of a block."""
        return slice(block * outputs // self.count, (block + 1) * outputs // self.count)

    def by_connection(self, weights: np.ndarray) -> tuple[np.ndarray, ...]:
        """(weights per neuron, m) each. weights: (k, m), all connections' one after the other."""
        return tuple(weights[first:past] for first, past in zip(self._ends, self._ends[1:]))
