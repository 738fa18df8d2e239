"""Each layer of an engine's recording judged on the sources it really got, so that no difference hides behind an earlier one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.simulation.networks import Entries
from ttfs_convert.kernels._threads import CALLER
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Input, Readout, Spiking
from ttfs_convert.simulation.encoded_inputs import channels_last, encoded, entries_of
from ttfs_convert.simulation.exact_engine import Simulator
from ttfs_convert.simulation.integrator import Integrator
from ttfs_convert.simulation.recording import Recording

TIE = 1e-4  # in steps: what the rounding rule lets a crossing lie behind a grid point
NEAR = 2e-5  # of the threshold: a potential for which float32 rounding may decide whether a neuron fires
SHARE = 5e-4  # of the neurons may be that near


def potentials(network: Network, x: Entries, recording: Recording) -> Iterator[tuple[Input | Spiking | Readout, np.ndarray]]:
    """V0 of every encoder and layer of neurons, (n, neurons) float64, if its sources fired as recorded."""
    entries, integrator = entries_of(network, x), Integrator()
    analog = {layer.name: channels_last(layer, entries[layer.onnx_name]) for layer in network.inputs if layer.coding == "direct"}
    count = len(entries[network.inputs[0].onnx_name])
    for layer in network.layers:
        if isinstance(layer, Input) and layer.name not in analog:
            yield layer, encoded(layer, entries[layer.onnx_name]).reshape(count, -1).astype(np.float64)
        elif isinstance(layer, (Spiking, Readout)):
            potential = np.zeros((count, *layer.shape), np.float32)
            potential += 0 if layer.bias is None else layer.bias
            with CALLER:
                for connection in layer.connections:
                    values = analog[connection.source] if connection.source in analog else recording.activations(connection.source)
                    integrator.add(connection, values, potential)
            yield layer, potential.reshape(count, -1).astype(np.float64)


def slopes(layer: Input | Spiking) -> np.ndarray:
    """S of every neuron, flat float64."""
    if isinstance(layer, Spiking) and layer.slope == "fan_in":
        return np.broadcast_to(layer.weight_sums, layer.shape).reshape(-1).astype(np.float64)
    return np.ones(int(np.prod(layer.shape)))


def differing_steps(network: Network, x: Entries, recording: Recording) -> tuple[int, int]:
    """(neurons whose step is not that of engine `exact`, neurons).

    Asserts that float32 rounding explains each of them: at the sample point of the earlier of the two steps the potential is nearly
    the threshold. Asserts also that readouts hold V0 to float32 accuracy.
    """
    expected, different, total = dict(_again(network, x, recording)), 0, 0
    for layer, potential in potentials(network, x, recording):
        if isinstance(layer, Readout):
            found = recording.readouts[layer.tensor].reshape(len(potential), -1)
            np.testing.assert_allclose(found, potential[:, layer.index], rtol=0, atol=3e-6 * max(1, np.abs(potential).max()))
            continue
        found, theirs = (times[layer.name].reshape(potential.shape) for times in (recording.spike_times, expected))
        assert found.dtype == theirs.dtype and found.max() <= recording.steps[layer.name]
        image, neuron = np.nonzero(found != theirs)
        steps, slope = recording.steps[layer.name], slopes(layer)[neuron]
        sample = np.minimum(found, theirs)[image, neuron] + np.where(slope > 0, network.half + TIE, 0)
        distance = np.abs(potential[image, neuron] + slope * sample / steps - 1)
        assert (distance <= NEAR).all(), f"{layer.name}: {(distance > NEAR).sum()} of {found.size} neurons, by {distance.max():.1e}"
        different, total = different + image.size, total + found.size
    return different, total


def assert_same_times(network: Network, x: Entries, recording: Recording) -> None:
    """Spike times tau are those of engine `exact` to 1e-5 max(1, 1/S), and readouts V0, each layer on the sources it got."""
    expected = dict(_again(network, x, recording))
    for layer, potential in potentials(network, x, recording):
        if isinstance(layer, Readout):
            found = recording.readouts[layer.tensor].reshape(len(potential), -1)
            np.testing.assert_allclose(found, potential[:, layer.index], rtol=0, atol=3e-6 * max(1, np.abs(potential).max()))
        else:
            slope = slopes(layer)
            tolerance = 1e-5 * np.maximum(1, 1 / np.where(slope > 0, slope, 1))
            found, theirs = (times[layer.name].reshape(potential.shape) for times in (recording.spike_times, expected))
            difference = np.abs(found - theirs)
            assert found.dtype == np.float32 and (difference <= tolerance).all(), f"{layer.name}: {difference.max()}"


def _again(network: Network, x: Entries, recording: Recording) -> Iterator[tuple[str, np.ndarray]]:
    for layer, times, *_ in Simulator(network).again(recording, entries_of(network, x)):
        yield layer.name, times.copy()
