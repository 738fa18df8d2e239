"""Noise on networks whose thresholds have the shape of a function: what it does, and what it refuses."""

import numpy as np
import pytest

from tests.simulation.test_falling_thresholds import case
from ttfs_convert.errors import UsageError
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.simulation.exact_engine import Simulator
from ttfs_convert.studies.noise import SpikeNoise, with_threshold_mismatch, with_weight_bits, with_weight_noise

NAMES = pytest.mark.parametrize("name", ("sigmoid", "softplus", "soft shrinkage", "jump", "gelu, falling", "logarithm", "monotone_table"))
BOTH = pytest.mark.parametrize("slope", ("gated", "reference"))
STEPS = 50


def moved(network, x, noisy):
    """Largest and mean change of a decoded activation of h, in shares of its range."""
    before, after = (simulate(each, x).activations("h") for each in (network, noisy))
    return np.abs(before - after).max(), np.abs(before - after).mean()


@NAMES
@BOTH
def test_spikes_that_jitter_move_by_so_many_steps(name, slope):
    network, x = case(name, slope)
    network = network.with_steps(STEPS)
    noise = SpikeNoise(network, 1.0, 0, (0,))
    noise.start(0)
    recording, clean = Simulator(network, noise)(x), Simulator(network)(x)
    for layer in ("x", "h"):
        difference = np.abs(recording.spike_times[layer].astype(int) - clean.spike_times[layer])
        assert (difference > 0).any()
    assert np.isfinite(recording.potentials).all() and (recording.potentials != clean.potentials).any()
    assert np.abs(recording.spike_times["x"].astype(int) - clean.spike_times["x"]).max() <= 6


@NAMES
def test_spikes_that_are_lost_leave_a_gated_layer_its_potential(name):
    network, x = case(name, "gated")
    network = network.with_steps(STEPS)
    noise = SpikeNoise(network, 0, 1.0, (0,))
    noise.start(0)
    recording = Simulator(network, noise)(x)
    assert all((recording.spike_times[layer] == STEPS).all() for layer in ("x", "h", "g")) and (recording.potentials == 0).all()


@NAMES
def test_lost_spikes_and_weights_that_are_off_are_refused_with_reference_neurons(name):
    network, _ = case(name, "reference")
    for noise, make in (
        ("lost spikes", lambda: SpikeNoise(network.with_steps(STEPS), 0, 0.1, (0,))),
        ("weight noise", lambda: with_weight_noise(network, 0.1, (0,))),
    ):
        with pytest.raises(UsageError, match="whose thresholds have a shape") as refusal:
            make()
        assert noise in str(refusal.value) and "--slope gated" in str(refusal.value) and "h" in str(refusal.value)


@NAMES
def test_weights_that_are_off_move_values_by_how_much_they_are(name):
    network, x = case(name, "gated")
    little, much = (moved(network, x, with_weight_noise(network, deviation, (0,))) for deviation in (1e-3, 0.1))
    assert 0 < little[1] < 0.02 and much[1] > 5 * little[1]


@NAMES
@BOTH
def test_weights_of_few_bits_run_in_all_engines(name, slope):
    network, x = case(name, slope)
    rounded = with_weight_bits(network, 4)
    assert moved(network, x, rounded)[1] > 0
    grid = rounded.with_steps(STEPS)
    ours, theirs = simulate(grid, x, "clock"), simulate(grid, x)
    assert (ours.spike_times["h"] != theirs.spike_times["h"]).mean() < 0.01


@NAMES
@BOTH
def test_thresholds_that_are_off_move_values_by_about_their_share(name, slope):
    """Of the potentials of the layer's range, so that one deviation means the same in every layer."""
    network, x = case(name, slope)
    little, much = (moved(network, x, with_threshold_mismatch(network, deviation, (0,))) for deviation in (1e-3, 0.05))
    assert 0 < little[1] < 0.01 and 5 * little[1] < much[1] < 0.3
    assert simulate(with_threshold_mismatch(network, 0, (0,)), x).potentials.tolist() == simulate(network, x).potentials.tolist()
