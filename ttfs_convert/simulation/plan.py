"""What the `exact` engine prepares once per network: weights laid out for the kernels, and how each layer is best computed."""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass

import numpy as np

from ..files.mapped import let_go
from ..kernels._threads import threads
from ..kernels.blocking import Weights, dense_is_faster, in_long_rows, long_row_blocks, slides
from ..kernels.convolve import NO_RAMP
from ..kernels.threshold import Ramp, ramp
from ..network.network import Network
from ..network.populations import Readout, Spiking, has_neurons
from ..network.synapses.connection import Connection, Synapses
from .recording import EIGHT_BITS


@dataclass(frozen=True)
class Plan:
    """How a layer fires straight out of the sums of its last connection with weights; or how potentials come of them: a readout's, those that a
    falling threshold is to meet, and all whose spike times do not fit eight bits."""

    last: Connection
    others: tuple[Connection, ...]  # identities behind the others
    start: np.ndarray  # (m, outputs) float32: the bias, for output positions modulo m
    steps: int  # N; 0: potentials
    ramp: Ramp  # of slopes (m', outputs)
    out_shape: tuple[int, ...]  # of that connection
    shape: tuple[int, ...]  # the layer's own


class _LaidOut:
    """Weights of one step. It holds the step too, whose `id` nothing else may get meanwhile."""

    def __init__(self, step: Synapses):
        self.step, self.weights = step, step.kernel_layout()
        self._long: dict[int, Weights] = {}
        let_go(getattr(step, "weights", None))

    def long(self, packed: Weights, blocks: int) -> Weights:
        """`packed`, which they are, once more in long rows, made once."""
        if blocks not in self._long:
            self._long[blocks] = in_long_rows(packed, blocks)
        return self._long[blocks]


_LAID_OUT: weakref.WeakValueDictionary[int, _LaidOut] = weakref.WeakValueDictionary()  # by the step's `id`, for all who simulate it at a time


class Layouts:
    """Weights laid out for the kernels when they are first asked for; those who ask for the same step's share them."""

    def __init__(self):
        self._found: dict[int, _LaidOut] = {}

    def __call__(self, step: Synapses) -> Weights | None:
        """None for a step without a layout."""
        return self._of(step).weights

    def long(self, step: Synapses, blocks: int) -> Weights:
        """In long rows, of a step with a layout."""
        return self._of(step).long(self.packed(step), blocks)

    def packed(self, step: Synapses) -> Weights:
        """Of a step with a layout."""
        found = self._of(step).weights
        if found is None:
            raise TypeError(f"{step.kind} has no layout")
        return found

    def _of(self, step: Synapses) -> _LaidOut:
        key = id(step)
        if key not in self._found:
            found = _LAID_OUT.get(key)
            if found is None:
                found = _LAID_OUT[key] = _LaidOut(step)
            self._found[key] = found
        return self._found[key]


def plans(network: Network) -> dict[str, Plan]:
    """By name, of readouts and layers of neurons, if they have a connection that ends in a convolution."""
    steps = network.grid()
    found = {layer.name: _plan(layer, steps.get(layer.name, 0), network.half) for layer in network.layers if has_neurons(layer)}
    return {name: plan for name, plan in found.items() if plan is not None}


def _plan(layer: Spiking | Readout, steps: int, half: float) -> Plan | None:
    others = list(layer.connections)
    weighted = [number for number, each in enumerate(others) if each.path and each.path[-1].is_convolution]
    if not weighted:
        return None
    last = others.pop(weighted[-1])
    outputs = last.path[-1].out_shape[-1]
    bias = np.zeros(outputs, np.float32) if layer.bias is None else layer.bias
    if isinstance(layer, Spiking) and layer.activation is None and steps in EIGHT_BITS:
        slopes = layer.weight_sums if layer.slope == "fan_in" else np.ones(outputs, np.float32)
        rise = ramp(_rows(slopes, layer, outputs), steps, half)
    else:
        steps, rise = 0, NO_RAMP
    others.sort(key=lambda each: not each.path)
    return Plan(last, tuple(others), _rows(bias, layer, outputs), steps, rise, last.path[-1].out_shape, layer.shape)


def _rows(values: np.ndarray, layer: Spiking | Readout, outputs: int) -> np.ndarray:
    """Values of channels or of whole layers as (positions, outputs); one position where all are the same."""
    if values.shape == (outputs,):
        return np.array(values[None])
    return np.array(np.broadcast_to(values, layer.shape).reshape(-1, outputs))


class Paths:
    """How each step with weights is computed for so many images: no bit depends on it. Whether silent inputs are used like the others, because
    few are, is decided at the first batch."""

    def __init__(self, layouts: Layouts):
        self._layouts, self._silent = layouts, {}

    def weights(self, step: Synapses, images: int, dense: bool) -> Weights:
        """As they are packed, or once more in long rows, which all sizes of batches that want them share."""
        packed = self._layouts.packed(step)
        blocks = long_row_blocks(packed, images * math.prod(step.out_shape[:-1]), dense, threads())
        return self._layouts.long(step, blocks) if blocks else packed

    def dense(self, step: Synapses, inputs: np.ndarray, silent: int) -> bool:
        """For a step that reads `inputs`, (n, ...), in which the value `silent` is silent."""
        if id(step) not in self._silent:
            self._silent[id(step)] = np.count_nonzero(inputs == silent) / inputs.size
        kernel, strides, dilations, _ = step.kernel_geometry()
        sliding, samples = slides(kernel[1], strides[1], dilations[1]), inputs.size // math.prod(step.in_shape)
        return dense_is_faster(self._layouts.packed(step), self._silent[id(step)], sliding, samples * math.prod(step.out_shape[:-1]))
