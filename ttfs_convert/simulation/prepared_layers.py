"""Layers made ready for batches of one size: what stays the same from batch to batch is worked out once.

A small layer's sums take less time than finding out where its arrays lie. What is here knows the usual cases only; `exact` has all of them.
`compiled` says of a layer that kernels do all of its work, so that a `recorded_calls.Program` can.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from ..kernels.convolve import NO_RAMP, NO_TIMES, Convolution
from ..kernels.pool import average_pool_decoded, max_pool
from ..kernels.threshold import Ramp, encode, fire
from ..network.activations.threshold_shape import Crossing
from ..network.populations import Input, MaxPool
from ..network.synapses.average_pool import AveragePool
from ..network.synapses.connection import Connection
from ..network.synapses.images import image, wide, wide_batch
from .batch import Batch
from .integrator import Integrator
from .plan import Plan
from .recording import EIGHT_BITS, step_dtype


class Encoder:
    """Spike times (n, *shape) of an input population."""

    def __init__(self, layer: Input, steps: int | None, half: float, images: int):
        same = bool((layer.lo == layer.lo[0]).all() and (layer.hi == layer.hi[0]).all())
        channels, positions = layer.shape[-1], math.prod(layer.shape[:-1])
        low, width = layer.lo, layer.hi - layer.lo
        if same and (channels == 1 or positions == 1 or not layer.channels_first):  # any order is the right one
            size, low, width = (images, 1, channels * positions), low[:1], width[:1]
        else:
            size = (images, channels, positions) if layer.channels_first else (images * positions, channels, 1)
        self._name, self._size, self._ranges = layer.onnx_name, size, (low, width)
        self._grid, self._shape, self._dtype = (steps or 0, half), (images, *layer.shape), step_dtype(steps)
        self.compiled = steps in EIGHT_BITS

    def __call__(self, batch: Batch) -> np.ndarray:
        times, (rows, channels, positions) = batch.result(self._shape, self._dtype), self._size
        values = np.ascontiguousarray(batch.entries[self._name], np.float32).reshape(self._size)
        encode(values, *self._ranges, *self._grid, times.reshape(rows, positions, channels))
        return times


class Pooled:
    """Spike steps (n, *shape) that a max-pool passes on."""

    compiled = True

    def __init__(self, layer: MaxPool, steps: int, images: int):
        self._source, self._silent, self._geometry = layer.source, np.uint8(steps), layer.kernel_geometry()
        self._inside, self._outside, self._shape = wide_batch(images, layer.in_shape), wide_batch(images, layer.out_shape), (images, *layer.shape)

    def __call__(self, batch: Batch) -> np.ndarray:
        times = batch.result(self._shape, np.uint8)
        max_pool(batch.times[self._source].reshape(self._inside), self._silent, *self._geometry, times.reshape(self._outside))
        return times


class Sums:
    """Spike times (n, *shape) of a planned layer, or potentials if that is what its plan gives. steps: N of the layers on a grid."""

    def __init__(self, plan: Plan, steps: Mapping[str, int], integrator: Integrator, images: int):
        self._plan, self._size, self._shape = plan, wide_batch(images, plan.out_shape), (images, *plan.shape)
        self._start, self._dtype = plan.start, np.uint8 if plan.steps else np.float32
        others = list(plan.others)
        self._shortcut = others.pop().source if others and _is_shortcut(others[-1], steps) else None
        shortcut_steps = steps[self._shortcut] if self._shortcut else 0
        self._others = [
            (each, Weighted(each, steps, integrator, images, plan.out_shape) if _ends_in_convolution(each, plan.out_shape) else None)
            for each in others
        ]
        self._last = Weighted(plan.last, steps, integrator, images, plan.out_shape, plan.steps, shortcut_steps)
        self.compiled = self._last.compiled and all(weighted and weighted.compiled for _, weighted in self._others)

    def __call__(self, batch: Batch) -> np.ndarray:
        start = self._with_others(batch) if self._others else self._start
        out = batch.result(self._size, self._dtype)
        shortcut = batch.times[self._shortcut].reshape(self._size) if self._shortcut else NO_TIMES
        self._last(batch, start, out, self._plan.ramp, shortcut)
        return out.reshape(self._shape)

    def _with_others(self, batch: Batch) -> np.ndarray:
        """Bias and all connections but the last, (positions, outputs) float32."""
        total, start = np.empty(self._size, np.float32), self._start
        for connection, weighted in self._others:
            if weighted:
                weighted(batch, start, total)
            else:
                if start is self._start:
                    total.reshape(-1, *start.shape)[:] = start
                batch.add(connection, total)
            start = total.reshape(-1, self._size[-1])
        return start


class UnderFallingThreshold:
    """Spike times (n, *shape) of neurons whose threshold has a shape. potentials: gives V0 of a batch, (n, *shape) float32, as `crossing` takes it.
    steps: N, None in continuous time. half: h of the rounding."""

    compiled = False

    def __init__(self, crossing: Crossing, potentials: Callable[[Batch], np.ndarray], steps: int | None, half: float):
        self._crossing, self._potentials, self._grid = crossing, potentials, (steps, half)

    def __call__(self, batch: Batch) -> np.ndarray:
        potential = self._potentials(batch)
        times = batch.result(potential.shape, step_dtype(self._grid[0]))
        self._crossing.fire(potential, *self._grid, times)
        return times


class Ramping:
    """Spike times (n, *shape) of neurons whose potentials ramp, where they do not fire straight out of sums. potentials: gives V0 of a batch, (n,
    *shape) float32. slopes: S, flat, of channels or neurons. steps: N, None in continuous time. half: h of the rounding."""

    compiled = False

    def __init__(self, potentials: Callable[[Batch], np.ndarray], slopes: np.ndarray, steps: int | None, half: float):
        self._potentials, self._slopes, self._grid = potentials, slopes, (steps, half)

    def __call__(self, batch: Batch) -> np.ndarray:
        potential, (steps, half) = self._potentials(batch), self._grid
        times = batch.result(potential.shape, step_dtype(steps))
        fire(potential.reshape(-1, self._slopes.size), self._slopes, steps or 0, half, times.reshape(-1, self._slopes.size))
        return times


class Weighted:
    """A connection whose last step has weights, with spike steps or activations in front of it."""

    def __init__(
        self,
        connection: Connection,
        steps: Mapping[str, int],
        integrator: Integrator,
        images: int,
        out_shape: tuple[int, ...],
        steps_out: int = 0,
        shortcut_steps: int = 0,
    ):
        step = connection.path[-1]
        self._read, self._in_steps = _reader(connection, steps)
        self._source = connection.source if self._in_steps else None
        self.compiled = bool(self._in_steps) or isinstance(self._read, _AveragePooled)
        self._paths, self._step, self._steps_out = integrator.paths, step, steps_out
        self._in_shape, self._out_shape, self._shortcut_steps = wide_batch(images, step.in_shape), wide_batch(images, out_shape), shortcut_steps
        self._images = images
        self._run: Convolution | None = None

    def __call__(self, batch: Batch, start: np.ndarray, out: np.ndarray, ramp: Ramp = NO_RAMP, shortcut: np.ndarray = NO_TIMES) -> None:
        inputs = (self._read(batch) if self._source is None else batch.times[self._source]).reshape(self._in_shape)
        if self._run is None:
            self._run = self._made_ready(inputs)
        self._run(inputs, start, out, ramp, shortcut)

    def _made_ready(self, inputs: np.ndarray) -> Convolution:
        """The first batch shows how many inputs are silent."""
        dense = self._paths.dense(self._step, inputs, self._in_steps)
        place = self._step.kernel_geometry()
        weights = self._paths.weights(self._step, self._images, dense)
        return Convolution(weights, *place, self._in_shape, self._out_shape, self._in_steps, self._steps_out, dense, self._shortcut_steps)


def _reader(connection: Connection, steps: Mapping[str, int]) -> tuple[Callable[[Batch], np.ndarray], int]:
    """What a connection's last step reads, and N if these are spike steps, 0 for activations."""
    source, path, count = connection.source, connection.path, steps.get(connection.source, 0)
    if len(path) == 1 and count in EIGHT_BITS:
        return (lambda batch: batch.times[source]), count
    if len(path) == 2 and isinstance(path[0], AveragePool) and count:
        return _AveragePooled(path[0], source, count), 0
    return (lambda batch: batch.before_last(connection)), 0


class _AveragePooled:
    """What an average pool makes of spike steps: activations (n, height, width, channels)."""

    def __init__(self, pool: AveragePool, source: str, steps: int):
        self._source, self._steps, self._windows = source, steps, pool.windows()
        self._inside, self._outside = pool.in_shape, pool.out_shape

    def __call__(self, batch: Batch) -> np.ndarray:
        values = np.empty(wide_batch(batch.images, self._outside), np.float32)
        average_pool_decoded(image(batch.times[self._source], self._inside), self._steps, *self._windows, values)
        return values


def _ends_in_convolution(connection: Connection, out_shape: tuple[int, ...]) -> bool:
    """Whether it does, in one that sees the layer in the same shape."""
    last = connection.path[-1] if connection.path else None
    return last is not None and last.is_convolution and wide(last.out_shape) == wide(out_shape)


def _is_shortcut(connection: Connection, steps: Mapping[str, int]) -> bool:
    return not connection.path and steps.get(connection.source) in EIGHT_BITS
