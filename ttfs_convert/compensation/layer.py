"""The fit of one layer: the weights of all its connections at once and one charge per channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..ir import Readout, Spiking
from ..kernels.threshold import TIE
from .patches import fan_in, groups, weighted_step
from .solve import Ridge

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
ROUNDS = 3  # of fits to what the threshold lets through


@dataclass(frozen=True)
class Rows:
    """A layer at some positions of some samples, r of them. inputs: per fitted connection what its weights read, (r, groups, weights per
    neuron). now: potentials with the original's weights, target: wanted ones, wanted: activations of the original, slopes: all (r, m)
    float32, m the number of outputs per position."""

    inputs: tuple[np.ndarray, ...]
    now: np.ndarray
    target: np.ndarray
    wanted: np.ndarray
    slopes: np.ndarray


@dataclass(frozen=True)
class Change:
    """Of a layer: weights, per fitted connection (weights per neuron, m), and charges (m,), float64."""

    weights: tuple[np.ndarray, ...]
    charge: np.ndarray


@dataclass(frozen=True)
class Fit:
    """change: None where none helps. kind: `weights`, `bias` or `none`. strength: of the ridge. before, after: root mean squared error on samples
    that the fit did not see; of activations, in units of their range, of a readout's potentials in the output's."""

    change: Change | None
    kind: str
    strength: float | None
    before: float
    after: float


def fitted_connections(layer: Spiking | Readout) -> list[int]:
    """Numbers of the connections whose weights are fitted: all that end in weights for the same grid of outputs."""
    steps = [weighted_step(connection) for connection in layer.connections]
    shapes = [step.out_shape for step in steps if step is not None]
    return [number for number, step in enumerate(steps) if step is not None and step.out_shape == shapes[0]]


def fit(layer: Spiking | Readout, steps: int | None, half: float, seen: Rows, unseen: Rows, unchanged: Sequence[np.ndarray] | None) -> Fit:
    """The best change of `layer`. steps, half: of its spike times. seen: what is fitted to. unseen: what chooses between ridges, the charges
    alone, and no change. unchanged: per fitted connection, (c, groups, weights per neuron): combinations whose sum over connections is to
    stay as it is."""
    score = _Score(layer, steps, half, unseen)
    before = score(unseen.now)
    best, best_error, kind, strength = None, before, "none", None
    for each, name, ridge in _candidates(layer, seen, unchanged, score):
        error = score(predicted(unseen, each))
        if error < best_error:
            best, best_error, kind, strength = each, error, name, ridge
    return Fit(best, kind, strength, math.sqrt(before), math.sqrt(best_error))


def _candidates(layer, seen: Rows, unchanged, score):
    steps = [weighted_step(layer.connections[number]) for number in fitted_connections(layer)]
    blocks = _Blocks(steps, seen.inputs, unchanged)
    none = tuple(np.zeros((fan_in(step), step.weights.shape[-1])) for step in steps)
    residual = seen.target - seen.now
    yield Change(none, residual.mean(0, dtype=np.float64)), "bias", None
    errors = {}
    changes = blocks.changes(residual, STRENGTHS)
    for strength, each in changes.items():
        errors[strength] = score(predicted(score.rows, each))
        yield each, "weights", strength
    if isinstance(layer, Readout):
        return
    strength = min(errors, key=errors.get)
    each = changes[strength]
    for _ in range(ROUNDS):
        each = blocks.changes(_relaxed(seen, predicted(seen, each)) - seen.now, (strength,))[strength]
        yield each, "weights", strength


def _relaxed(rows: Rows, found: np.ndarray) -> np.ndarray:
    """Targets for potentials `found`: where the original is silent any potential will do that keeps the neuron silent, and where it is
    saturated any that keeps it so."""
    silent = 1 - rows.slopes
    target = np.where(rows.target < silent, np.minimum(found, silent), rows.target)
    return np.where(rows.target > 1, np.maximum(found, 1), target)


class _Blocks:
    """The fit falls apart where convolutions have groups: each block has inputs and outputs of its own."""

    def __init__(self, steps, inputs: Sequence[np.ndarray], unchanged):
        self._steps = steps
        self.count = math.lcm(*(groups(step) for step in steps))
        self._ridges = []
        for block in range(self.count):
            parts = [each[:, block * each.shape[1] // self.count] for each in inputs]
            fixed = None if unchanged is None else np.concatenate([each[:, block * each.shape[1] // self.count] for each in unchanged], 1)
            self._ridges.append(Ridge(parts[0] if len(parts) == 1 else np.concatenate(parts, 1), fixed))

    def changes(self, residual: np.ndarray, strengths: Sequence[float]) -> dict[float, Change]:
        outputs = residual.shape[1]
        sizes = [fan_in(step) for step in self._steps]
        ends = np.cumsum([0, *sizes])
        found = {strength: (np.empty((ends[-1], outputs)), np.empty(outputs)) for strength in strengths}
        for block, ridge in enumerate(self._ridges):
            own = slice(block * outputs // self.count, (block + 1) * outputs // self.count)
            for (weights, charge), (dw, d) in zip(found.values(), ridge.changes(residual[:, own], tuple(strengths))):
                weights[:, own], charge[own] = dw, d
        return {strength: Change(tuple(weights[first:past] for first, past in zip(ends, ends[1:])), charge)
                for strength, (weights, charge) in found.items()}


def predicted(rows: Rows, change: Change) -> np.ndarray:
    """Potentials (r, m) float32 with the change."""
    found = rows.now + change.charge.astype(np.float32)
    for inputs, weights in zip(rows.inputs, change.weights):
        if not weights.any():
            continue
        each = found.shape[1] // inputs.shape[1]
        for group in range(inputs.shape[1]):
            own = slice(group * each, (group + 1) * each)
            found[:, own] += inputs[:, group] @ weights[:, own].astype(np.float32)
    return found


class _Score:
    """Mean squared error of what potentials make of a layer, against the original."""

    def __init__(self, layer, steps: int | None, half: float, rows: Rows):
        self._fires, self._steps, self._half, self.rows = isinstance(layer, Spiking), steps, half, rows

    def __call__(self, potentials: np.ndarray) -> float:
        if self._fires:
            potentials = decoded(potentials, self.rows.slopes, self._steps, self._half)
        return float(np.square(potentials - self.rows.wanted, dtype=np.float64).mean())


def decoded(potentials: np.ndarray, slopes: np.ndarray, steps: int, half: float) -> np.ndarray:
    """a = 1 - k / N of neurons with these potentials V0, as they fire (see `kernels.threshold.time_step`)."""
    rising = slopes > 0
    tau = np.where(rising, (1 - potentials) / np.where(rising, slopes, 1), np.where(potentials >= 1, 0, 1))
    return (1 - np.clip(np.ceil(steps * tau - half - TIE), 0, steps) / steps).astype(np.float32)
