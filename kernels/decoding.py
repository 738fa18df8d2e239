"""What spike times stand for, neuron by neuron: activations, and the potentials that single synapses make of them."""

import numpy as np

from ._jit import jit
from ._threads import SERIAL_ELEMENTS, in_parallel, share

BLOCK = 4096  # neurons that a thread takes at a time
PERIOD = 512  # weights are repeated up to about so many


def repeated(values: np.ndarray) -> np.ndarray:
    """`values` of channels or neurons, flat, as often as makes loops along them long: what weights and starts of neurons have to be here."""
    flat = values.reshape(-1)
    return flat if flat.size > PERIOD // 2 else np.tile(flat, PERIOD // flat.size)


ONE, NOTHING = repeated(np.ones(1, np.float32)), repeated(np.zeros(1, np.float32))


def decode_into(times: np.ndarray, steps: int | None, activation: np.ndarray) -> None:
    """activation[i] = a = (N - k) / N of spike step k, correctly rounded; 1 - tau in continuous time; 0 where a spike is missing, NaN.

    times: steps (unsigned) or tau (float32), contiguous. steps: N, None for tau. activation: float32, of as many, contiguous.
    """
    start_with(NOTHING, times, steps, ONE, activation)


def start_with(start: np.ndarray, times: np.ndarray, steps: int | None, weights: np.ndarray, potential: np.ndarray) -> None:
    """potential[i] = start[i % m] + weights[i % m'] a[i]; a and the arguments as for `decode_into`. start, weights: (m,) and (m',) float32, both
    `repeated`."""
    _call(times, steps, weights, start, potential)


def add_decoded(times: np.ndarray, steps: int | None, weights: np.ndarray, potential: np.ndarray) -> None:
    """potential[i] += weights[i % m] a[i]: one synapse for each neuron; arguments as for `start_with`."""
    _call(times, steps, weights, NOTHING[:0], potential)


def _call(times: np.ndarray, steps: int | None, weights: np.ndarray, start: np.ndarray, potential: np.ndarray) -> None:
    arguments = times.reshape(-1), steps or 1, weights, start, potential.reshape(-1)
    in_parallel(_weighted_shared, -(-times.size // BLOCK), arguments, times.size < SERIAL_ELEMENTS)


@jit()
def _weighted(first, past, times, steps, weights, start, potential):
    whole = np.float32(steps)
    at, end = first * BLOCK, min(past * BLOCK, times.size)
    while at < end:
        channel = at % weights.size
        count = min(weights.size - channel, end - at)
        if start.size > 0:
            count = min(count, start.size - at % start.size)
        part, weight, result = times[at : at + count], weights[channel : channel + count], potential[at : at + count]
        if start.size > 0:
            begin = start[at % start.size : at % start.size + count]
            for k in range(count):
                result[k] = begin[k] + weight[k] * _activation(part[k], whole)
        else:
            for k in range(count):
                result[k] += weight[k] * _activation(part[k], whole)
        at += count


@jit(inline="always")
def _activation(time, whole):
    left = whole - np.float32(time)
    return left / whole if left == left else np.float32(0)


@jit()
def _weighted_shared(state, items, chunk, *arguments):
    share(_weighted, state, items, chunk, arguments)
