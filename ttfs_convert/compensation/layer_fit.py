"""The fit of one layer: the weights of all its connections at once and one charge per channel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..network.populations import Readout, Spiking
from .channel_groups import ChannelGroups
from .firing import decoded, indifferent
from .layer_change import Change
from .regression_rows import Rows, fitted_steps
from .ridge import Ridge
from .weight_rounding import Rounding

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
DAMPINGS = (1e-3, 1e-2, 1e-1)  # strengths that the errors of rounding are taken up with
ROUNDS = 3  # of fits to what the threshold lets through


@dataclass(frozen=True)
class Fit:
    """change: None where none helps. kind: what was fitted, `weights`, `bias` or `none`. strength: of the ridge. before, after: root mean squared
    error on samples that the fit did not see; of activations, in units of their range, of a readout's potentials in the output's."""

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
    bits: int | None = None,
) -> Fit:
    """The best change of `layer`. steps, half: of its spike times. seen: what is fitted to. unseen: what chooses between ridges, the charges
    alone, and no change. unchanged: per fitted connection, (c, groups, weights per neuron): combinations whose sum over connections is to
    stay as it is. charges_alone: whether weights stay too. bits: of integers that weights are rounded to, however much that costs."""
    best, residual = _Best(_Score(layer, steps, half, unseen)), seen.target - seen.now
    best.offer(Change(residual.mean(0, dtype=np.float64)))
    groups = ChannelGroups([step for _, step in fitted_steps(layer)])
    blocks = None if charges_alone else _Blocks(groups, seen, unchanged)
    if blocks is not None:
        _fit_weights(best, blocks, layer, seen, residual)
    return best.fit if bits is None else _on_grid(best, Rounding(layer, groups, unchanged, bits), blocks, seen)


def _fit_weights(best: _Best, blocks: _Blocks, layer: Spiking | Readout, seen: Rows, residual: np.ndarray) -> None:
    changes = blocks.against(residual)
    strength = min(STRENGTHS, key=lambda each: best.offer(changes(each), each))  # one at a time: changes of wide layers are large
    if isinstance(layer, Spiking):
        change = changes(strength)
        for _ in range(ROUNDS):
            change = blocks.against(_relaxed(layer, seen, predicted(seen, change)) - seen.now)(strength)
            best.offer(change, strength)


def _on_grid(best: _Best, rounding: Rounding, blocks: _Blocks | None, seen: Rows) -> Fit:
    """The best of the original's weights rounded one by one, and of the fitted ones rounded so that potentials stay, whatever the original is."""
    rounded = _Best(best.score, unless_worse=False)
    rounded.offer(_charged(rounding.nearest(), seen, seen.target))
    if blocks is not None:
        found = best.fit.change or Change(np.zeros(seen.now.shape[1]))
        potentials = predicted(seen, found)
        for strength in DAMPINGS:
            rounded.offer(_charged(rounding.about(found, blocks.ridges, strength), seen, potentials), strength)
    return rounded.fit


def _charged(change: Change, rows: Rows, wanted: np.ndarray) -> Change:
    """With charges by which mean potentials are those of `wanted`, (r, m)."""
    return replace(change, charge=(wanted - predicted(rows, change)).mean(0, dtype=np.float64))


class _Best:
    """The best change so far on samples that none was fitted to. unless_worse: whether none at all is one of them."""

    def __init__(self, score: _Score, unless_worse: bool = True):
        self.score = score
        before = score(score.rows.now)
        self.fit = Fit(None, "none", None, before, before if unless_worse else math.inf)

    def offer(self, change: Change, strength: float | None = None) -> float:
        """The error with the change. strength: of the ridge that its weights are from."""
        after = self.score(predicted(self.score.rows, change))
        if after < self.fit.after:
            self.fit = Fit(change, "bias" if strength is None else "weights", strength, self.fit.before, after)
        return after


def _relaxed(layer: Spiking, rows: Rows, found: np.ndarray) -> np.ndarray:
    """Targets for potentials `found`: where the original is silent any potential will do that keeps the neuron silent, and where it is
    saturated any that keeps it so."""
    silent, at_once = indifferent(layer, rows.slopes)
    target = np.where(rows.target < silent, np.minimum(found, silent), rows.target)
    return np.where(rows.target > at_once, np.maximum(found, at_once), target).astype(np.float32)


class _Blocks:
    """A ridge regression per block of channels."""

    def __init__(self, groups: ChannelGroups, rows: Rows, unchanged: Sequence[np.ndarray] | None):
        self._groups = groups
        self.ridges = [
            Ridge(groups.columns(rows.inputs, block), None if unchanged is None else groups.columns(unchanged, block))
            for block in range(groups.count)
        ]

    def against(self, residual: np.ndarray) -> Callable[[float], Change]:
        """What gives the change for a strength. residual: (r, m) float32."""
        blocks = [ridge.against(residual[:, self._groups.outputs(block, residual.shape[1])]) for block, ridge in enumerate(self.ridges)]

        def change(strength: float) -> Change:
            parts = [block(strength) for block in blocks]
            weights = parts[0][0] if len(parts) == 1 else np.concatenate([weights for weights, _ in parts], 1)
            return Change(np.concatenate([charge for _, charge in parts]), self._groups.by_connection(weights))

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
