"""Chains of linear synapses: scales folded into the weights beside them, and what a chain makes of values that are always there.

Rules of `then`, where Scale acts per channel:
1. Scale, Scale       -> one Scale
2. Conv|Dense, Scale  -> Conv|Dense with scaled outputs
3. Scale, Conv|Dense  -> Conv|Dense with scaled inputs
4. Scale, AveragePool -> AveragePool, Scale; the same with Spread and Sparse
5. Any Scale before or behind a Sparse of one channel -> the Sparse with scaled columns or rows
6. Sparse, Sparse that selects, both of one channel -> one Sparse
A Scale of factors 1, up to float32 rounding, disappears.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import product

import numpy as np

from ..per_channel import compact
from ..records import Shape
from .average_pool import AveragePool
from .connection import Connection, Synapses
from .convolution import Conv
from .dense import Dense
from .scale import Scale
from .sparse import Sparse
from .spread import Spread

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
        if isinstance(last, (Conv, Dense)) and (factors := _factors(step.weights, step.in_shape, last.out_shape)).ndim == 1:
            return (*before, _with_weights(last, last.weights * factors))
        if _between_neurons(last):
            return (*before, _with_weights(last, last.weights * np.broadcast_to(step.weights, step.in_shape).reshape(-1)[last.rows]))
        return (*path, step)
    if _between_neurons(last) and _between_neurons(step) and (np.diff(step.indptr) < 2).all():
        return (*before, _selected(last, step))
    if not isinstance(last, Scale):
        return (*path, step)
    if _between_neurons(step):
        return (*before, _with_weights(step, step.weights * np.broadcast_to(last.weights, last.out_shape).reshape(-1)[step.indices]))
    if isinstance(step, Dense):
        rows = np.broadcast_to(last.weights, last.out_shape).reshape(-1, 1)
        return (*before, _with_weights(step, step.weights * rows))
    factors = _factors(last.weights, last.out_shape, step.in_shape)
    if factors.ndim > 1:
        raise ValueError("factors differ by position")
    if isinstance(step, (AveragePool, Spread, Sparse)):
        return (*before, step, _scale(factors, step.out_shape))
    inputs = factors.reshape(step.groups, -1, 1)  # (groups, channels in / groups, 1) against weights (..., channels in / groups, out)
    grouped = step.weights.reshape(*step.weights.shape[:-1], step.groups, -1)
    return (*before, _with_weights(step, (grouped * inputs.transpose(1, 0, 2)).reshape(step.weights.shape)))


def _factors(weights: np.ndarray, shape: Shape, as_shape: Shape) -> np.ndarray:
    """A Scale's weights of neurons in `shape`, seen as `as_shape`: per channel or whole."""
    return weights if weights.shape == as_shape[-1:] and shape[-1] == as_shape[-1] else compact(np.broadcast_to(weights, shape).reshape(as_shape))


def _between_neurons(step: Synapses | None) -> bool:
    """Whether every neuron has synapses of its own."""
    return isinstance(step, Sparse) and step.in_shape[1] == 1


def _selected(first: Sparse, selection: Sparse) -> Sparse:
    """Both in one; each row of the second has one synapse at most."""
    chosen = np.zeros(selection.out_shape[0], np.int64)
    filled = np.diff(selection.indptr) == 1
    chosen[filled] = selection.indices
    counts = np.where(filled, np.diff(first.indptr)[chosen], 0)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    place = np.arange(indptr[-1], dtype=np.int64) - np.repeat(indptr[:-1] - first.indptr[chosen], counts)
    factor = np.zeros(len(chosen), np.float32)
    factor[filled] = selection.weights
    return Sparse(
        in_shape=first.in_shape,
        out_shape=selection.out_shape,
        indptr=indptr,
        indices=first.indices[place],
        weights=first.weights[place] * np.repeat(factor, counts),
    )


def _with_weights(step: Conv | Dense | Sparse, weights: np.ndarray) -> Conv | Dense | Sparse:
    return type(step)(**{**dict(step), "weights": np.ascontiguousarray(weights, np.float32)})


def _scale(factors: np.ndarray, shape: Shape) -> Scale:
    return Scale(in_shape=shape, out_shape=shape, weights=np.ascontiguousarray(factors, np.float32))


def _taps(step: Conv | AveragePool, image: np.ndarray):
    """(tap, the inputs that it shows to every output) of one image (*spatial, channels), padded with 0."""
    room = [
        (out - 1) * stride + dilation * (kernel - 1) + 1 - before - size
        for out, stride, dilation, kernel, before, size in zip(step.out_shape, step.strides, step.dilations, step.kernel, step.pads, step.in_shape)
    ]
    padded = np.pad(image, [*((before, max(0, after)) for before, after in zip(step.pads, room)), (0, 0)])
    for tap in product(*map(range, step.kernel)):
        yield (
            tap,
            padded[
                tuple(
                    slice(k * dilation, k * dilation + (out - 1) * stride + 1, stride)
                    for k, dilation, out, stride in zip(tap, step.dilations, step.out_shape, step.strides)
                )
            ],
        )


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


def _sparse(step: Sparse, image: np.ndarray) -> np.ndarray:
    return np.stack([np.bincount(step.rows, step.weights * channel[step.indices], step.out_shape[0]) for channel in image.T], axis=-1)


APPLY = {"conv": _conv, "dense": _dense, "average_pool": _average_pool, "scale": _scaled_image, "spread": _spread, "sparse": _sparse}
