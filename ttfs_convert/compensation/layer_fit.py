"""The fit of one layer: the weights of all its connections at once and one charge per channel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..network.populations import Readout, Spiking
from ..network.synapses.kind import FittableKind
from .firing import decoded, indifferent
from .regression_rows import Rows, fitted_steps
from .ridge import Ridge

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
ROUNDS = 3  # of fits to what the threshold lets through


@dataclass(frozen=True)
class Change:
    """Of a layer: charges (m,) float64, and weights, per fitted connection (weights per neuron, m) float32, if they change at all."""

    charge: np.ndarray
    weights: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class Fit:
    """change: None where none helps. kind: `weights`, `bias` or `none`. strength: of the ridge. before, after: root mean squared error on samples
    that the fit did not see; of activations, in units of their range, of a readout's potentials in the output's."""

    change: Change | None
    kind: Literal["weights", "bias", "none"]
    strength: float | None
    before: float
    after: float


def fit(
    layer: Spiking | Readout,
    steps: int | None,
    half: float,
    seen: Rows,
    unseen: Rows,
    unchanged: Sequence[np.ndarray] | None,
    charges_alone: bool = False,
) -> Fit:
    """The best change of `layer`. steps, half: of its spike times. seen: what is fitted to. unseen: what chooses between ridges, the charges
    alone, and no change. unchanged: per fitted connection, (c, groups, weights per neuron): combinations whose sum over connections is to
    stay as it is. charges_alone: whether weights stay too."""
    best = _Best(_Score(layer, steps, half, unseen))
    residual = seen.target - seen.now
    best.offer(Change(residual.mean(0, dtype=np.float64)))
    if charges_alone:
        return best.fit
    blocks = _Blocks([step for _, step in fitted_steps(layer)], seen, unchanged)
    changes = blocks.against(residual)
    strength = min(STRENGTHS, key=lambda each: best.offer(changes(each), each))  # one at a time: changes of wide layers are large
    if isinstance(layer, Spiking):
        change = changes(strength)
        for _ in range(ROUNDS):
            change = blocks.against(_relaxed(layer, seen, predicted(seen, change)) - seen.now)(strength)
            best.offer(change, strength)
    return best.fit


class _Best:
    """The best change so far on samples that none was fitted to."""

    def __init__(self, score: _Score):
        self._score = score
        before = score(score.rows.now)
        self.fit = Fit(None, "none", None, before, before)

    def offer(self, change: Change, strength: float | None = None) -> float:
        """The error with the change."""
        after = self._score(predicted(self._score.rows, change))
        if after < self.fit.after:
            self.fit = Fit(change, "weights" if change.weights else "bias", strength, self.fit.before, after)
        return after


def _relaxed(layer: Spiking, rows: Rows, found: np.ndarray) -> np.ndarray:
    """Targets for potentials `found`: where the original is silent any potential will do that keeps the neuron silent, and where it is
    saturated any that keeps it so."""
    silent, at_once = indifferent(layer, rows.slopes)
    target = np.where(rows.target < silent, np.minimum(found, silent), rows.target)
    return np.where(rows.target > at_once, np.maximum(found, at_once), target).astype(np.float32)


class _Blocks:
    """The fit falls apart where convolutions have groups: each block has inputs and outputs of its own."""

    def __init__(self, steps: Sequence[FittableKind], rows: Rows, unchanged: Sequence[np.ndarray] | None):
        self._ends = np.cumsum([0, *(step.fan_in for step in steps)])
        self._count = math.lcm(*(step.channel_groups() for step in steps))
        self._ridges = [
            Ridge(self._columns(rows.inputs, block), None if unchanged is None else self._columns(unchanged, block)) for block in range(self._count)
        ]

    def _columns(self, parts: Sequence[np.ndarray], block: int) -> np.ndarray:
        """(n, weights per neuron) of a block, all connections side by side. parts: (n, groups, weights per neuron) each."""
        own = [part[:, block * part.shape[1] // self._count] for part in parts]
        return own[0] if len(own) == 1 else np.concatenate(own, 1)

    def against(self, residual: np.ndarray) -> Callable[[float], Change]:
        """What gives the change for a strength. residual: (r, m) float32."""
        outputs = residual.shape[1]
        slices = [slice(block * outputs // self._count, (block + 1) * outputs // self._count) for block in range(self._count)]
        blocks = [ridge.against(residual[:, own]) for ridge, own in zip(self._ridges, slices)]

        def change(strength: float) -> Change:
            parts = [block(strength) for block in blocks]
            weights = parts[0][0] if len(parts) == 1 else np.concatenate([weights for weights, _ in parts], 1)
            return Change(
                np.concatenate([charge for _, charge in parts]), tuple(weights[first:past] for first, past in zip(self._ends, self._ends[1:]))
            )

        return change


def predicted(rows: Rows, change: Change) -> np.ndarray:
    """Potentials (r, m) float32 with the change."""
    found = rows.now + change.charge.astype(np.float32)
    for inputs, weights in zip(rows.inputs, change.weights):
        each = found.shape[1] // inputs.shape[1]
        for group in range(inputs.shape[1]):
            own = slice(group * each, (group + 1) * each)
            found[:, own] += inputs[:, group] @ weights[:, own]
    return found


class _Score:
    """Root mean squared error of what potentials make of a layer, against the original."""

    def __init__(self, layer: Spiking | Readout, steps: int | None, half: float, rows: Rows):
        self._layer, self._steps, self._half, self.rows = layer, steps, half, rows

    def __call__(self, potentials: np.ndarray) -> float:
        if isinstance(self._layer, Spiking) and self._steps is not None:
            potentials = decoded(self._layer, potentials, self.rows.slopes, self._steps, self._half)
        return math.sqrt(np.square(potentials - self.rows.wanted, dtype=np.float64).mean())
