"""The paper's weight sum of a neuron: all its weights over a connection, padded taps included. Slope `fan_in` ramps with it."""

from __future__ import annotations

import numpy as np

from ..per_channel import compact
from ..records import Shape
from .connection import Connection
from .kind import SynapseKind


def weight_sums(connection: Connection, shape: Shape) -> np.ndarray:
    """Sum of the weights from `connection`'s source to each neuron of `shape`: per channel where positions do not differ, else whole;
    float64."""
    here, before = connection.path[0].in_shape if connection.path else shape, None
    sums = np.ones(here[-1])
    for step in connection.path:
        sums = _seen_as(sums, here, step.in_shape)
        if _differs_by_position(step, before, sums):
            if sums.ndim == 1:
                channels = 1 if (sums == sums[0]).all() and step.channels_alike else step.in_shape[-1]
                sums = np.broadcast_to(sums[:channels], (*step.in_shape[:-1], channels))
            sums = _by_position(step, before, sums)
        else:
            sums = step.weight_sum(sums)
        here, before = step.out_shape, step
    sums = _seen_as(sums, here, shape)
    return sums if sums.ndim == 1 else np.broadcast_to(sums, shape)


def _differs_by_position(step: SynapseKind, before: SynapseKind | None, incoming: np.ndarray) -> bool:
    """Whether the sums behind `step` are not those per channel. incoming: in front of it."""
    if incoming.ndim > 1 or step.sums_by_position or (before is not None and before.spreads):  # a transposed convolution has no padding
        return True
    return step.has_virtual_neurons(before) and step.is_padded and bool((incoming != 1).any())


def _by_position(step: SynapseKind, before: SynapseKind | None, incoming: np.ndarray) -> np.ndarray:
    """Of sums that differ by position, (*spatial, channels), or (*spatial, 1) where they are the same for all channels. A virtual neuron's
    is 1: what it adds is what is missing where the inputs less 1 are padded with 0."""
    if not step.channels_alike:
        return step.apply(np.broadcast_to(incoming, step.in_shape))
    step = step.of_one_channel() if incoming.shape[-1] < step.in_shape[-1] else step
    if not step.has_virtual_neurons(before):
        return step.apply(incoming)
    return step.apply(incoming - 1) + step.weight_sum(np.ones(step.in_shape[-1]))


def _seen_as(sums: np.ndarray, here: Shape, shape: Shape) -> np.ndarray:
    """The sums of neurons in the shape `here`, per channel or by position, in another one."""
    if sums.ndim > 1 and sums.shape[-1] < here[-1] == shape[-1]:
        sums = sums.reshape(*shape[:-1], 1)
        return np.repeat(sums.reshape(-1)[:1], shape[-1]) if (sums == sums.flat[0]).all() else sums
    if sums.ndim == 1 and here[-1] == shape[-1]:
        return sums
    return compact(np.broadcast_to(sums, here).reshape(shape))
