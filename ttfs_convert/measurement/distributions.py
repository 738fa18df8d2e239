"""What the figures of a run are drawn from, counted batch by batch: pre-activations, activations and spike times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..network.network import Network
from ..network.populations import Coded
from ..simulation.exact_engine import Simulator
from ..simulation.recording import Recording
from .layer_errors import original_activations
from .spike_timing import SpikeTiming

POTENTIAL_EDGES = np.linspace(-3, 3, 121)  # the same for every network, so that figures of two can be held side by side
ORIGINAL_BINS = 100  # of the original's activations, from 0 to 1
MOST_BINS, FEWEST_BINS, USUAL_BINS = 128, 32, 50


def bins_of(steps: int | None) -> int:
    """Bins per window in which every bin holds as many of the N steps as any other: N or, of more than 128, its largest divisor from
    32 to 128. 50 where there is none, and in continuous time."""
    if steps is not None and steps <= MOST_BINS:
        return steps
    divisors = (bins for bins in range(MOST_BINS, FEWEST_BINS - 1, -1) if steps is not None and steps % bins == 0)
    return next(divisors, USUAL_BINS)


@dataclass
class PreActivations:
    """V0 = sum_j w_ij a_j + b_i of one layer, in units of the threshold (LC-TTFS, Fig. 5).

    histogram: (120,) int64, of V0 from -3 to 3. below, above: how many lie outside. mean, deviation: of all.
    """

    histogram: np.ndarray = field(default_factory=lambda: np.zeros(len(POTENTIAL_EDGES) - 1, np.int64))
    count: int = 0
    below: int = 0
    above: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, potentials: np.ndarray) -> None:
        """potentials: of one batch, any shape, float32."""
        exact = potentials.reshape(-1).astype(np.float64)
        self.histogram += np.histogram(exact, POTENTIAL_EDGES)[0]
        self.count += exact.size
        self.below += int((exact < POTENTIAL_EDGES[0]).sum())
        self.above += int((exact > POTENTIAL_EDGES[-1]).sum())
        self.total += float(exact.sum())
        self.squares += float(exact @ exact)

    @property
    def mean(self) -> float:
        """Of all potentials so far."""
        return self.total / self.count

    @property
    def deviation(self) -> float:
        """Standard deviation."""
        return max(self.squares / self.count - self.mean**2, 0.0) ** 0.5


@dataclass
class ActivationPairs:
    """The original's activation a_ANN = (x - lo) / (hi - lo) beside the decoded spike time a = 1 - tau (LC-TTFS, Fig. 6).

    histogram: (101, bins + 1) int64; row k counts a_ANN nearest to k / 100, column k decoded a nearest to k / bins, cut at 0 and 1.
    """

    histogram: np.ndarray

    def add(self, original: np.ndarray, decoded: np.ndarray) -> None:
        """Of one batch, float32 arrays of equal shape."""
        row, column = (
            np.rint(values.reshape(-1).clip(0, 1) * np.float32(size - 1)).astype(np.int32)
            for values, size in zip((original, decoded), self.histogram.shape)
        )
        places = row * self.histogram.shape[1] + column
        self.histogram += np.bincount(places, minlength=self.histogram.size).reshape(self.histogram.shape)


class Distributions:
    """Of all layers of one run, by name. potentials: of layers of neurons but readouts. pairs: of layers whose tensor ONNX Runtime
    gives. timing: of all populations, in `bins_of` bins per window."""

    def __init__(self, network: Network):
        self.network = network
        self.bins = {name: bins_of(steps) for name, steps in network.steps_per_layer().items()}
        self.potentials: dict[str, PreActivations] = {}
        self.pairs: dict[str, ActivationPairs] = {}
        self.timing = SpikeTiming(network, self.bins)
        self._simulator = Simulator(network)

    def add(self, recording: Recording, entries: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]) -> None:
        """recording: of one batch. entries: what the input populations encoded; reference: ONNX Runtime's tensors; by name."""
        self.timing.add(recording)
        for layer, potentials in self._simulator.potentials(recording, entries):
            self.potentials.setdefault(layer.name, PreActivations()).add(potentials)
        for layer in self.network.layers:
            if isinstance(layer, Coded) and layer.tensor is not None and layer.tensor in reference and layer.name in recording.spike_times:
                size = ORIGINAL_BINS + 1, self.bins[layer.name] + 1
                pairs = self.pairs.setdefault(layer.name, ActivationPairs(np.zeros(size, np.int64)))
                decoded = recording.activations(layer.name)
                pairs.add(original_activations(layer, reference[layer.tensor], len(decoded)), decoded)
