"""Potentials that are sums of spike trains with nothing but factors between: what moves or joins elements does so to each of the trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..network.synapses.scale import Scale
from .values import Potential, Spikes, Value

if TYPE_CHECKING:
    from .builder import Builder


def spike_trains(value: Value | None) -> list[Spikes] | None:
    """The trains whose sum `value` is, each seen through its index, the first with its bias; None where it is no such sum."""
    if isinstance(value, Spikes):
        return [value]
    if not isinstance(value, Potential) or not value.pooled_only or not all(_is_bare(each.path) for each in value.connections):
        return None
    ones, none = np.ones(value.shape[-1]), np.zeros(value.shape[-1])
    return [
        Spikes(each.source, value.index, value.shape, each.path[0].weights.astype(np.float64) if each.path else ones, none if k else value.bias)
        for k, each in enumerate(value.connections)
    ]


def sum_of(trains: Sequence[Spikes], like: Sequence[Potential], name: str, builder: Builder) -> Potential:
    """The sum of `trains`, which are of one shape and show the same places. like: the sums whose elements they hold."""
    result = builder.summed(trains, name)
    bounds = (
        np.maximum(result.bounds[0], min(float(value.bounds[0].min()) for value in like)),
        np.minimum(result.bounds[1], max(float(value.bounds[1].max()) for value in like)),
    )
    return replace(result, bounds=bounds, pooled_only=True, comonotone=all(value.comonotone for value in like))


def _is_bare(path: tuple) -> bool:
    return not path or (len(path) == 1 and isinstance(path[0], Scale))
