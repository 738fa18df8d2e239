"""Twin of a network with the fixed threshold: every neuron alone, its input spikes scanned one by one, in float64 and plain Python.

    dV/dt = I(t),  I(t) = sum of the weights of the spikes that have arrived + bias during the inputs' window,  spike when V >= 1

Times are those of a layer's own window, NaN for a neuron that never fires. A layer lives from global time 0 to the end of the
network's last window; its inputs' window is the one before its own, spikes of earlier layers come out of delay lines.
"""

from __future__ import annotations

import math

import numpy as np

from tests.naive_network import channels_last, inside, step_weights, taps
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Concat, Input, MaxPool, Readout, Reorder, Spiking
from ttfs_convert.network.synapses.connection import Connection
from ttfs_convert.network.synapses.convolution import Conv
from ttfs_convert.network.synapses.spread import Spread

CLOSING = 1.0  # of the inputs' window, where the layer's own opens


def simulate(network: Network, x: np.ndarray, steps: int | None = None) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """tau per layer name, (n, *shape) float64; and the readouts' potentials at the end of the run, (n, neurons). steps: N; None:
    continuous time, neuron by neuron and event by event. x: as the model takes it, by ONNX tensor or of the only input."""
    entries = x if isinstance(x, dict) else {network.inputs[0].onnx_name: x}
    times: dict[str, np.ndarray] = {}
    potentials = []
    for layer in network.layers:
        if isinstance(layer, (Spiking, Readout)):
            fired, potential = live(network, layer, times, steps)
            if isinstance(layer, Readout):
                potentials.append(potential)
            else:
                times[layer.name] = fired.reshape(-1, *layer.shape)
        else:
            times[layer.name] = PASSED_ON[type(layer)](layer, times, entries, steps, network.half).reshape(-1, *layer.shape)
    return times, potentials


def live(network: Network, layer: Spiking | Readout, times: dict, steps: int | None) -> tuple[np.ndarray, np.ndarray]:
    """(tau, potential at the end), both (n, neurons)."""
    last = layer.window if isinstance(layer, Readout) else network.windows
    begin, end = -(layer.window - 1), last - (layer.window - 1)
    threshold = math.inf if isinstance(layer, Readout) else 1.0
    synapses = [(connection.source, *weights_of(connection, layer)) for connection in layer.connections]
    bias = np.zeros(layer.shape) if layer.bias is None else np.broadcast_to(layer.bias, layer.shape).astype(np.float64)
    images = len(times[synapses[0][0]])
    fired, potential = np.empty((images, bias.size)), np.empty((images, bias.size))
    for n, i in np.ndindex(*fired.shape):
        changes = currents(layer, synapses, bias.reshape(-1)[i], times, n, i)
        if steps is None:
            tau, potential[n, i] = by_events(changes, begin, end, threshold)
        else:
            k, potential[n, i] = by_steps(changes, begin, end, threshold, steps, network.half + 1e-4)
            tau = k / steps
        fired[n, i] = tau - CLOSING
    return fired, potential


def currents(layer: Spiking | Readout, synapses: list, bias: float, times: dict, n: int, i: int) -> list[tuple[float, float]]:
    """(time, change of the current) of all that reaches neuron i in image n, on the clock of its inputs' window."""
    changes = [(0.0, bias), (CLOSING, -bias)]
    for source, real, virtual in synapses:
        changes += [(tau, weight) for tau, weight in zip(times[source][n].reshape(-1), real[i]) if weight and not math.isnan(tau)]
        changes += [(CLOSING, weight) for weight in virtual[i]]
    if isinstance(layer, Spiking) and layer.slope == "reference":
        changes.append((CLOSING, 1 - sum(real[i].sum() + virtual[i].sum() for _, real, virtual in synapses)))
    return changes


