"""Compiled functions beside their definitions in `network/activations/`, number by number, and the spike times that they give."""

import numpy as np
import pytest

from tests.kernels.cases import assert_same_bits
from tests.network.activations.twins import TWINS
from ttfs_convert.kernels.function_values import evaluate, function, square
from ttfs_convert.kernels.rounding import TIE
from ttfs_convert.kernels.shaped_crossing import BLOCK, course, fire_by_function
from ttfs_convert.network.activations.sigmoid import Sigmoid
from ttfs_convert.network.activations.threshold_shape import Crossing, spike_times

EACH = pytest.mark.parametrize("name", TWINS)
GRIDS = pytest.mark.parametrize("steps, half", ((None, 0.5), (1, 0.0), (50, 0.5), (255, 0.0), (1000, 0.5)))


def computed(compiled, potentials: np.ndarray) -> np.ndarray:
    values = np.concatenate([potentials, np.zeros(-potentials.size % 8)])
    evaluate(compiled.code, compiled.numbers, compiled.pieces, values)
    return compiled.factor * (values[: potentials.size] - compiled.offset)


@pytest.mark.parametrize("name", [name for name, twin in TWINS.items() if twin.activation.compiled is not None])
def test_compiled_values_are_those_of_the_definition(name):
    """Around where a function bends, and as far out as potentials go."""
    twin = TWINS[name]
    near = np.concatenate([np.linspace(twin.low, twin.high, 2001), np.linspace(3 * twin.low, 3 * twin.high, 500)])
    for potentials, share in ((near, 1e-14), (np.sinh(np.linspace(-60, 60, 1000)), 5e-14)):
        expected = twin.activation.value(potentials)
        known = np.isfinite(expected)
        error = np.abs(computed(twin.activation.compiled, potentials) - expected)[known]
        assert known.sum() > 400 and (error <= share * np.maximum(np.abs(expected[known]), 1)).all()


@EACH
def test_infinite_potentials_give_spike_times(name):
    crossing, times = Crossing(TWINS[name].activation, np.zeros(1), np.ones(1)), np.full(3, 7, np.float32)
    crossing.fire(np.array([-np.inf, np.inf, 0], np.float32), None, 0.5, times)
    assert ((times >= 0) & (times <= 1)).all() and times[0] >= times[2] >= times[1]


@GRIDS
@pytest.mark.parametrize("channels", (1, 3, 700))
@pytest.mark.parametrize("compiled", (True, False))
@pytest.mark.parametrize("turned", (True, False))
def test_times_are_those_of_the_definition(steps, half, channels, compiled, turned, monkeypatch):
    """Of channels with ranges of their own, over several blocks; of kinds that no kernel knows as well."""
    if not compiled:
        monkeypatch.setattr(Sigmoid, "compiled", None)
    rng = np.random.default_rng(0)
    lo, hi = np.linspace(0, 0.3, channels), np.linspace(1, 0.6, channels)
    potentials = rng.uniform(-4, 4, (3, 700 // channels, channels)).astype(np.float32)
    dtype = np.float32 if steps is None else np.uint8 if steps < 256 else np.uint16
    times = np.full(potentials.shape, 9, dtype)
    Crossing(Sigmoid(), lo, hi, turned).fire(-potentials if turned else potentials, steps, half, times)
    tau = spike_times(Sigmoid(), lo, hi, potentials)
    if steps is None:
        np.testing.assert_allclose(times, tau, rtol=0, atol=1e-7)
    else:
        np.testing.assert_array_equal(times, np.clip(np.ceil(steps * tau - half - TIE), 0, steps))
    assert potentials.size > BLOCK and np.unique(times).size >= min(steps or 100, 40)


def test_no_bit_depends_on_batch_or_threads():
    of = function(square, first=0.0)
    along = course(of, np.zeros(6), np.linspace(0.5, 1, 6))

    def run(x):
        times = np.empty(x.shape, np.float32)
        fire_by_function(x, of, along, 0, 0.5, times)
        return times

    assert_same_bits(run, np.random.default_rng(0).random((7, 6 * BLOCK), np.float32))
