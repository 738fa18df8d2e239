"""Weighted sums over connections: what a layer's synapses make of one value per source neuron."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..ir import Network, has_neurons
from ..kernels.conv import conv
from ..kernels.dense import chunked, dense
from ..kernels.pool import average_pool
from ..kernels.vector import blocked
from ..synapses import AveragePool, Connection, Conv, Dense, Scale, Sliding, Spread, has_virtual_neurons


class Integrator:
    """The connections of one network, its weights laid out for the kernels once. Callers hold `kernels.CALLER`."""

    def __init__(self, network: Network):
        steps = [step for layer in network.layers if has_neurons(layer) for connection in layer.connections for step in connection.path]
        self._weights = {id(step): WEIGHTS[step.kind](step) for step in steps if step.kind in WEIGHTS}

    def add(self, connection: Connection, values: np.ndarray, potential: np.ndarray, padding: int = 0) -> None:
        """Add to `potential`, (n, *shape of the target) float32, the weighted sums of `values`, (n, *shape of the source) float32; padded
        taps hold `padding`."""
        if not connection.path:
            potential += values.reshape(potential.shape)
        before = None
        for step in connection.path:
            out = potential if step is connection.path[-1] else np.zeros((len(values), *step.out_shape), np.float32)
            values, weights = values.reshape(len(values), *step.in_shape), self._weights.get(id(step))
            if padding and has_virtual_neurons(step, before):
                SYNAPSES[step.kind](weights, *_padded(step, values, padding), out)
            else:
                SYNAPSES[step.kind](weights, step, values, out)
            values, before = out, step


def _padded(step: Conv | AveragePool, values: np.ndarray, padding: int) -> tuple[Conv | AveragePool, np.ndarray]:
    """`step` without padding, and `values` with it."""
    widths = list(zip(step.pads, step.pads_end))
    values = np.pad(values, [(0, 0), *widths, (0, 0)], constant_values=padding)
    none = (0,) * len(step.pads)
    return step.model_copy(update={"in_shape": values.shape[1:], "pads": none, "pads_end": none}), values


def _conv(weights: np.ndarray | None, step: Conv, activation: np.ndarray, potential: np.ndarray) -> None:
    conv(image(activation, step.in_shape), weights, *geometry(step), image(potential, step.out_shape))


def _dense(weights: np.ndarray | None, step: Dense, activation: np.ndarray, potential: np.ndarray) -> None:
    dense(activation, weights, potential)


def _average(weights: np.ndarray | None, step: AveragePool, activation: np.ndarray, potential: np.ndarray) -> None:
    average_pool(image(activation, step.in_shape), divisor(step), *geometry(step), image(potential, step.out_shape))


def _scale(weights: np.ndarray | None, step: Scale, activation: np.ndarray, potential: np.ndarray) -> None:
    potential += (activation * step.weights).reshape(potential.shape)


def _spread(weights: np.ndarray | None, step: Spread, activation: np.ndarray, potential: np.ndarray) -> None:
    wide = potential.reshape(len(potential), *step.out_shape)
    wide[(slice(None), *(slice(None, None, stride) for stride in step.strides))] += activation


SYNAPSES: dict[str, Callable] = {"conv": _conv, "dense": _dense, "average_pool": _average, "scale": _scale, "spread": _spread}
WEIGHTS: dict[str, Callable] = {  # how the kernels want them
    "conv": lambda step: blocked(step.weights.reshape(-1, *step.weights.shape[-2:]), step.groups),
    "dense": lambda step: chunked(blocked(step.weights[None], 1)),
}


def image(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A view (n, height, width, channels) of (n, *shape); one-dimensional positions become one row of an image."""
    return array.reshape(len(array), *(1,) * (3 - len(shape)), *shape)


def geometry(step: Sliding) -> tuple[tuple[int, int], ...]:
    """kernel, strides, dilations, pads as (y, x) pairs, as the kernels take them."""
    neutral = (1, 1, 1, 0)
    return tuple((value,) * (2 - len(axes)) + axes for axes, value in zip((step.kernel, step.strides, step.dilations, step.pads), neutral))


def divisor(step: AveragePool) -> np.ndarray:
    """(out height, out width) float32."""
    return step.divisor.reshape(-1, step.out_shape[-2])
