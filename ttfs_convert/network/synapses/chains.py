"""Chains of linear synapses: scales folded into the weights beside them, and what a chain makes of values that are always there.

Rules of `then`, for factors that hold for all positions of a channel, and others where weights can hold them:
1. A Scale of factors 1, up to float32 rounding -> nothing
2. Any step, Scale  -> the step with scaled outputs (`scaled_outputs`), where its weights can hold the factors
3. Two steps        -> one, if they merge (`merged_with`)
4. Scale, any step  -> the step with scaled inputs (`scaled_inputs`), where its weights can hold the factors
5. Scale, step that keeps channels -> the step, Scale
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from ..per_channel import compact, seen_as
from ..records import Shape
from .connection import Connection, Synapses
from .scale import Scale


@dataclass(frozen=True)
class Linear:
    """offset + path applied to the activations of `source`: values of `shape`, channels last. offset: per channel or whole."""

    source: str
    path: tuple[Synapses, ...]
    shape: Shape
    offset: np.ndarray

    def then(self, step: Synapses) -> Linear:
        """The same values behind the synapses `step`, whose padded taps contribute 0."""
        offset = np.zeros(step.out_shape[-1])
        if self.offset.any():
            offset = compact(step.apply(np.broadcast_to(self.offset, self.shape).reshape(step.in_shape)))
        return Linear(self.source, then(self.path, step), step.out_shape, offset)

    def through(self, steps: tuple[Synapses, ...]) -> Linear:
        """The same values behind several steps, one after another."""
        return reduce(Linear.then, steps, self)

    @property
    def connection(self) -> Connection:
        """The path as what feeds a layer; the offset is left to its bias."""
        return Connection(source=self.source, path=self.path)


def scaled(path: tuple[Synapses, ...], factors: np.ndarray, shape: Shape) -> tuple[Synapses, ...]:
    """`path`, which ends in `shape`, with its results multiplied by `factors`, per channel or whole."""
    return then(path, Scale.by(factors, shape))


def then(path: tuple[Synapses, ...], step: Synapses) -> tuple[Synapses, ...]:
    """`path` followed by `step`. Raises ValueError for a factor that differs by position in front of a window that slides."""
    if isinstance(step, Scale) and step.is_identity:
        return path
    if not path:
        return (step,)
    *before, last = path
    if isinstance(step, Scale):
        folded = last.scaled_outputs(step.weights, step.in_shape)
        if folded is None:
            return (*path, step)
        return then(tuple(before), folded) if isinstance(folded, Scale) else (*before, folded)
    merged = step.merged_with(last)
    if merged is not None:
        return (*before, merged)
    if not isinstance(last, Scale):
        return (*path, step)
    folded = step.scaled_inputs(last.weights, last.out_shape)
    if folded is not None:
        return (*before, folded)
    factors = seen_as(last.weights, last.out_shape, step.in_shape)
    if factors.ndim > 1 or not step.keeps_channels:
        raise ValueError("factors differ by position")
    return (*before, step, Scale.by(factors, step.out_shape))
