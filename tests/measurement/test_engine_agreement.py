"""Engines held against the closed form: a clean run passes, and neurons moved by hand are found, counted and measured."""

import numpy as np
import pytest

from tests.simulation.networks import case
from tests.test_naive_network import Build, dense
from ttfs_convert.measurement.engine_agreement import AT_A_TIE, EngineCheck
from ttfs_convert.simulation.encoded_inputs import entries_of
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.simulation.threads import numba_threads


@pytest.fixture(autouse=True)
def one_thread():
    with numba_threads(1):
        yield


def checked(network, recording, x):
    check = EngineCheck(network, "clock")
    check.add(recording, entries_of(network, x))
    return check


@pytest.mark.parametrize("family", ("wires", "pools", "analog", "two_inputs", "transposed", "two_readouts"))
@pytest.mark.parametrize("slope", ("fan_in", "reference", "gated"))
def test_the_closed_form_does_not_differ_from_itself(family, slope):
    network, x = case(family, slope)
    for steps in (None, 20, 300):
        net = network.with_steps(steps)
        check = checked(net, simulate(net, x), x)
        times = simulate(net, x).spike_times
        assert (check.differing, check.farthest) == (0, 0)
        spiking = [layer.name for layer in net.layers if layer.kind in ("input", "spiking") and layer.name in times]
        assert check.neurons == sum(times[name].size for name in spiking)


@pytest.mark.parametrize("engine, steps", (("clock", 20), ("clock", 300), ("event", None)))
@pytest.mark.parametrize("family", ("wires", "residuals", "analog"))
def test_clean_runs_differ_by_ties_alone(family, engine, steps):
    network, x = case(family, "fan_in")
    network = network.with_steps(steps)
    check = checked(network, simulate(network, x, engine), x)
    assert check.farthest <= AT_A_TIE and (engine == "event" or check.differing <= 0.002 * check.neurons + 1)


# One neuron each for slopes 1, 0.5, 4 and -1; x says 0.3, 0.6, 0.15 and 0.35

SUMS = np.array([1, 0.5, 4, -1])


def neurons(slope="fan_in", rounding="nearest", steps=20):
    """The network and its image, with which no neuron fires near a boundary between two steps."""
    bias = np.array([0.163, 0.5263, -0.3883, 0.2])
    network = Build((4,), slope).fire("h", (4,), {"x": dense(np.diag(SUMS))}, SUMS, bias).watch().with_steps(steps, rounding)
    x = np.array([[0.3, 0.6, 0.15, 0.35]], np.float32)
    return network, x


def moved(network, x, by, neuron):
    """The engine's recording with one neuron of the last layer moved."""
    recording = simulate(network, x)
    recording.spike_times["h"][0, neuron] = float(recording.spike_times["h"][0, neuron]) + by
    return recording


@pytest.mark.parametrize("rounding, half", (("nearest", 0.5), ("ceil", 0)))
@pytest.mark.parametrize("slope", ("fan_in", "reference", "gated"))
@pytest.mark.parametrize("by", (-1, 1))
@pytest.mark.parametrize("neuron", (0, 1, 2))
def test_a_neuron_moved_by_a_step_is_found(neuron, by, slope, rounding, half):
    """Its distance: from the unrounded time to the boundary between the two steps, where a slope below 1 does not stretch it."""
    network, x = neurons(slope, rounding)
    expected = simulate(network, x).spike_times
    s = SUMS[neuron] if slope == "fan_in" else 1
    v0 = (1 - expected["x"][0, neuron] / 20) * SUMS[neuron] + network.layers[1].bias[neuron]
    step = int(expected["h"][0, neuron])
    check = checked(network, moved(network, x, by, neuron), x)
    boundary = (min(step, step + by) + half + 1e-4) / 20
    assert (check.differing, check.neurons) == (1, 8)
    assert check.farthest == pytest.approx(abs((1 - v0) / s - boundary) * min(1, s), abs=1e-6) and check.farthest > AT_A_TIE


@pytest.mark.parametrize("by", (-5, 5))
def test_a_neuron_moved_by_many_steps_is_far_off(by):
    """Its time is 14.5 steps, a hair less or more: the brink between two steps, both five steps from where its spike is said to be."""
    network, x = neurons()
    charge = -0.025 + (-1e-6 if by < 0 else 1e-6) - 0.5e-5
    layer = network.layers[1].model_copy(update={"bias": np.array([charge, 0, 0, 0], np.float32)})
    network = network.model_copy(update={"layers": (network.layers[0], layer, *network.layers[2:])})
    recording = moved(network, x, by, 0)
    assert recording.spike_times["h"][0, 0] == (10 if by < 0 else 19)
    check = checked(network, recording, x)
    assert check.differing == 1 and check.farthest > 3.9 / 20


def test_a_neuron_without_a_ramp_that_fires_is_found():
    """S = -1 and V0 = -0.15 are silent; the engine says step 3."""
    network, x = neurons()
    recording = simulate(network, x)
    assert recording.spike_times["h"][0, 3] == 20
    recording.spike_times["h"][0, 3] = 3
    check = checked(network, recording, x)
    assert check.differing == 1 and check.farthest > AT_A_TIE


@pytest.mark.parametrize("neuron", (0, 1, 2))
@pytest.mark.parametrize("by", (-0.01, 0.003))
def test_in_continuous_time_the_distance_is_that_of_the_times(neuron, by):
    network, x = neurons(steps=None)
    check = checked(network, moved(network, x, np.float32(by), neuron), x)
    assert check.differing == 1 and check.farthest == pytest.approx(abs(by) * min(1, SUMS[neuron]), abs=1e-6)


def test_an_encoder_is_checked_and_its_error_does_not_spread():
    """Later layers are judged on the spikes they really got."""
    network, x = case("residuals", "fan_in")
    network = network.with_steps(20)
    recording = simulate(network, x)
    good = recording.spike_times["x"].copy()
    later = simulate(network, np.clip(x + 0.1, 0, 1))
    mixed = type(recording)({**later.spike_times, "x": later.spike_times["x"]}, later.readouts, later.steps)
    check = checked(network, mixed, x)
    assert check.differing == (good != later.spike_times["x"]).sum() > 20


def test_batches_add_up():
    network, x = case("residuals", "fan_in")
    network = network.with_steps(20)
    recording = simulate(network, x)
    recording.spike_times["f"].reshape(-1)[::7] ^= 1
    whole, parts = checked(network, recording, x), EngineCheck(network, "clock")
    for rows in (slice(0, 1), slice(1, 4)):
        times = {name: times[rows] for name, times in recording.spike_times.items()}
        parts.add(type(recording)(times, recording.readouts, recording.steps), {"x": x[rows]})
    assert (parts.neurons, parts.differing, parts.farthest) == (whole.neurons, whole.differing, whole.farthest)
    assert whole.differing == len(range(0, recording.spike_times["f"].size, 7))
