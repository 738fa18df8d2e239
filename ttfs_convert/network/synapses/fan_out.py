"""How many neurons one spike reaches: the true fan-out at borders, through pools that are part of the synapses, and of padded taps.

Overlapping windows count a connection once, however many paths lead through a pool. What a chain of synapses connects is a matrix between
positions times one between channels; where it mixes the two, such as a sparse map between neurons in front of a convolution, every neuron
is a position of its own. One window that slides is counted in closed form, chains by products of sparse boolean matrices, some sources at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from ..records import Shape
from .axis_targets import Targets
from .connection import Connection
from .kind import SynapseKind

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SHORT = 512  # positions of an axis up to which chains are products of dense matrices: importing SciPy takes longer
CONNECTIONS = 1 << 23  # of a chain that are in memory at a time, about


@dataclass(frozen=True)
class FanOut:
    """A spike of channel c at position p reaches positions[p] * channels[c] neurons. The source's neurons are in the order (p, c)."""

    positions: np.ndarray  # (positions,) int64
    channels: np.ndarray  # (channels,) int64

    @property
    def total(self) -> int:
        """Pairs of a source neuron and a target neuron that are connected."""
        return int(self.positions.sum()) * int(self.channels.sum())

    def weighted(self, share: np.ndarray) -> float:
        """Neurons reached by spikes that each source neuron sends with its `share`, (neurons,)."""
        return float(self.positions @ (share.reshape(len(self.positions), -1) @ self.channels))


def fan_out(path: Sequence[SynapseKind], shape: Shape, padded: bool = False) -> FanOut:
    """Of the neurons of a source of `shape`, through the steps `path`, none for identity synapses. padded: whether the positions of the
    first step's padding are sources too, before and after the others along each axis."""
    steps = [step for step in path if not step.one_to_one]
    matrix = next((number for number, step in enumerate(steps) if step.all_to_all), None)
    if matrix is not None:  # whoever reaches one of its inputs reaches all that its outputs do
        before, behind = fan_out(steps[:matrix], steps[0].in_shape, padded), _reached_by_all(steps[matrix].out_shape, steps[matrix + 1 :])
        return FanOut((before.positions > 0) * np.int64(behind), (before.channels > 0).astype(np.int64))
    if not steps:
        return FanOut(np.ones(math.prod(shape[:-1]), np.int64), np.ones(shape[-1], np.int64))
    together = _channels_together(steps)
    if together is None:
        return FanOut(_neuron_counts(steps, padded), np.ones(1, np.int64))
    return FanOut(_position_counts(steps, together, padded), _channel_counts(steps, together[0]))


def existing_connections(connection: Connection, shape: Shape) -> int:
    """Pairs of a source neuron and a target neuron that are connected, each counted once. shape: the source's."""
    return fan_out(connection.path, shape).total


def virtual_connections(connection: Connection) -> int:
    """Connections of padded taps, which slopes `fan_in` and `reference` need as virtual neurons."""
    total = 0
    for start, (before, step) in enumerate(zip((None, *connection.path), connection.path)):
        if step.has_virtual_neurons(before) and step.is_padded:
            rest = connection.path[start:]
            total += fan_out(rest, step.in_shape, padded=True).total - fan_out(rest, step.in_shape).total
    return total


def _reached_by_all(shape: Shape, path: Sequence[SynapseKind]) -> int:
    """How many neurons behind `path` are reached when all of `shape` spike."""
    reached = np.ones(shape)
    for step in path:
        reached = step.reached(reached.reshape(step.in_shape))
    return int(reached.sum())


def _channels_together(steps: Sequence[SynapseKind]) -> list[int] | None:
    """How many channels are alike in front of each step: a step that leaves channels apart may have multiples of what a convolution before
    or behind it has, the rest then being positions. None where a convolution reads other channels than those."""
    convolutions = [number for number, step in enumerate(steps) if step.mixes_channels]
    if not convolutions:
        return [math.gcd(*(step.in_shape[-1] for step in steps))] * len(steps)
    together = [steps[convolutions[0]].in_shape[-1]] * (convolutions[0] + 1)
    for number in convolutions:
        together += [steps[number].out_shape[-1]] * (next((n for n in convolutions if n > number), len(steps) - 1) - number)
    fits = all(step.in_shape[-1] == count if step.mixes_channels else step.in_shape[-1] % count == 0 for step, count in zip(steps, together))
    return together if fits else None