def by_events(changes: list[tuple[float, float]], begin: float, end: float, threshold: float) -> tuple[float, float]:
    """(time of the first crossing or NaN, potential at `end`)"""
    now, potential, current, fired = begin, 0.0, 0.0, math.nan
    for time, change in sorted(change for change in changes if change[0] <= end) + [(end, 0.0)]:
        after = potential + current * (time - now)
        if math.isnan(fired) and after >= threshold:
            fired = now + (threshold - potential) / current
        now, potential, current = time, after, current + change
    return fired, potential


def by_steps(changes: list[tuple[float, float]], begin: int, end: int, threshold: float, steps: int, lead: float) -> tuple[float, float]:
    """As `by_events`, in steps: a step fires what reaches the threshold at it, or `lead` steps later."""
    by_step: dict[int, float] = {}
    for time, change in changes:
        by_step[round(time * steps)] = by_step.get(round(time * steps), 0.0) + change
    potential, current, fired = 0.0, 0.0, math.nan
    for k in range(begin * steps, end * steps):
        current += by_step.get(k, 0.0)
        if math.isnan(fired) and max(potential, potential + current * lead / steps) >= threshold:
            fired = k
        potential += current / steps
    return fired, potential


def weights_of(connection: Connection, layer: Spiking | Readout) -> tuple[np.ndarray, np.ndarray]:
    """Weights onto each neuron from each neuron of the source and from each virtual one; what a spread leaves free has none."""
    size = math.prod(connection.path[0].in_shape if connection.path else layer.shape)
    real, virtual = np.eye(size), np.zeros((size, 0))
    for step, before in zip(connection.path, (None, *connection.path)):
        step_real, step_virtual = spread_weights(step) if isinstance(step, Spread) else step_weights(step)
        if isinstance(step, Conv) and isinstance(before, Spread):
            step_virtual = step_virtual[:, :0]
        real, virtual = step_real @ real, np.hstack([step_real @ virtual, step_virtual])
    return real, virtual


def spread_weights(step: Spread) -> tuple[np.ndarray, np.ndarray]:
    real = np.zeros((math.prod(step.out_shape), math.prod(step.in_shape)))
    for at in np.ndindex(*step.in_shape):
        target = (*(position * stride for position, stride in zip(at, step.strides)), at[-1])
        real[np.ravel_multi_index(target, step.out_shape), np.ravel_multi_index(at, step.in_shape)] = 1
    return real, np.zeros((len(real), 0))


# Encoders and wiring


def encode(layer: Input, times: dict, entries: dict, steps: int | None, half: float) -> np.ndarray:
    """Values at the lower end spike as the window closes."""
    lo, hi = (np.broadcast_to(end, layer.shape).reshape(-1).astype(np.float64) for end in (layer.lo, layer.hi))
    tau = np.clip(1 - (channels_last(layer, entries[layer.onnx_name]) - lo) / (hi - lo), 0, 1)
    return tau if steps is None else np.clip(np.ceil(steps * tau - half - 1e-4), 0, steps) / steps


def earliest(layer: MaxPool, times: dict, *_: object) -> np.ndarray:
    """NaN where nothing in the window fires."""
    source = times[layer.source].reshape(-1, *layer.in_shape)
    first = np.full((len(source), *layer.out_shape), math.nan)
    for out, _, at in taps(layer):
        if inside(at, layer.in_shape):
            first[(slice(None), *out)] = np.fmin(first[(slice(None), *out)], source[(slice(None), *at)])
    return first


def reorder(layer: Reorder, times: dict, *_: object) -> np.ndarray:
    return times[layer.source].reshape(len(times[layer.source]), -1)[:, layer.index]


def concat(layer: Concat, times: dict, *_: object) -> np.ndarray:
    parts = [times[source] for source in layer.joined]
    return np.concatenate([part.reshape(len(part), math.prod(layer.shape[:-1]), -1) for part in parts], axis=2)


PASSED_ON = {Input: encode, MaxPool: earliest, Reorder: reorder, Concat: concat}
