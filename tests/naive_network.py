"""Twin of a whole converted network: the neurons' differential equations, integrated spike by spike in float64 and continuous time.

    dV/dt = I(t),  I(t) = sum of the weights of the spikes that have arrived,  spike when V >= threshold(t)

Nothing here uses the closed form V0 = sum w a or the stored weight sums. A neuron's clock starts at 0 with the window in which its inputs'
spikes travel, earlier ones out of their delay line; its own window goes from OPENING to CLOSING.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Concat, Input, MaxPool, Readout, Reorder, Spiking
from ttfs_convert.network.synapses.average_pool import AveragePool
from ttfs_convert.network.synapses.connection import Connection
from ttfs_convert.network.synapses.convolution import Conv
from ttfs_convert.network.synapses.dense import Dense
from ttfs_convert.network.synapses.scale import Scale
from ttfs_convert.network.synapses.sliding import Sliding
from ttfs_convert.network.synapses.sparse import Sparse

OPENING, CLOSING = 1.0, 2.0


def spike_times(network: Network, x: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Local spike times tau, per layer name (n, *shape) float64, 1 where silent; and the readout's potentials, (n, *onnx_shape) float64.

    x: (n, *the model's input shape). A direct input has no spike times. Raises AssertionError where the weights that `network` states do
    not add up to its `weight_sums`.
    """
    times, analog = {}, {}
    for layer in network.layers[:-1]:
        if isinstance(layer, Input) and layer.coding == "direct":
            analog[layer.name] = channels_last(layer, x)
        else:
            times[layer.name] = SPIKE_TIMES[type(layer)](layer, times, analog, x).reshape(len(x), *layer.shape)
    readout = network.readouts[0]
    potentials = np.array([[membrane.at_opening for membrane in image] for image in membranes(readout, times, analog)])
    return times, potentials[:, readout.index].reshape(len(x), *readout.onnx_shape)


# The neuron


class Membrane:
    """Potential of one neuron up to its window's opening, integrated event by event.

    spikes: (local time, weight) of every input spike, each at OPENING at the latest. analog: the current of inputs that send no spikes;
    it ends at the opening. bias: a charge added at the opening. trace: (time, potential) at every event, without the bias.
    current: of all the spikes, at the opening.
    """

    def __init__(self, spikes: list[tuple[float, float]], analog: float = 0.0, bias: float = 0.0):
        time, potential, self.current = 0.0, 0.0, 0.0
        self.trace = []
        for arrival, weight in [*sorted(spikes), (OPENING, 0.0)]:
            potential += (self.current + analog) * (arrival - time)
            time = arrival
            self.current += weight
            self.trace.append((time, potential))
        self.at_opening = potential + bias

    def fires(self, current: float) -> float:
        """Local spike time tau if `current` flows from the opening on. The threshold is infinite before the opening and 1 until the
        closing; there it drops to minus infinity, so that a neuron which has not fired does so at tau = 1: it is silent."""
        if self.at_opening >= 1:
            return 0.0
        if current <= 0:
            return CLOSING - OPENING
        return min((1 - self.at_opening) / current, CLOSING - OPENING)


def fire(layer: Spiking, times: dict, analog: dict, x: np.ndarray) -> np.ndarray:
    """(n, neurons) float64"""
    neurons = membranes(layer, times, analog)
    if layer.slope == "gated":  # synaptic currents stop at the opening, a constant one of 1 flows instead
        return np.array([[membrane.fires(1.0) for membrane in image] for image in neurons])
    return np.array([[membrane.fires(membrane.current) for membrane in image] for image in neurons])


def membranes(layer: Spiking | Readout, times: dict, analog: dict) -> list[list[Membrane]]:
    """One list per image of the neurons of `layer`, which have received the spikes that belong to its slope."""
    slope = layer.slope if isinstance(layer, Spiking) else "gated"  # a readout is over at the opening: what flows on does not matter
    assert slope == "gated" or analog.keys().isdisjoint(connection.source for connection in layer.connections), (
        f"{layer.name!r} has slope {slope} on a direct input, which sends no spikes"
    )
    weights = [(connection, connection_weights(connection, layer)) for connection in layer.connections]
    check_weight_sums(layer, weights)
    bias = np.zeros(layer.shape) if layer.bias is None else np.broadcast_to(layer.bias, layer.shape).astype(np.float64)
    result = []
    for n in range(len(next(iter((times | analog).values())))):
        result.append([])
        for i, charge in enumerate(bias.reshape(-1)):
            spikes, current = [], 0.0
            for connection, (real, virtual) in weights:
                if connection.source in analog:
                    current += sum(analog[connection.source][n] * real[i])
                else:
                    spikes += input_spikes(times[connection.source][n].reshape(-1), real[i], virtual[i], slope)
            if slope == "reference":  # the reference neuron
                spikes.append((OPENING, 1 - sum(weight for _, weight in spikes)))
            result[-1].append(Membrane(spikes, current, charge))
    return result


def input_spikes(taus: np.ndarray, real: np.ndarray, virtual: np.ndarray, slope: str) -> list[tuple[float, float]]:
    """(time, weight) of what one connection sends to one neuron, whose weights are `real` and `virtual`."""
    spikes = [(tau, weight) for tau, weight in zip(taus, real) if weight]
    if slope == "gated":
        return [(tau, weight) for tau, weight in spikes if tau < OPENING]
    return spikes + [(OPENING, weight) for weight in virtual if weight]  # silent and virtual neurons spike at their window's end


def check_weight_sums(layer: Spiking | Readout, weights: list) -> None:
    totals = sum(real.sum(1) + virtual.sum(1) for _, (real, virtual) in weights)
    stated = np.broadcast_to(layer.weight_sums, layer.shape).reshape(-1)
    np.testing.assert_allclose(stated, totals, rtol=1e-5, atol=1e-5, err_msg=f"weight sums of {layer.name!r}")


