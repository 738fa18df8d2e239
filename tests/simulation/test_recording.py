"""What a recording says about spike times: steps, tau, and tau with spikes that are missing."""

import numpy as np
import pytest

from tests.simulation.networks import case
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.simulation.recording import Recording, decode

NAN = np.nan
RECORDING = Recording(
    {
        "grid": np.array([[0, 1, 3, 4]], np.uint8),
        "long": np.array([[0, 100, 299, 300]], np.uint16),
        "free": np.array([[0, 0.25, 0.5, 1]], np.float32),
        "fixed": np.array([[-0.5, NAN, 1, 1.5]], np.float32),
    },
    {"a": np.ones((1, 2), np.float32), "b": np.zeros((1, 3), np.float32)},
    {"grid": 4, "long": 300, "free": None, "fixed": None},
)


@pytest.mark.parametrize(
    "name, expected", (("grid", [1, 0.75, 0.25, 0]), ("long", [1, 2 / 3, 1 / 300, 0]), ("free", [1, 0.75, 0.5, 0]), ("fixed", [1.5, 0, 0, -0.5]))
)
def test_activations(name, expected):
    """1 - tau; nothing where no spike is."""
    found = RECORDING.activations(name)
    assert found.dtype == np.float32 and found.tolist() == [np.float32(expected).tolist()]


@pytest.mark.parametrize(
    "name, expected", (("grid", [0, 0.25, 0.75, 1]), ("long", [0, 1 / 3, 299 / 300, 1]), ("free", [0, 0.25, 0.5, 1]), ("fixed", [-0.5, NAN, 1, 1.5]))
)
def test_tau(name, expected):
    found = RECORDING.tau(name)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.float32([expected]))


@pytest.mark.parametrize("name, expected", (("grid", "0001"), ("long", "0001"), ("free", "0001"), ("fixed", "0111")))
def test_silent(name, expected):
    """No a > 0: at the end of the window or later, or missing."""
    found = RECORDING.silent(name)
    assert found.dtype == bool and found.tolist() == [[value == "1" for value in expected]]


def test_missing():
    assert RECORDING.missing("fixed").tolist() == [[False, True, False, False]]
    assert not any(RECORDING.missing(name).any() for name in ("grid", "long", "free"))
    assert RECORDING.missing("grid").dtype == RECORDING.missing("fixed").dtype == bool


def test_potentials_are_those_of_the_first_readout():
    assert RECORDING.potentials is RECORDING.readouts["a"]


@pytest.mark.parametrize("steps", (1, 3, 50, 255, 300, 65535))
def test_decoded_steps_are_correctly_rounded(steps):
    k = np.unique(np.linspace(0, steps, 500).astype(np.uint16))
    found = decode(k, steps)
    assert found.tolist() == [np.float32((steps - int(each)) / steps) for each in k]
    assert found[0] == 1 and found[-1] == 0


@pytest.mark.parametrize(
    "engine, threshold, steps",
    (
        ("exact", "dynamic", None),
        ("exact", "dynamic", 50),
        ("clock", "dynamic", 50),
        ("clock", "dynamic", 300),
        ("event", "dynamic", None),
        ("event", "fixed", None),
        ("clock", "fixed", 50),
    ),
)
def test_engines_record_alike(engine, threshold, steps):
    network, x = case("wires", "fan_in")
    recording = simulate(network.with_steps(steps), x, engine, threshold)
    counted = steps is not None and threshold == "dynamic"
    assert set(recording.steps) == {layer.name for layer in network.layers}
    assert set(recording.steps.values()) == {steps if counted else None}
    assert recording.spike_times.keys() == {layer.name for layer in network.layers if layer.kind != "readout"}
    for name, times in recording.spike_times.items():
        assert times.shape == (len(x), *next(layer.shape for layer in network.layers if layer.name == name))
        assert times.dtype == (np.float32 if not counted else np.uint8 if steps <= 255 else np.uint16)
        assert np.isnan(times).any() == (threshold == "fixed" and name != "x")
        activation, tau = recording.activations(name), recording.tau(name)
        np.testing.assert_allclose(activation, np.where(np.isnan(tau), 0, 1 - tau), rtol=0, atol=1e-7)
        np.testing.assert_array_equal(recording.silent(name), activation == 0)
    assert recording.potentials.dtype == np.float32 and recording.potentials.shape == (len(x), 4)