def _channel_counts(steps: Sequence[SynapseKind], channels: int) -> np.ndarray:
    """(channels,) int64: channels at the end that each at the start reaches."""
    convolutions = [step for step in steps if step.mixes_channels]
    if len(convolutions) < 2:
        return np.full(channels, math.prod(step.out_shape[-1] // step.channel_groups() for step in convolutions))
    reached = reduce(lambda near, far: (near @ far > 0).astype(np.float32), map(_between_channels, convolutions))
    return reached.sum(1).astype(np.int64)


def _between_channels(step: SynapseKind) -> np.ndarray:
    """(channels in, channels out) float32, 1 where connected."""
    return np.kron(
        np.eye(step.channel_groups(), dtype=np.float32),
        np.ones((step.in_shape[-1] // step.channel_groups(), step.out_shape[-1] // step.channel_groups()), np.float32),
    )


def _position_counts(steps: Sequence[SynapseKind], together: Sequence[int], padded: bool) -> np.ndarray:
    """(positions,) int64: positions at the end that each at the start reaches."""
    apart = [step.in_shape[-1] // count for step, count in zip(steps, together)]
    same_axes = all(near.out_shape[:-1] == far.in_shape[:-1] for near, far in zip(steps, steps[1:]))
    if max(apart) == 1 and same_axes:
        number_of_axes = len(steps[0].in_shape) - 1
        axes = [along for axis in range(number_of_axes) if (along := _targets(steps, axis, padded)) is not None]
        if len(axes) == number_of_axes:
            return reduce(np.multiply.outer, map(_along_axis, axes)).reshape(-1)
    reached = steps[0].reached_positions() if len(steps) == 1 else None
    if reached is not None:
        return np.repeat(reached, apart[0])
    return _chained(
        [_with_channels_apart(step.between_positions(padded and not number), count) for number, (step, count) in enumerate(zip(steps, apart))]
    )


def _targets(steps: Sequence[SynapseKind], axis: int, padded: bool) -> list[Targets] | None:
    """Of each step along an axis; None where a step's axes do not stand apart."""
    found = [targets for number, step in enumerate(steps) if (targets := step.targets(axis, padded and not number)) is not None]
    return found if len(found) == len(steps) else None


def _along_axis(steps: Sequence[Targets]) -> np.ndarray:
    """(positions,) int64 of one axis, as `_position_counts`."""
    if len(steps) == 1:
        return steps[0].count
    if max(max(len(step.count), step.size) for step in steps) > SHORT:
        return _chained([step.matrix() for step in steps])
    return (reduce(np.matmul, [step.dense() for step in steps]) > 0).sum(1)


def _chained(matrices: list[csr_matrix]) -> np.ndarray:
    """(rows of the first,) int64: how many columns of the last each reaches. matrices: bool, (from, to)."""
    first, *others = matrices
    each = max(1, math.prod(max(1, -(-matrix.nnz // matrix.get_shape()[0])) for matrix in matrices))
    return np.concatenate(
        [np.diff(reduce(lambda near, far: near @ far, others, part).indptr).astype(np.int64) for part in _parts(first, max(1, CONNECTIONS // each))]
    )


def _parts(matrix: csr_matrix, rows: int) -> Iterator[csr_matrix]:
    return (matrix[start : start + rows] for start in range(0, matrix.get_shape()[0], rows))


def _with_channels_apart(matrix: csr_matrix, channels: int) -> csr_matrix:
    from scipy.sparse import csr_matrix, identity, kron

    return matrix if channels == 1 else csr_matrix(kron(matrix, identity(channels, "bool"), "csr"), dtype=bool)


def _neuron_counts(steps: Sequence[SynapseKind], padded: bool) -> np.ndarray:
    """(source neurons,) int64: neurons at the end that each reaches. All outputs of a group are reached alike, and counted as one until a
    step tells them apart."""
    from scipy.sparse import csr_matrix, identity, kron

    matrices, alike = [], 1
    for number, step in enumerate(steps):
        if alike > 1:
            matrices.append(csr_matrix(kron(identity(matrices[-1].get_shape()[1], "bool"), np.ones((1, alike), bool), "csr"), dtype=bool))
        positions, units, alike = step.between_positions(padded and not number), step.in_shape[-1], 1
        if step.mixes_channels:
            groups = np.arange(positions.get_shape()[0] * units, dtype=np.int64) // (units // step.channel_groups())
            matrices.append(csr_matrix((np.ones(groups.size, bool), groups, np.arange(groups.size + 1, dtype=np.int64))))
            units, alike = step.channel_groups(), step.out_shape[-1] // step.channel_groups()
        matrices.append(_with_channels_apart(positions, units))
    return _chained(matrices) * alike
