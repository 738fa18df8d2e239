"""Weighted sums over connections: what a layer's synapses make of one value per source neuron."""

from __future__ import annotations

import numpy as np

from ..kernels.decoding import repeated
from ..network.synapses.connection import Connection, Synapses
from .plan import Layouts, Paths


class Integrator:
    """Connections of networks, their weights laid out for the kernels once. Callers hold `kernels.CALLER`."""

    def __init__(self):
        self._layouts = Layouts()
        self.paths = Paths(self._layouts)
        self._repeated: dict[int, np.ndarray] = {}

    def repeated(self, values: np.ndarray) -> np.ndarray:
        """`decoding.repeated` of an array of the network, made once."""
        if id(values) not in self._repeated:
            self._repeated[id(values)] = repeated(values)
        return self._repeated[id(values)]

    def add(self, connection: Connection, values: np.ndarray, potential: np.ndarray, padding: int = 0) -> None:
        """Add to `potential`, (n, *shape of the target) float32, the weighted sums of `values`, (n, *shape of the source) float32; padded
        taps hold `padding`."""
        if not connection.path:
            potential += values.reshape(potential.shape)
            return
        before = None
        for step in connection.path[:-1]:
            out = np.zeros((len(values), *step.out_shape), np.float32)
            self.add_step(step, values, out, padding if step.has_virtual_neurons(before) else 0)
            values, before = out, step
        last = connection.path[-1]
        self.add_step(last, values, potential, padding if last.has_virtual_neurons(before) else 0)

    def add_step(self, step: Synapses, values: np.ndarray, potential: np.ndarray, padding: int = 0) -> None:
        """As `add`, of one step of a path."""
        values = values.reshape(len(values), *step.in_shape)
        layout = self._layouts(step)
        dense = layout is not None and self.paths.dense(step, values, 0)
        shaped, padded = step.padded_with(padding, values) if padding else (step, values)
        shaped.add(padded, potential, layout, dense)
