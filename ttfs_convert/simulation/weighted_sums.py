"""Weighted sums over connections: what a layer's synapses make of one value per source neuron."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..kernels.blocking import Weights
from ..kernels.convolve import conv, dense
from ..kernels.pool import average_pool
from ..kernels.sparse_rows import sparse
from ..network.network import Network
from ..network.synapses.average_pool import AveragePool
from ..network.synapses.connection import Connection, Synapses, has_virtual_neurons
from ..network.synapses.convolution import Conv
from ..network.synapses.dense import Dense
from ..network.synapses.images import divisor, geometry, image
from ..network.synapses.scale import Scale
from ..network.synapses.sparse import Sparse
from ..network.synapses.spread import Spread
from .plan import Paths, weights


class Integrator:
    """The connections of one network, its weights laid out for the kernels once. Callers hold `kernels.CALLER`."""

    def __init__(self, network: Network):
        self.weights = weights(network)
        self.paths = Paths(self.weights)

    def add(self, connection: Connection, values: np.ndarray, potential: np.ndarray, padding: int = 0) -> None:
        """Add to `potential`, (n, *shape of the target) float32, the weighted sums of `values`, (n, *shape of the source) float32; padded
        taps hold `padding`."""
        if not connection.path:
            potential += values.reshape(potential.shape)
            return
        before = None
        for step in connection.path[:-1]:
            out = np.zeros((len(values), *step.out_shape), np.float32)
            self.add_step(step, values, out, padding if has_virtual_neurons(step, before) else 0)
            values, before = out, step
        last = connection.path[-1]
        self.add_step(last, values, potential, padding if has_virtual_neurons(last, before) else 0)

    def add_step(self, step: Synapses, values: np.ndarray, potential: np.ndarray, padding: int = 0) -> None:
        """As `add`, of one step of a path."""
        values = values.reshape(len(values), *step.in_shape)
        dense = isinstance(step, Conv) and self.paths.dense(step, values, 0)
        shaped, padded = _padded(step, values, padding) if padding else (step, values)
        SYNAPSES[step.kind](self.weights.get(id(step)), shaped, padded, potential, dense)


def _padded(step: Conv | AveragePool, values: np.ndarray, padding: int) -> tuple[Conv | AveragePool, np.ndarray]:
    """`step` without padding, and `values` with it."""
    widths = list(zip(step.pads, step.pads_end))
    values = np.pad(values, [(0, 0), *widths, (0, 0)], constant_values=padding)
    none = (0,) * len(step.pads)
    return step.model_copy(update={"in_shape": values.shape[1:], "pads": none, "pads_end": none}), values


def _conv(weights: Weights | None, step: Conv, activation: np.ndarray, potential: np.ndarray, dense: bool) -> None:
    conv(image(activation, step.in_shape), weights, *geometry(step), image(potential, step.out_shape), dense)


def _dense(weights: Weights | None, step: Dense, activation: np.ndarray, potential: np.ndarray, _: bool) -> None:
    dense(activation, weights, potential.reshape(len(activation), -1))


def _average(weights: Weights | None, step: AveragePool, activation: np.ndarray, potential: np.ndarray, _: bool) -> None:
    average_pool(image(activation, step.in_shape), divisor(step), *geometry(step), image(potential, step.out_shape))


def _scale(weights: Weights | None, step: Scale, activation: np.ndarray, potential: np.ndarray, _: bool) -> None:
    potential += (activation * step.weights).reshape(potential.shape)


def _spread(weights: Weights | None, step: Spread, activation: np.ndarray, potential: np.ndarray, _: bool) -> None:
    wide = potential.reshape(len(activation), *step.out_shape)
    wide[(slice(None), *(slice(None, None, stride) for stride in step.strides))] += activation


def _sparse(weights: Weights | None, step: Sparse, activation: np.ndarray, potential: np.ndarray, _: bool) -> None:
    sparse(activation, step.indptr, step.indices, step.weights, potential.reshape(len(activation), *step.out_shape))


SYNAPSES: dict[str, Callable] = {"conv": _conv, "dense": _dense, "average_pool": _average, "scale": _scale, "spread": _spread, "sparse": _sparse}
