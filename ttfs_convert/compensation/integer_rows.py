"""Weights rounded to integers of few bits times one scale per output: to the nearest, or so that what they make of given rows stays.

    minimise over integers q in [-L, L] and s > 0:   sum over rows |x (s q - w)|^2 + damping |s q - w|^2,   L = 2^(bits - 1) - 1

Column by column, in the order of the falling diagonal of H = X^T X + damping: each is rounded, and the ones that are left take up its error as the
least squares have it, by the Cholesky factor of H^-1. Hassibi and Stork, "Second order derivatives for network pruning: optimal brain surgeon"
(NIPS 1992), for rounding: Frantar and Alistarh, "Optimal brain compression" (NeurIPS 2022); in one order for all outputs: Frantar et al.,
"GPTQ" (ICLR 2023). The scale is the best of several.

Where sums of weights may not change, s = t / K for the sum t and a whole number K, so that integers can hold it; H^-1 leaves out what would
change it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..network.weight_grid import largest_integer
from .ridge import Ridge, orthonormal

FACTORS = np.linspace(0.4, 1, 13)  # of the scale that the largest weight asks for: those that are tried
WIDEST = 2048  # columns that take up each other's errors at once; wider layers are rounded by blocks
TOGETHER = 128  # columns between which errors go one by one, and to the others at once
ROOM = 1 << 22  # values of candidates worked on at a time
LEAST, SOFT = 1e-9, 1e-2  # of the mean variance of weights: what is left to one that sums decide, in the last block and before
TINY = 1e-30  # weights that are no larger become 0
NOUGHT = 1e-3  # sums of weights below it are taken for 0: no scale of few bits has them


@dataclass(frozen=True)
class IntegerRows:
    """q: (k, m) int8. scales: (m,) float32."""

    q: np.ndarray
    scales: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """(k, m) float32."""
        return self.q.astype(np.float32) * self.scales


@dataclass(frozen=True)
class Held:
    """Sums that stay: combinations (c, k) @ weights (k, m) = sums (c, m), float64."""

    combinations: np.ndarray
    sums: np.ndarray

    @classmethod
    def of(cls, combinations: np.ndarray, weights: np.ndarray) -> Held:
        """Those of `weights`; sums near 0 are 0."""
        sums = combinations.astype(np.float64) @ weights.astype(np.float64)
        return cls(combinations.astype(np.float64), np.where(np.abs(sums) < NOUGHT, 0, sums))


def nearest(weights: np.ndarray, bits: int, held: Held | None = None) -> IntegerRows:
    """Each of `weights` (k, m) rounded on its own, with the scale of the least squared error. held: what stays; then as few as can be are
    rounded the other way."""
    largest, one_each = largest_integer(bits), np.ones(len(weights))
    q, scales = _one_by_one(weights, one_each, largest, held)
    if held is None:
        scales = _ratio(_sums(q, weights), _sums(q, q), scales)
    return _kept(q, scales, one_each, weights, largest, held)


def fitted_to_rows(weights: np.ndarray, rows: Ridge, strength: float, bits: int, held: Held | None = None) -> IntegerRows:
    """`weights` (k, m) rounded so that rows @ weights stays what it is, up to a charge, as far as it can. strength: of the damping, as of the
    ridge. held: what stays, if a scale can hold it."""
    largest, damping = largest_integer(bits), rows.damping(strength)
    importance = rows.importance() + damping
    order = np.argsort(-importance, kind="stable")
    blocks = [order[first : first + WIDEST] for first in range(0, len(order), WIDEST)]
    one_block = len(blocks) == 1  # of several none knows what scale is best for the others
    scales = np.array(list(_candidates(weights, largest, held))) if one_block else _one_by_one(weights, importance, largest, held)[1][None]
    q, missed = np.zeros(weights.shape, np.int8), None  # missed: by what the blocks so far have changed rows @ weights
    lacking = None if held is None else held.sums - held.combinations @ weights
    for block in blocks:
        last, before = block is blocks[-1], weights[block].astype(np.float64)
        combinations = None if held is None else held.combinations[:, block]
        own = _Block(rows.curvature(block), damping, combinations, last)
        wanted = before if missed is None else before - own.taking_up(rows.read_from(missed, block))
        sums = None if combinations is None or lacking is None else lacking + combinations @ before
        q[block], scales = own.rounded(wanted, scales, largest, sums)
        if not last:
            change = q[block] * scales[0] - before
            missed = rows.outputs(change, block) + (0 if missed is None else missed)
            lacking = None if combinations is None or lacking is None else lacking - combinations @ change
    (scales,) = scales
    if held is None:
        scales = _least_squares_scales(q, scales, weights, rows, damping)
    return _kept(q, scales, importance, weights, largest, held)


class _Block:
    """Columns that take up each other's errors. curvature: (n, n). combinations: (c, n), those whose sums are held, or None. last: whether no
    other block can hold them, so that this one has to, exactly."""

    def __init__(self, curvature: np.ndarray, damping: float, combinations: np.ndarray | None, last: bool):
        self._combinations, self._last = combinations, last
        inverse = np.linalg.inv(curvature + damping * np.eye(len(curvature)))
        self._free = inverse
        if combinations is not None:
            basis = orthonormal(combinations)
            self._spread = inverse @ basis @ np.linalg.inv(basis.T @ inverse @ basis) @ basis.T @ np.linalg.pinv(combinations)
            self._free = inverse - self._spread @ (combinations @ inverse)
        least = (LEAST if last else SOFT) * float(np.trace(inverse)) / len(inverse)
        self._upper = np.linalg.cholesky(self._free + least * np.eye(len(inverse))).T

    def taking_up(self, missed: np.ndarray) -> np.ndarray:
        """(n, m): weights whose outputs are closest to some that these columns read as `missed`, (n, m)."""
        return self._free @ missed

    def rounded(self, wanted: np.ndarray, candidates: np.ndarray, largest: int, sums: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """q (n, m) of `wanted` (n, m), and scales (1, m): the best of `candidates` (c, m). sums: (combinations, m), those to hold."""
        q, scales = np.empty(wanted.shape), np.empty((1, wanted.shape[1]))
        for outputs in _lots(wanted.shape[1], len(candidates) * len(wanted)):
            own = candidates[:, outputs]
            tried = np.tile(wanted[:, outputs], len(own))
            if sums is not None:
                held, scale = np.tile(sums[:, outputs], len(own)), own.reshape(-1)
                tried += self._spread @ ((np.rint(held / scale) * scale if self._last else held) - self._combinations @ tried)
            found, errors = self._column_by_column(tried, own.reshape(-1), largest)
            best = errors.reshape(own.shape).argmin(0)[None]
            q[:, outputs] = np.take_along_axis(found.reshape(len(q), *own.shape), best[None], 1)[:, 0]
            scales[:, outputs] = np.take_along_axis(own, best, 0)
        return q, scales

    def _column_by_column(self, wanted: np.ndarray, scales: np.ndarray, largest: int) -> tuple[np.ndarray, np.ndarray]:
        """q (n, m), and the objective (m,). wanted: (n, m), overwritten."""
        q, total = np.empty(wanted.shape), np.zeros(wanted.shape[1])
        for first in range(0, len(wanted), TOGETHER):
            past = min(first + TOGETHER, len(wanted))
            errors = np.empty((past - first, wanted.shape[1]))
            for column in range(first, past):
                q[column] = np.clip(np.rint(wanted[column] / scales), -largest, largest)
                error = (wanted[column] - q[column] * scales) / self._upper[column, column]
                wanted[column + 1 : past] -= np.outer(self._upper[column, column + 1 : past], error)
                errors[column - first] = error
            wanted[past:] -= self._upper[first:past, past:].T @ errors
            total += np.square(errors).sum(0)
        return q, total


def _one_by_one(weights: np.ndarray, importance: np.ndarray, largest: int, held: Held | None) -> tuple[np.ndarray, np.ndarray]:
    """q (k, m) and scales (m,) of the least importance * error^2. importance: (k,)."""
    q, scales, least = np.zeros(weights.shape, np.int8), np.ones(weights.shape[1]), np.full(weights.shape[1], np.inf)
    for tried in _candidates(weights, largest, held):
        for outputs in _lots(weights.shape[1], len(weights)):
            found = np.clip(np.rint(weights[:, outputs] / tried[outputs]), -largest, largest)
            error = importance @ np.square(found * tried[outputs] - weights[:, outputs])
            better = error < least[outputs]
            for kept, new in ((q, found), (scales, tried[outputs]), (least, error)):
                kept[..., outputs] = np.where(better, new, kept[..., outputs])
    return q, scales


def _lots(outputs: int, values: int) -> Iterator[slice]:
    """Of as many outputs as there is room for. values: of each."""
    each = max(1, ROOM // values)
    return (slice(first, first + each) for first in range(0, outputs, each))


def _candidates(weights: np.ndarray, largest: int, held: Held | None) -> Iterator[np.ndarray]:
    """Scales (m,) that float32 holds, the largest first."""
    widest = np.abs(weights).max(0).astype(np.float64) / largest
    widest[widest < TINY] = 1
    for factor in FACTORS:
        scales = factor * widest
        if held is not None:  # a whole number of them is the largest sum
            sums = np.abs(held.sums).max(0)
            scales = np.where(sums > 0, sums / np.maximum(np.rint(sums / scales), 1), scales)
        yield scales.astype(np.float32).astype(np.float64)


def _least_squares_scales(q: np.ndarray, scales: np.ndarray, weights: np.ndarray, rows: Ridge, damping: float) -> np.ndarray:
    """Of the integers as they are. scales: where all are 0."""
    found, wanted = rows.outputs(q), rows.outputs(weights)
    return _ratio(_sums(found, wanted) + damping * _sums(q, weights), _sums(found, found) + damping * _sums(q, q), scales)


def _sums(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(m,) float64: of the products of the columns of both."""
    return np.einsum("km,km->m", left, right, dtype=np.float64)