# Synapses, one by one


def connection_weights(connection: Connection, layer: Spiking | Readout) -> tuple[np.ndarray, np.ndarray]:
    """Weights onto each neuron of `layer` from each neuron of the source, (neurons, sources), and from each virtual neuron.

    Every padded position that any step of the path reads is a virtual neuron: its weights are those of that step, then of the rest of
    the path, which its spike passes like any other.
    """
    size = math.prod(connection.path[0].in_shape if connection.path else layer.shape)
    real, virtual = np.eye(size), np.zeros((size, 0))
    for step in connection.path:
        step_real, step_virtual = step_weights(step)
        real, virtual = step_real @ real, np.hstack([step_real @ virtual, step_virtual])
    return real, virtual


def step_weights(step: Conv | Dense | AveragePool | Scale | Sparse) -> tuple[np.ndarray, np.ndarray]:
    """Weights of one step from the inputs that exist, (outputs, inputs), and from the padded ones, (outputs, virtual neurons)."""
    real = np.zeros((math.prod(step.out_shape), math.prod(step.in_shape)))
    padded: dict[tuple, np.ndarray] = {}
    for target, source, weight in SYNAPSES[type(step)](step):
        row = np.ravel_multi_index(target, step.out_shape)
        if inside(source, step.in_shape):
            real[row, np.ravel_multi_index(source, step.in_shape)] += weight
        else:
            padded.setdefault(source, np.zeros(len(real)))[row] += weight
    return real, np.array(list(padded.values())).reshape(len(padded), len(real)).T


def inside(position: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return all(0 <= p < size for p, size in zip(position, shape))


def taps(step: Sliding):
    """(output position, tap, input position) of every tap; the input position may lie outside the input."""
    for out, tap in product(product(*map(range, step.out_shape[:-1])), product(*map(range, step.kernel))):
        yield out, tap, tuple(o * s - p + k * d for o, s, p, k, d in zip(out, step.strides, step.pads, tap, step.dilations))


def conv_synapses(step: Conv):
    channels, outputs = step.in_shape[-1] // step.groups, step.out_shape[-1] // step.groups
    for out, tap, at in taps(step):
        for group, c, o in product(range(step.groups), range(channels), range(outputs)):
            weight = float(step.weights[(*tap, c, group * outputs + o)])
            yield (*out, group * outputs + o), (*at, group * channels + c), weight


def dense_synapses(step: Dense):
    for i, o in np.ndindex(*step.weights.shape):
        yield (o,), (i,), float(step.weights[i, o])


def scale_synapses(step: Scale):
    weights = np.broadcast_to(step.weights, step.in_shape)
    for position in np.ndindex(*step.in_shape):
        yield position, position, float(weights[position])


def average_pool_synapses(step: AveragePool):
    """Each tap that counts has weight 1 / their number. Windows of `ceil_mode` may reach even beyond the padding, where nothing counts."""

    def counts(at):
        if step.include_pad:
            return all(-before <= p < size + after for p, before, size, after in zip(at, step.pads, step.in_shape, step.pads_end))
        return inside(at, step.in_shape)

    windows: dict[tuple, list] = {}
    for out, _, at in taps(step):
        if counts(at):
            windows.setdefault(out, []).append(at)
    for out, positions in windows.items():
        for at, c in product(positions, range(step.in_shape[-1])):
            yield (*out, c), (*at, c), 1 / len(positions)


def sparse_synapses(step: Sparse):
    for row, channel in np.ndindex(*step.out_shape):
        for synapse in range(step.indptr[row], step.indptr[row + 1]):
            yield (row, channel), (int(step.indices[synapse]), channel), float(step.weights[synapse])


SYNAPSES = {Conv: conv_synapses, Dense: dense_synapses, Scale: scale_synapses, AveragePool: average_pool_synapses, Sparse: sparse_synapses}


# Encoder and wiring


def channels_last(layer: Input, x: np.ndarray) -> np.ndarray:
    """(n, neurons) float64"""
    return (np.moveaxis(x, 1, -1) if layer.channels_first else x).reshape(len(x), -1).astype(np.float64)


def encode(layer: Input, times: dict, analog: dict, x: np.ndarray) -> np.ndarray:
    lo, hi = (np.broadcast_to(end, layer.shape).reshape(-1).astype(np.float64) for end in (layer.lo, layer.hi))
    tau = np.ones((len(x), lo.size))  # a range of no width says nothing: silent
    wide = hi > lo
    tau[:, wide] = 1 - (channels_last(layer, x)[:, wide] - lo[wide]) / (hi - lo)[wide]
    return np.clip(tau, 0, 1)


def earliest(layer: MaxPool, times: dict, analog: dict, x: np.ndarray) -> np.ndarray:
    source = times[layer.source].reshape(len(x), *layer.in_shape)
    first = np.ones((len(x), *layer.out_shape))
    for out, _, at in taps(layer):
        if inside(at, layer.in_shape):
            first[(slice(None), *out)] = np.minimum(first[(slice(None), *out)], source[(slice(None), *at)])
    return first


def reorder(layer: Reorder, times: dict, analog: dict, x: np.ndarray) -> np.ndarray:
    return times[layer.source].reshape(len(x), -1)[:, layer.index]


def concat(layer: Concat, times: dict, analog: dict, x: np.ndarray) -> np.ndarray:
    positions = math.prod(layer.shape[:-1])
    return np.concatenate([times[source].reshape(len(x), positions, -1) for source in layer.joined], axis=2)


SPIKE_TIMES = {Input: encode, Spiking: fire, MaxPool: earliest, Reorder: reorder, Concat: concat}
