"""How many neurons one spike reaches: the true fan-out at borders, through pools that are part of the synapses, and of padded taps.

Reach is a box: along each spatial axis a boolean matrix (outputs, inputs) says which positions are connected, and chains of synapses
multiply these matrices. So overlapping windows count a connection once, however many paths lead through a pool.
"""

from __future__ import annotations

import math
from functools import reduce

import numpy as np

from ..synapses import Connection, Conv, Dense, Scale, Shape, Sliding, Spread, Synapses, has_virtual_neurons


def position_fan_out(path: tuple[Synapses, ...], shape: Shape, padded: bool = False) -> np.ndarray:
    """Neurons that a spike reaches from each position of the source, (*spatial,) int64; the same for all its channels.

    path: the steps, none for identity synapses. shape: the source's. padded: whether the positions of the first step's
    padding are there too, before and after the others.
    """
    path = tuple(step for step in path if not isinstance(step, Scale))  # one connection per neuron
    if not path:
        return np.ones(shape[:-1], np.int64)
    sliding = [step for step in path if not isinstance(step, Dense)]
    dense = path[-1] if isinstance(path[-1], Dense) else None
    targets = dense.out_shape[0] if dense else math.prod(step.weights.shape[-1] // step.groups for step in path if isinstance(step, Conv))
    if not sliding:
        return np.full(shape[:-1], targets, np.int64)
    axes = [reduce(lambda near, far: (far.astype(np.int64) @ near) > 0,
                   [_reach(step, axis, padded and step is sliding[0]) for step in sliding]) for axis in range(len(sliding[0].in_shape) - 1)]
    per_axis = [(reach.any(0) if dense else reach.sum(0)).astype(np.int64) for reach in axes]
    return reduce(np.multiply.outer, per_axis) * targets


def _reach(step: Sliding | Spread, axis: int, padded: bool) -> np.ndarray:
    """(outputs, inputs) bool along one axis; with `padded`, inputs include the padding on both sides."""
    if isinstance(step, Spread):
        return np.arange(step.out_shape[axis])[:, None] == np.arange(step.in_shape[axis])[None] * step.strides[axis]
    before, after = (step.pads[axis], step.pads_end[axis]) if padded else (0, 0)
    position = np.arange(-before, step.in_shape[axis] + after)
    offset = position[None] + step.pads[axis] - np.arange(step.out_shape[axis])[:, None] * step.strides[axis]
    return (offset >= 0) & (offset % step.dilations[axis] == 0) & (offset < step.kernel[axis] * step.dilations[axis])


def existing_connections(connection: Connection, shape: Shape) -> int:
    """Pairs of a source neuron and a target neuron that are connected, each counted once. shape: the source's."""
    shape = connection.path[0].in_shape if connection.path else shape
    return int(position_fan_out(connection.path, shape).sum()) * shape[-1]


def virtual_connections(connection: Connection) -> int:
    """Connections of padded taps, which slopes `fan_in` and `reference` need as virtual neurons."""
    total = 0
    for start, (before, step) in enumerate(zip((None, *connection.path), connection.path)):
        if has_virtual_neurons(step, before):
            rest = connection.path[start:]
            inside, all_taps = (int(position_fan_out(rest, step.in_shape, padded).sum()) for padded in (False, True))
            total += (all_taps - inside) * step.in_shape[-1]
    return total
