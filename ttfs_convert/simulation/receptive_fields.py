"""Receptive fields: for every neuron of a layer the synapses that reach it, listed one by one for engines `clock` and `event`.

The last step of a path, if its weights are shared by positions, is kept as rows of weights. What stands before it (pools, scales,
spreads, sparse maps, further convolutions) becomes relays: a relay passes on the spikes of some source neurons, at their times, each with a factor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..kernels.incoming_spikes import VIRTUAL, Fields
from ..network.populations import Readout, Spiking
from ..network.synapses.connection import Connection, Synapses
from ..network.synapses.kind import NOTHING


@dataclass(frozen=True)
class Relays:
    """Relay r passes on the source neurons `source[start[r]:start[r + 1]]`, or VIRTUAL, each times `factor`; where all are empty, neuron r."""

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
    connection: np.ndarray  # (taps,) int64: to which of the layer's connections it belongs
    weights: np.ndarray  # (groups, rows, outputs of a group) float32

    def listed(self, windows: Sequence[int] | None = None) -> Fields:
        """For the kernels. windows: whose clock each connection's spikes follow, if they are not all one."""
        window = np.zeros_like(self.connection) if windows is None else np.array(windows, np.int64)[self.connection]
        relays = self.relays
        return Fields(relays.start, relays.source, relays.factor, self.first, self.relay, self.row, self.channels, window, self._most())

    def _most(self) -> int:
        """How many spikes reach one group of a position, no less than at most."""
        spikes, start = self.channels.copy(), self.relays.start
        for count in np.unique(self.channels) if start.size else ():
            spikes[self.channels == count] = max(count, (start[count:] - start[:-count]).max(initial=0))
        before = _starts(spikes)
        return int((before[self.first[1:]] - before[self.first[:-1]]).max(initial=0))


@dataclass(frozen=True)
class _Part:
    """One connection: `weights` per kernel tap, and for each position the kernel taps it uses and the first relay that each reads."""

    relays: Relays
    relayed: bool  # whether relays differ from the neurons themselves
    weights: np.ndarray  # (kernel taps, channels / groups, outputs) float32
    groups: int
    tap: np.ndarray  # (positions, taps) int64
    relay: np.ndarray  # (positions, taps) int64, or VIRTUAL or NOTHING

    @property
    def channels(self) -> int:
        return self.weights.shape[1] * self.groups


def receptive_fields(layer: Spiking | Readout, sizes: dict[str, int]) -> ReceptiveFields:
    """Those of `layer`. Its sources number their neurons one behind another, in the order of the connections. sizes: neurons by source."""
    if not layer.connections:
        nothing, positions = np.empty(0, np.int64), math.prod(layer.shape[:-1])
        relays = Relays(nothing, nothing, np.empty(0, np.float32))
        first = np.zeros(positions + 1, np.int64)
        return ReceptiveFields(relays, first, nothing, nothing, nothing, nothing, np.empty((1, 0, layer.shape[-1]), np.float32))
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
                [
                    _shifted(part.relay, relay),
                    part.tap * (part.channels // groups) + row,
                    np.full_like(part.tap, part.channels // groups),
                    np.full_like(part.tap, number),
                ],
                axis=-1,
            )
            for number, (part, relay, row) in enumerate(zip(parts, relays, rows))
        ],
        axis=1,
    )
    used = taps[..., 0] != NOTHING
    relay, row, channels, connection = np.ascontiguousarray(taps[used].T)
    joined = Relays(
        np.concatenate([part.relays.start[:-1] + start for part, start in zip(parts, synapses)] + [synapses[-1:]]),
        np.concatenate([_shifted(part.relays.source, neuron) for part, neuron in zip(parts, neurons)]),
        np.concatenate([part.relays.factor for part in parts]),
    )
    if not any(part.relayed for part in parts):
        joined = Relays(*(each[:0] for each in (joined.start, joined.source, joined.factor)))
    return ReceptiveFields(
        joined, _starts(used.sum(1)), relay, row, channels, connection, weights[0] if len(weights) == 1 else np.concatenate(weights, axis=1)
    )


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
            part = _Part(_relays(steps, size), bool(steps), *shared)
            return _without_relays(part, size) if steps else part
    relay = np.arange(positions, dtype=np.int64)[:, None] * outputs  # one synapse per neuron: a kernel of one tap and a group per channel
    return _Part(_relays(connection.path, size), bool(connection.path), np.ones((1, 1, outputs), np.float32), outputs, np.zeros_like(relay), relay)


def _without_relays(part: _Part, size: int) -> _Part:
    """A tap for every position that a relay passes on, if all channels have the same ones and factors are all one, which the weights then hold; else
    `part` as it is. size: source neurons. So it is behind average pools, and behind what makes room between inputs of a transposed convolution."""
    relays, counts = part.relays, np.diff(part.relays.start)
    firsts = np.unique(part.relay[part.relay >= 0])
    per_channel = counts[firsts[:, None] + np.arange(part.channels, dtype=np.int64)]  # (relays, channels)
    reading = firsts[per_channel[:, 0] > 0]
    fan_in = int(per_channel.max(initial=0))
    if (per_channel != per_channel[:, :1]).any() or not np.isin(per_channel, (0, fan_in)).all() or not reading.size:
        return part
    synapses = relays.start[reading[:, None] + np.arange(part.channels, dtype=np.int64)][..., None] + np.arange(
        fan_in, dtype=np.int64
    )  # (relays, channels, fan-in)
    source, factor = relays.source[synapses], relays.factor[synapses]
    each = np.where(source[:, :1] == VIRTUAL, VIRTUAL, source[:, :1] + np.arange(part.channels, dtype=np.int64)[:, None])
    whole = np.isclose(fan_in * factor[0, 0, 0], 1) or not (part.relay == VIRTUAL).any()  # virtual relays send one spike, not `fan_in` shares of it
    if (factor != factor[0, 0, 0]).any() or (source != each).any() or not whole:
        return part
    known = np.concatenate([source[:, 0], np.full((2, fan_in), [[VIRTUAL], [NOTHING]], np.int64)])  # by relay, then what is none
    place = np.searchsorted(reading, part.relay)
    place[~np.isin(part.relay, reading)] = len(reading) + 1
    place[part.relay == VIRTUAL] = len(reading)
    relay = known[place].reshape(len(part.relay), -1)
    return _Part(_relays((), size), False, part.weights * factor[0, 0, 0], part.groups, np.repeat(part.tap, fan_in, axis=1), relay)


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