def _ratio(above: np.ndarray, below: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Where it is positive."""
    positive = (above > 0) & (below > 0)
    return np.where(positive, above / np.where(positive, below, 1), otherwise)


def _kept(q: np.ndarray, scales: np.ndarray, importance: np.ndarray, weights: np.ndarray, largest: int, held: Held | None) -> IntegerRows:
    """With held sums made right, one integer after the other by the least of importance * error^2."""
    scales = scales.astype(np.float32)
    if held is not None:
        whole = np.rint(held.sums / scales)
        for output in np.flatnonzero((held.combinations @ q != whole).any(0)):
            wanted = weights[:, output] / scales[output].astype(np.float64)
            q[:, output] = _moved(q[:, output].astype(np.float64), wanted, importance, held.combinations, whole[:, output], largest)
    return IntegerRows(q, scales)


def _moved(q: np.ndarray, wanted: np.ndarray, importance: np.ndarray, combinations: np.ndarray, whole: np.ndarray, largest: int) -> np.ndarray:
    """`q` (k,), changed until combinations @ q = whole, or nothing brings it closer. wanted: (k,)."""
    for _ in range(2 * largest * len(q)):
        lacking = np.rint(whole - combinations @ q)
        if not lacking.any():
            break
        most = np.abs(lacking).argmax()
        moved = np.sign(lacking[most] * combinations[most])
        closer = np.abs(lacking[:, None] - combinations * moved).sum(0) < np.abs(lacking).sum()
        cost = importance * moved * (2 * (q - wanted) + moved)
        cost[~(closer & (moved != 0) & (np.abs(q + moved) <= largest))] = np.inf
        column = cost.argmin()
        if not np.isfinite(cost[column]):
            break
        q[column] += moved[column]
    return q
