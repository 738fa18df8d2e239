"""Receptive fields: for every neuron of a layer the synapses that reach it, listed one by one for engine `event`.

The last step of a path, if its weights are shared by positions, is kept as rows of weights. What stands before it (pools, scales,
spreads, sparse maps, further convolutions) becomes relays: a relay passes on the spikes of some source neurons, at their times, each with a factor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..kernels.arrivals import VIRTUAL
from ..network.populations import Readout, Spiking
from ..network.synapses.connection import Connection, Synapses
from ..network.synapses.kind import NOTHING


@dataclass(frozen=True)
class Relays:
    """Relay r passes on the source neurons `source[start[r]:start[r + 1]]`, or VIRTUAL, each times `factor`."""

    start: np.ndarray  # (relays + 1,) int64
    source: np.ndarray  # (synapses,) int64
    factor: np.ndarray  # (synapses,) float32


@dataclass(frozen=True)
class ReceptiveFields:
    """One layer. Its neurons are (position, group, output). Position p reads the taps first[p] to first[p + 1]: in group g tap t reads the
    relays relay[t] + g channels[t] + c, or VIRTUAL ones, each through weights[g, row[t] + c], for all c < channels[t]."""

    relays: Relays
    first: np.ndarray  # (positions + 1,) int64
    relay: np.ndarray  # (taps,) int64
    row: np.ndarray  # (taps,) int64
    channels: np.ndarray  # (taps,) int64, of one group
    weights: np.ndarray  # (groups, rows, outputs of a group) float32


@dataclass(frozen=True)
class _Part:
    """One connection: `weights` per kernel tap, and for each position the kernel taps it uses and the first relay that each reads."""

    relays: Relays
    weights: np.ndarray  # (kernel taps, channels / groups, outputs) float32
    groups: int
    tap: np.ndarray  # (positions, taps) int64
    relay: np.ndarray  # (positions, taps) int64, or VIRTUAL or NOTHING

    @property
    def channels(self) -> int:
        return self.weights.shape[1] * self.groups


def receptive_fields(layer: Spiking | Readout, sizes: dict[str, int]) -> ReceptiveFields:
    """Those of `layer`. Its sources number their neurons one behind another, in the order of the connections. sizes: neurons by source."""
    windows = [each.path[-1] for each in layer.connections if each.path and each.path[-1].is_convolution and each.path[-1].mixes_channels]
    outputs = windows[0].out_shape[-1] if windows else layer.shape[-1]  # others that see other positions are taken synapse by synapse
    positions = math.prod(layer.shape) // outputs
    parts = [_part(connection, sizes[connection.source], positions, outputs) for connection in layer.connections]
    groups = parts[0].groups if len({part.groups for part in parts}) == 1 else 1
    weights = [_by_group(part, groups) for part in parts]
    neurons = _starts(sizes[connection.source] for connection in layer.connections)
    relays, synapses = _starts(part.relays.start.size - 1 for part in parts), _starts(part.relays.source.size for part in parts)
    rows = _starts(each.shape[1] for each in weights)
    taps = np.concatenate(
        [
            np.stack(
                [_shifted(part.relay, relay), part.tap * (part.channels // groups) + row, np.full_like(part.tap, part.channels // groups)], axis=-1
            )
            for part, relay, row in zip(parts, relays, rows)
        ],
        axis=1,
    )
    used = taps[..., 0] != NOTHING
    relay, row, channels = np.ascontiguousarray(taps[used].T)
    joined = Relays(
        np.concatenate([part.relays.start[:-1] + start for part, start in zip(parts, synapses)] + [synapses[-1:]]),
        np.concatenate([_shifted(part.relays.source, neuron) for part, neuron in zip(parts, neurons)]),
        np.concatenate([part.relays.factor for part in parts]),
    )
    return ReceptiveFields(joined, _starts(used.sum(1)), relay, row, channels, np.concatenate(weights, axis=1))


def _starts(sizes) -> np.ndarray:
    return np.cumsum([0, *sizes], dtype=np.int64)


def _shifted(index: np.ndarray, by: int) -> np.ndarray:
    """`index` + `by`, but for VIRTUAL and NOTHING."""
    return np.where(index >= 0, index + by, index)


def _by_group(part: _Part, groups: int) -> np.ndarray:
    """(groups, rows, outputs / groups): rows are (kernel tap, channel). Groups of their own become blocks of one."""
    taps, channels, outputs = part.weights.shape
    if groups == part.groups:
        return np.ascontiguousarray(part.weights.reshape(taps, channels, groups, -1).transpose(2, 0, 1, 3)).reshape(groups, taps * channels, -1)
    whole = np.zeros((taps, part.channels, outputs), np.float32)
    size = outputs // part.groups
    for g in range(part.groups):
        whole[:, g * channels : (g + 1) * channels, g * size : (g + 1) * size] = part.weights[:, :, g * size : (g + 1) * size]
    return whole.reshape(1, -1, outputs)


def _part(connection: Connection, size: int, positions: int, outputs: int) -> _Part:
    if connection.path:
        *steps, last = connection.path
        shared = last.shared_rows(positions, outputs, last.has_virtual_neurons(steps[-1] if steps else None))
        if shared is not None:
            return _Part(_relays(steps, size), *shared)
    relay = np.arange(positions, dtype=np.int64)[:, None] * outputs  # one synapse per neuron: a kernel of one tap and a group per channel
    return _Part(_relays(connection.path, size), np.ones((1, 1, outputs), np.float32), outputs, np.zeros_like(relay), relay)


# Steps before the last, as synapses one by one: arrays (target neuron, source neuron or VIRTUAL, weight)


def _relays(steps: Sequence[Synapses], size: int) -> Relays:
    """What of `size` source neurons reaches the neurons behind `steps`."""
    relays = Relays(np.arange(size + 1, dtype=np.int64), np.arange(size, dtype=np.int64), np.ones(size, np.float32))
    for step, before in zip(steps, (None, *steps)):
        target, source, weight = step.synapses(step.has_virtual_neurons(before))
        order = np.argsort(target, kind="stable")
        relays = _through(relays, math.prod(step.out_shape), target[order], source[order], weight[order])
    return relays


def _through(relays: Relays, neurons: int, target: np.ndarray, source: np.ndarray, weight: np.ndarray) -> Relays:
    """`relays` behind one more step, whose synapses are sorted by target. What a virtual neuron sends passes like any other spike."""
    fan_in = np.diff(relays.start)
    copies = np.where(source == VIRTUAL, 1, fan_in[source])
    total = int(copies.sum())
    begin = np.cumsum(copies) - copies
    place = np.arange(total, dtype=np.int64) - np.repeat(begin, copies) + np.repeat(np.where(source == VIRTUAL, 0, relays.start[source]), copies)
    virtual = np.repeat(source == VIRTUAL, copies)
    start = np.zeros(neurons + 1, np.int64)
    np.add.at(start[1:], target, copies)
    return Relays(
        np.cumsum(start),
        np.where(virtual, VIRTUAL, relays.source[place]),
        np.repeat(weight, copies) * np.where(virtual, np.float32(1), relays.factor[place]),
    )
