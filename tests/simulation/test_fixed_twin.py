"""The fixed threshold on random networks, against twins that follow every neuron event by event, or step by step."""

import numpy as np
import pytest

from tests import naive_fixed
from tests.simulation.networks import HAND_BUILT, SPIKES_ONLY, Entries, case, leave_out_padding
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Layer
from ttfs_convert.network.synapses.average_pool import AveragePool
from ttfs_convert.simulation.engines import simulate

CASES = [(family, slope) for family in SPIKES_ONLY for slope in ("fan_in", "reference") if slope == "fan_in" or family in HAND_BUILT]
GRIDS = ((3, "nearest"), (10, "ceil"), (25, "nearest"))


def two(x: Entries) -> Entries:
    return {name: values[:2] for name, values in x.items()} if isinstance(x, dict) else x[:2]


def before_the_end(network: Network, layer: Layer, tau: np.ndarray) -> np.ndarray:
    """`tau`, NaN for spikes as the run ends, which reach nobody and which rounding alone decides."""
    return np.where(tau > network.windows - layer.window - 1e-5, np.nan, tau)


def assert_equals_the_twin(network: Network, x: Entries, engine: str, steps: int | None = None) -> None:
    recording = simulate(network, x, engine, "fixed")
    times, potentials = naive_fixed.simulate(network, x, steps)
    assert recording.spike_times.keys() == times.keys()
    for layer in network.layers:
        if layer.name in times:
            found, expected = (before_the_end(network, layer, each[layer.name]) for each in (recording.spike_times, times))
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5, err_msg=layer.name)
    for layer, potential in zip(network.readouts, potentials):
        found = recording.readouts[layer.tensor].reshape(len(potential), -1)
        np.testing.assert_allclose(found, potential[:, layer.index], rtol=0, atol=1e-5)


@pytest.mark.parametrize("family, slope", CASES)
def test_event_by_event(family, slope):
    network, x = case(family, slope)
    assert_equals_the_twin(network, two(x), "event")


@pytest.mark.parametrize("number, family, slope", [(number, *each) for number, each in enumerate(CASES)])
def test_step_by_step(number, family, slope):
    network, x = case(family, slope)
    steps, rounding = GRIDS[number % len(GRIDS)]
    assert_equals_the_twin(network.with_steps(steps, rounding), two(x), "clock", steps)


def test_the_networks_put_the_engines_to_the_test():
    taus = [times for family, slope in CASES for times in simulate(*case(family, slope), "event", "fixed").spike_times.values()]
    joined = np.concatenate([tau.ravel() for tau in taus])
    for share in ((joined < 0).mean(), (joined > 1).mean(), np.isnan(joined).mean()):
        assert 0.05 < share < 0.5


@pytest.mark.parametrize("family", ("ranges", "residuals", "lines", "wires"))
def test_shorter_steps_approach_continuous_time(family):
    """First layers, whose inputs differ by their rounding only; neurons that graze the threshold may fire for one engine alone."""
    network, x = case(family, "fan_in")
    expected = simulate(network, x, "event", "fixed").spike_times["h"]
    distances = []
    for steps in (16, 64, 256, 1024):
        found = simulate(network.with_steps(steps), x, "clock", "fixed").spike_times["h"]
        both = ~np.isnan(found) & ~np.isnan(expected)
        assert (np.isnan(found) != np.isnan(expected)).mean() <= 0.5 / steps**0.5
        distances.append(np.abs(found - expected)[both].mean())
    assert distances[0] > 2 * distances[1] > 4 * distances[2] > 8 * distances[3] and distances[-1] < 2 / 1024


# What would be noticed


def test_padded_taps_that_do_not_spike_would_be_noticed(monkeypatch):
    leave_out_padding(monkeypatch)
    network, x = case("residuals", "fan_in")
    with pytest.raises(AssertionError):
        assert_equals_the_twin(network.with_steps(10), two(x), "clock", 10)


def test_an_average_whose_padding_counts_twice_would_be_noticed(monkeypatch):
    whole = AveragePool.synapses

    def doubled(step, virtual):
        target, source, weight = whole(step, virtual)
        return target, source, np.where(source < 0, 2 * weight, weight)

    monkeypatch.setattr(AveragePool, "synapses", doubled)
    network, x = case("pools", "fan_in")
    with pytest.raises(AssertionError):
        assert_equals_the_twin(network, two(x), "event")
