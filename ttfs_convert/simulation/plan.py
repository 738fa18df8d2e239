"""What the `exact` engine prepares once per network: weights laid out for the kernels, and how each layer is best computed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

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


def layouts(network: Network) -> dict[int, Weights]:
    """Weights laid out for the kernels, by the `id` of each path step that has a layout."""
    steps = [
        step for layer in network.layers if isinstance(layer, (Spiking, Readout)) for connection in layer.connections for step in connection.path
    ]
    found = {id(step): step.kernel_layout() for step in steps}
    return {key: layout for key, layout in found.items() if layout is not None}


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

    def __init__(self, packed: dict[int, Weights]):
        self._packed, self._silent, self._long = packed, {}, {}

    def weights(self, step: Synapses, images: int, dense: bool) -> Weights:
        """As they are packed, or once more in long rows, which all sizes of batches that want them share."""
        packed = self._packed[id(step)]
        blocks = long_row_blocks(packed, images * math.prod(step.out_shape[:-1]), dense, threads())
        if blocks == 0:
            return packed
        key = id(step), blocks
        if key not in self._long:
            self._long[key] = in_long_rows(packed, blocks)
        return self._long[key]

    def dense(self, step: Synapses, inputs: np.ndarray, silent: int) -> bool:
        """For a step that reads `inputs`, (n, ...), in which the value `silent` is silent."""
        if id(step) not in self._silent:
            self._silent[id(step)] = np.count_nonzero(inputs == silent) / inputs.size
        kernel, strides, dilations, _ = step.kernel_geometry()
        sliding, samples = slides(kernel[1], strides[1], dilations[1]), inputs.size // math.prod(step.in_shape)
        return dense_is_faster(self._packed[id(step)], self._silent[id(step)], sliding, samples * math.prod(step.out_shape[:-1]))
