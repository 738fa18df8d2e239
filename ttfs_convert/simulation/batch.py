"""One batch under way in the `exact` engine, and what connections of any kind make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..kernels.decoding import NOTHING, ONE, add_decoded, decode_into, start_with
from ..kernels.pool import average_pool_decoded
from ..network.populations import Readout, Spiking
from ..network.synapses.average_pool import AveragePool
from ..network.synapses.connection import Connection
from ..network.synapses.images import image
from ..network.synapses.scale import Scale
from .integrator import Integrator


@dataclass
class Batch:
    """What is to be encoded, spike times of the layers so far, their decoded activations where some layer needs them, which spikes noise has
    lost, the readouts' potentials, and those that a second layer is still to use. steps: per layer N of its spike times. results: the arrays
    that were made for spike times and potentials, where somebody wants to know."""

    steps: Mapping[str, int | None]
    integrator: Integrator
    images: int
    entries: Mapping[str, np.ndarray]
    times: dict[str, np.ndarray] = field(default_factory=dict)
    decoded: dict[str, np.ndarray] = field(default_factory=dict)
    lost: dict[str, np.ndarray] = field(default_factory=dict)
    readouts: dict[str, np.ndarray] = field(default_factory=dict)
    potentials: dict[str, np.ndarray] = field(default_factory=dict)
    results: list[np.ndarray] | None = None

    def result(self, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
        """An array for spike times or a readout's potentials; its contents are undefined."""
        made = np.empty(shape, dtype)
        if self.results is not None:
            self.results.append(made)
        return made

    def activations(self, name: str) -> np.ndarray:
        """(n, *shape) float32."""
        if name not in self.decoded:
            times = np.ascontiguousarray(self.times[name])
            self.decoded[name] = np.empty(times.shape, np.float32)
            decode_into(times, self.steps[name], self.decoded[name])
        return self.decoded[name]

    def potential(self, layer: Spiking | Readout) -> np.ndarray:
        """V0 = bias + every connection, (n, *shape) float32."""
        result, bias = np.empty((self.images, *layer.shape), np.float32), layer.bias
        started = False
        for connection in sorted(layer.connections, key=lambda each: self._weights_of_single(each) is None):
            weights = None if started else self._weights_of_single(connection)
            if weights is not None:
                start = NOTHING if bias is None else self.integrator.repeated(bias)
                start_with(start, np.ascontiguousarray(self.times[connection.source]), self.steps[connection.source], weights, result)
            else:
                if not started:
                    result[...] = 0 if bias is None else bias
                self.add(connection, result)
            started = True
        return result

    def _weights_of_single(self, connection: Connection) -> np.ndarray | None:
        """`repeated`, of a connection with one synapse for each neuron, from spike times; None where it is none."""
        path = connection.path
        if connection.source not in self.times or len(path) > 1:
            return None
        if not path:
            return ONE
        return self.integrator.repeated(path[0].weights) if isinstance(path[0], Scale) else None

    def add(self, connection: Connection, result: np.ndarray) -> None:
        """Add what a connection contributes to V0, (n, ...) float32."""
        weights = self._weights_of_single(connection)
        if weights is not None:
            add_decoded(np.ascontiguousarray(self.times[connection.source]), self.steps[connection.source], weights, result)
        elif connection.path:
            self.integrator.add_step(connection.path[-1], self.before_last(connection), result)
        else:
            result += self.activations(connection.source).reshape(result.shape)

    def before_last(self, connection: Connection) -> np.ndarray:
        """Activations behind all steps of the connection's path but the last."""
        times, path = self.times.get(connection.source), connection.path
        if len(path) > 1 and isinstance(path[0], AveragePool) and times is not None and times.dtype.kind == "u":
            values = np.empty((self.images, *path[0].out_shape), np.float32)
            average_pool_decoded(image(times, path[0].in_shape), self.steps[connection.source], *path[0].windows(), image(values, path[0].out_shape))
            path = path[1:]
        else:
            values = self.activations(connection.source)
        for step in path[:-1]:
            behind = np.zeros((self.images, *step.out_shape), np.float32)
            self.integrator.add_step(step, values, behind)
            values = behind
        return values
