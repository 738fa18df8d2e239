"""What a layer is fitted to: its inputs, potentials and the original's activations at some positions of some samples, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..network.populations import Readout, Spiking
from ..network.synapses.connection import Connection
from ..network.synapses.kind import FittableKind
from ..simulation.integrator import Integrator
from .firing import slopes_of
from .firing import target as wanted_potentials

MEMORY = 64 << 20  # bytes of a layer's rows
FEWEST = 256  # samples that even the widest layer is fitted to and judged on
UNSEEN = 5  # of so many samples one is not fitted to


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


def fitted_steps(layer: Spiking | Readout) -> list[tuple[int, FittableKind]]:
    """Numbers of the connections whose weights are fitted, and their last synapses, which hold these: all that end in weights for the same
    grid of outputs."""
    ends = [(number, each.path[-1]) for number, each in enumerate(layer.connections) if each.path]
    fittable = [(number, step) for number, step in ends if isinstance(step, FittableKind)]
    found: list[tuple[int, FittableKind]] = [(number, step) for number, step in fittable if step.out_shape == fittable[0][1].out_shape]
    shaped = isinstance(layer, Spiking) and layer.activation is not None
    return [] if shaped and found and found[0][1].out_shape[-1] % layer.shape[-1] else found  # whose threshold is whose differs by position


class Sampler:
    """Collects the rows of one layer, batch by batch: as many positions of every sample as fit, or one of fewer samples.

    width: values that a sample's rows hold.
    """

    def __init__(self, layer: Spiking | Readout, samples: int, rng: np.random.Generator):
        self._layer, self._rng = layer, rng
        fitted = fitted_steps(layer)
        self._connections, self._steps = [layer.connections[number] for number, _ in fitted], [step for _, step in fitted]
        self._outputs = self._steps[0].out_shape[-1]
        self._positions = math.prod(layer.shape) // self._outputs
        width = sum(step.fan_in * step.channel_groups() for step in self._steps) + 4 * self._outputs
        room = max(MEMORY // (4 * width), FEWEST)
        self._each = max(1, min(self._positions, room // samples))
        self._every = -(-samples // room)  # of so many runs of UNSEEN samples, one is used
        self.width = self._each * width
        self._parts: tuple[list, list] = [], []

    def add(
        self, rows: slice, integrator: Integrator, values: Mapping[str, np.ndarray], now: np.ndarray, exact: np.ndarray, wanted: np.ndarray
    ) -> None:
        """rows: which samples. values: activations of the sources, as spikes carry them, and now: what the original's weights make of
        them, (n, *shape); exact: the original's potentials, wanted: its activations."""
        numbers = np.arange(rows.start, rows.stop, dtype=np.int64)
        used = numbers // UNSEEN % self._every == 0
        if not used.any():
            return
        count = int(used.sum())
        at = (
            np.broadcast_to(np.arange(self._positions, dtype=np.int64), (count, self._positions))
            if self._each == self._positions
            else self._rng.integers(0, self._positions, (count, self._each))
        )
        inputs = [
            step.patches(before_last(connection, integrator, values[connection.source][used]), at)
            for connection, step in zip(self._connections, self._steps)
        ]
        neurons = self._layer if isinstance(self._layer, Spiking) else None
        slopes = np.broadcast_to(np.ones(1, np.float32) if neurons is None else slopes_of(neurons), exact.shape)
        target = exact if neurons is None else wanted_potentials(neurons, exact)
        planes = [
            plane[used].reshape(count, self._positions, self._outputs)[np.arange(count, dtype=np.int64)[:, None], at].reshape(-1, self._outputs)
            for plane in (now, target, wanted, slopes)
        ]
        unseen = np.repeat(numbers[used] % UNSEEN == UNSEEN - 1, self._each)
        for part, member in zip(self._parts, (~unseen, unseen)):
            part.append([array[member] for array in (*inputs, *planes)])

    def rows(self) -> tuple[Rows, Rows]:
        """Those to fit to and those that judge."""
        seen, unseen = (
            Rows(tuple(arrays[: len(self._steps)]), *arrays[len(self._steps) :])
            for arrays in ([np.concatenate(each) for each in zip(*part)] for part in self._parts)
        )
        return seen, unseen


def before_last(connection: Connection, integrator: Integrator, values: np.ndarray, padding: int = 0) -> np.ndarray:
    """(n, ...) float32: activations behind all steps of the connection's path but the last. padding: what virtual neurons hold."""
    before = None
    for step in connection.path[:-1]:
        behind = np.zeros((len(values), *step.out_shape), np.float32)
        integrator.add_step(step, values, behind, padding if step.has_virtual_neurons(before) else 0)
        values, before = behind, step
    return values


def unchanged_sums(layer: Spiking | Readout, integrator: Integrator) -> list[np.ndarray] | None:
    """With slope `fan_in` what each neuron's weight sum adds up, padded taps included: per fitted connection (c, groups, weights per
    neuron), each kind of neuron once. None for other slopes."""
    if not isinstance(layer, Spiking) or layer.slope != "fan_in":
        return None
    sums = []
    for number, step in fitted_steps(layer):
        connection = layer.connections[number]
        before = next(iter(connection.path[-2:-1]), None)
        ones = before_last(connection, integrator, np.ones((1, *connection.path[0].in_shape), np.float32), 1)
        positions = np.arange(math.prod(step.out_shape[:-1]), dtype=np.int64)[None]
        sums.append(step.patches(ones, positions, float(step.has_virtual_neurons(before))))
    sizes = np.cumsum([each[0].size for each in sums])[:-1]
    distinct = np.unique(np.concatenate([each.reshape(len(each), -1) for each in sums], 1), axis=0)
    return [part.reshape(len(distinct), *each.shape[1:]) for part, each in zip(np.split(distinct, sizes, 1), sums)]
