"""When spikes happen: recordings made by hand, and what every engine records with either threshold."""

import numpy as np
import pytest

from tests.simulation.networks import case
from tests.test_naive_network import Build, dense
from ttfs_convert.measurement.spike_timing import BINS, SpikeTiming
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.simulation.recording import Recording
from ttfs_convert.simulation.threads import numba_threads


@pytest.fixture(autouse=True)
def one_thread():
    with numba_threads(1):
        yield


def network(coding="spikes"):
    """x (4) -> h (4) -> potentials: windows 0 and 1, and the readout's end 2."""
    return Build((4,), "gated", coding=coding).fire("h", (4,), {"x": dense(np.eye(4))}, 1).watch()


def timed(times, steps=None, window_of="h", coding="spikes"):
    """What one layer's spike times (images, 4) count as."""
    dtype = np.float32 if steps is None else np.uint8 if steps < 256 else np.uint16
    timing = SpikeTiming(network(coding))
    timing.add(Recording({window_of: np.array(times, dtype)}, {"y": np.zeros((len(times), 4), np.float32)}, {window_of: steps}))
    return timing.layers[window_of]


def bins(found):
    return {int(index): int(found.histogram[index]) for index in np.flatnonzero(found.histogram)}


def test_steps_are_counted_in_their_bin():
    found = timed([[0, 1, 2, 19], [19, 18, 20, 20]], 20)
    assert (found.neurons, found.premature, found.late, found.missing, found.at_end) == (8, 0, 0, 0, 2)
    assert found.histogram.size == 2 * BINS and bins(found) == {10: 2, 11: 1, 19: 3}


@pytest.mark.parametrize("steps", (10, 30, 50, 300, 1000))
def test_every_bin_of_a_window_holds_its_share_of_the_steps(steps):
    """A step on a bin's edge belongs to the bin that starts there, whatever float32 makes of it."""
    found = timed(np.arange(steps).reshape(-1, 2).repeat(2, 1), steps, "x")
    assert found.at_end == 0 and (found.histogram == [2 * steps // 10] * 10 + [0] * 10).all()


def test_taus_are_counted_in_their_bin_or_outside_the_window():
    nan = np.nan
    found = timed([[0.0, 0.05, 0.1, 0.95], [-0.3, -0.001, 1.0, 1.2], [nan, nan, 1.0, 0.999]])
    assert (found.neurons, found.premature, found.late, found.missing, found.at_end) == (12, 2, 1, 2, 2)
    assert bins(found) == {7: 1, 9: 1, 10: 2, 11: 1, 19: 3}  # the late one comes after the last window: in its last bin


def test_spikes_beyond_either_end_of_the_run_are_in_the_outermost_bins():
    assert bins(timed([[-1.7, -0.9, 5.0, 1.05]])) == {0: 1, 1: 1, 19: 2}


def test_rounding_errors_are_no_premature_and_no_late_spikes():
    found = timed([[-1e-7, 1 + 1e-6, 1 - 1e-6, 0]])
    assert (found.premature, found.late, found.at_end) == (0, 0, 2) and bins(found) == {10: 2}


def test_windows_count_from_the_first_one_that_carries_spikes():
    assert bins(timed([[0.0, 0.5, 0.0, 0.5]], window_of="x")) == {0: 2, 5: 2}
    direct = timed([[0.0, 0.5, 0.0, 0.5]], coding="direct")
    assert direct.histogram.size == BINS and bins(direct) == {0: 2, 5: 2}


def sums(timing):
    return {name: (each.histogram.sum() + each.missing + each.at_end, each.neurons) for name, each in timing.layers.items()}


@pytest.mark.parametrize("slope", ("fan_in", "gated"))
@pytest.mark.parametrize("engine, steps", (("exact", None), ("exact", 20), ("event", None), ("clock", 20)))
@pytest.mark.parametrize("family", ("wires", "residuals"))
def test_with_the_dynamic_threshold_every_spike_is_in_its_window(family, engine, steps, slope):
    net, x = case(family, slope)
    net = net.with_steps(steps)
    whole, parts = SpikeTiming(net), SpikeTiming(net)
    recording = simulate(net, x, engine)
    whole.add(recording)
    for rows in (slice(0, 1), slice(1, 4)):
        parts.add(simulate(net, x[rows], engine))
    assert set(whole.layers) == set(recording.spike_times)
    for name, found in whole.layers.items():
        window = next(layer.window for layer in net.layers if layer.name == name)
        assert (found.premature, found.late, found.missing) == (0, 0, 0)
        assert found.histogram.sum() == found.histogram[BINS * window : BINS * (window + 1)].sum() > 0
        silent = recording.silent(name)
        assert found.at_end == silent.sum() and found.at_end + found.histogram.sum() == found.neurons == silent.size
        assert np.array_equal(parts.layers[name].histogram, found.histogram) and parts.layers[name].at_end == found.at_end


@pytest.mark.parametrize("engine, steps", (("event", None), ("clock", 20)))
def test_with_a_fixed_threshold_they_are_premature_late_and_missing(engine, steps):
    net, x = case("residuals", "fan_in")
    net = net.with_steps(steps)
    recording, timing = simulate(net, x, engine, "fixed"), SpikeTiming(net)
    timing.add(recording)
    for name, (counted, neurons) in sums(timing).items():
        tau, found = recording.spike_times[name], timing.layers[name]
        assert counted == neurons == tau.size
        assert found.missing == np.isnan(tau).sum()
        assert found.premature == (tau < -1e-5).sum() and found.late == (tau > 1 + 1e-5).sum()
    assert timing.layers["x"].premature == timing.layers["x"].missing == 0
    for trouble in ("premature", "late", "missing"):
        assert sum(getattr(found, trouble) for found in timing.layers.values()) > 0
