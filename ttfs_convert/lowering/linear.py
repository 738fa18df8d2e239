"""Chains of linear synapses: scales folded into the weights beside them, and what a chain makes of values that are always there.

Rules of `then`, where Scale acts per channel:
1. Scale, Scale       -> one Scale
2. Conv|Dense, Scale  -> Conv|Dense with scaled outputs
3. Scale, Conv|Dense  -> Conv|Dense with scaled inputs
4. Scale, AveragePool -> AveragePool, Scale; the same with Spread
A Scale of factors 1, up to float32 rounding, disappears.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import product

import numpy as np

from ..synapses import AveragePool, Connection, Conv, Dense, Scale, Shape, Spread, Synapses
from .values import compact

ROUNDING = 2.0**-23


@dataclass(frozen=True)
class Linear:
    """offset + path applied to the activations of `source`: values of `shape`, channels last. offset: per channel or whole."""

    source: str
    path: tuple[Synapses, ...]
    shape: Shape
    offset: np.ndarray

    def then(self, step: Synapses) -> Linear:
        """The same values behind the synapses `step`, whose padded taps contribute 0."""
        offset = np.zeros(step.out_shape[-1])
        if self.offset.any():
            offset = compact(APPLY[step.kind](step, np.broadcast_to(self.offset, self.shape).reshape(step.in_shape)))
        return Linear(self.source, then(self.path, step), step.out_shape, offset)

    def through(self, steps: tuple[Synapses, ...]) -> Linear:
        return reduce(Linear.then, steps, self)

    @property
    def connection(self) -> Connection:
        return Connection(source=self.source, path=self.path)


def scaled(path: tuple[Synapses, ...], factors: np.ndarray, shape: Shape) -> tuple[Synapses, ...]:
    """`path`, which ends in `shape`, with its results multiplied by `factors`, per channel or whole."""
    return then(path, Scale(in_shape=shape, out_shape=shape, weights=np.ascontiguousarray(factors, np.float32)))


def then(path: tuple[Synapses, ...], step: Synapses) -> tuple[Synapses, ...]:
    """`path` followed by `step`. Raises ValueError for a factor that differs by position in front of a window that slides."""
    last, before = (path[-1], path[:-1]) if path else (None, ())
    if isinstance(step, Scale):
        if (np.abs(step.weights - 1) <= ROUNDING).all():
            return path
        if isinstance(last, Scale):
            product = np.broadcast_to(last.weights, last.out_shape).reshape(step.in_shape).astype(np.float64) * step.weights
            return then(before, _scale(compact(product), step.in_shape))
        if isinstance(last, (Conv, Dense)) and step.weights.ndim == 1:
            return (*before, _with_weights(last, last.weights * step.weights))
        return (*path, step)
    if not isinstance(last, Scale):
        return (*path, step)
    if isinstance(step, Dense):
        rows = np.broadcast_to(last.weights, last.out_shape).reshape(-1, 1)
        return (*before, _with_weights(step, step.weights * rows))
    factors = compact(np.broadcast_to(last.weights, last.out_shape).reshape(step.in_shape))
    if factors.ndim > 1:
        raise ValueError("factors differ by position")
    if isinstance(step, (AveragePool, Spread)):
        return (*before, step, _scale(factors, step.out_shape))
    inputs = factors.reshape(step.groups, -1, 1)  # (groups, channels in / groups, 1) against weights (..., channels in / groups, out)
    grouped = step.weights.reshape(*step.weights.shape[:-1], step.groups, -1)
    return (*before, _with_weights(step, (grouped * inputs.transpose(1, 0, 2)).reshape(step.weights.shape)))


def _with_weights(step: Conv | Dense, weights: np.ndarray) -> Conv | Dense:
    return type(step)(**{**dict(step), "weights": weights})


def _scale(factors: np.ndarray, shape: Shape) -> Scale:
    return Scale(in_shape=shape, out_shape=shape, weights=np.ascontiguousarray(factors, np.float32))


def _taps(step: Conv | AveragePool, image: np.ndarray):
    """(tap, the inputs that it shows to every output) of one image (*spatial, channels), padded with 0."""
    room = [(out - 1) * stride + dilation * (kernel - 1) + 1 - before - size for out, stride, dilation, kernel, before, size
            in zip(step.out_shape, step.strides, step.dilations, step.kernel, step.pads, step.in_shape)]
    padded = np.pad(image, [*((before, max(0, after)) for before, after in zip(step.pads, room)), (0, 0)])
    for tap in product(*map(range, step.kernel)):
        yield tap, padded[tuple(slice(k * dilation, k * dilation + (out - 1) * stride + 1, stride)
                                for k, dilation, out, stride in zip(tap, step.dilations, step.out_shape, step.strides))]


def _conv(step: Conv, image: np.ndarray) -> np.ndarray:
    result = np.zeros((*step.out_shape[:-1], step.groups, step.out_shape[-1] // step.groups))
    weights = step.weights.reshape(*step.weights.shape[:-1], step.groups, -1)
    for tap, inputs in _taps(step, image):
        grouped = inputs.reshape(*inputs.shape[:-1], step.groups, 1, -1)
        result += (grouped @ np.moveaxis(weights[tap], 0, 1).astype(np.float64))[..., 0, :]
    return result.reshape(step.out_shape)


def _dense(step: Dense, image: np.ndarray) -> np.ndarray:
    return image @ step.weights.astype(np.float64)


def _average_pool(step: AveragePool, image: np.ndarray) -> np.ndarray:
    return sum(inputs for _, inputs in _taps(step, image)) / step.divisor[..., None]


def _scaled_image(step: Scale, image: np.ndarray) -> np.ndarray:
    return image * step.weights


def _spread(step: Spread, image: np.ndarray) -> np.ndarray:
    wide = np.zeros(step.out_shape)
    wide[tuple(slice(None, None, stride) for stride in step.strides)] = image
    return wide


APPLY = {"conv": _conv, "dense": _dense, "average_pool": _average_pool, "scale": _scaled_image, "spread": _spread}
