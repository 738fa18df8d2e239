"""Every activation in a small network, in all engines: on grids step by step, and in continuous time."""

import functools

import numpy as np
import pytest

from tests.network.activations.twins import TWINS
from tests.simulation.agreement import potentials
from tests.simulation.networks import sums
from tests.test_naive_network import Build, conv, dense, ends, sliding
from ttfs_convert.errors import UsageError
from ttfs_convert.measurement.engine_agreement import AT_A_TIE, EngineCheck
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import MaxPool
from ttfs_convert.network.store import load, save
from ttfs_convert.simulation.encoded_inputs import entries_of
from ttfs_convert.simulation.engines import simulate

EACH = pytest.mark.parametrize("name", TWINS)
BOTH = pytest.mark.parametrize("slope", ("gated", "reference"))
GRIDS = ((1, "nearest"), (1, "ceil"), (7, "ceil"), (50, "nearest"), (50, "ceil"), (300, "nearest"))
HALF = {"nearest": 0.5, "ceil": 0.0}
TIE = 1e-4  # in steps
FEW = ("sigmoid", "exponential", "soft shrinkage", "jump", "gelu, falling", "monotone_table", "logarithm")


def shaped(build: Build, name: str, layer: str, lo: np.ndarray, hi: np.ndarray) -> Build:
    """The layer with the activation and its ranges."""
    build.layers[layer] = build.layers[layer].changed(activation=TWINS[name].activation, **ends(lo, hi, build.layers[layer].shape))
    return build


def ranges(name: str, channels: int, alike: bool) -> tuple[np.ndarray, np.ndarray]:
    """Of most values that the function takes, each channel a little narrower; no end beyond its bounds."""
    activation, _, low, high = TWINS[name]
    shares = np.zeros(channels) if alike else np.linspace(0, 0.15, channels)
    lo, hi = (activation.value(low + (high - low) * each) for each in (0.02 + shares, 0.98 - shares))
    hi = np.maximum(hi, lo + 0.05 * np.ptp(activation.value(low + (high - low) * np.array([0.05, 0.95]))))
    bounds = np.asarray(activation.bounds, np.float32)
    return np.clip(lo, *bounds), np.clip(hi, *bounds)


@functools.cache
def case(name: str, slope: str, alike: bool = False) -> tuple[Network, np.ndarray]:
    """A padded convolution under the activation, a clamp and a readout; potentials go a little beyond those of the ranges."""
    rng = np.random.default_rng(7)
    _, _, low, high = TWINS[name]
    step = conv((6, 2), rng.normal(0, 0.45 * (high - low), (3, 2, 4)), pads=1)
    behind = conv((6, 4), rng.normal(0.1, 0.4, (3, 4, 3)), pads=1)
    build = Build((6, 2), slope)
    build.fire("h", (6, 4), {"x": step}, sums((6, 4), (step,)), (low + high) / 2)
    shaped(build, name, "h", *ranges(name, 4, alike))
    build.fire("g", (6, 3), {"h": behind}, sums((6, 3), (behind,)), 0.2)
    return build.watch(), np.clip(rng.uniform(-0.2, 1, (5, 6, 2)), 0, 1).astype(np.float32)


def values_of(network: Network, name: str, x: np.ndarray, recording) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By the definition of the activation, the values that the neurons of h should carry, (n, 6, 4) float64; lo and hi."""
    layer = next(layer for layer in network.layers if layer.name == "h")
    potential = next(potential for each, potential in potentials(network, x, recording) if each.name == "h")
    _, definition, low, high = TWINS[name]
    inside = np.clip(potential, low, high)  # beyond it a definition may have no value; f has one at least as far out
    values = np.array([definition(float(v)) for v in inside.ravel()]).reshape(len(x), *layer.shape)
    lo, hi = layer.lo.astype(np.float64), layer.hi.astype(np.float64)
    return np.clip(values, lo, hi), lo, hi


@EACH
@BOTH
def test_steps_are_those_of_the_definition(name, slope):
    network, x = case(name, slope)
    for steps, rounding in GRIDS:
        grid = network.with_steps(steps, rounding)
        recording = simulate(grid, x)
        values, lo, hi = values_of(grid, name, x, recording)
        due = steps * (hi - values) / (hi - lo) - HALF[rounding] - TIE
        expected = np.clip(np.ceil(due), 0, steps)
        differs = recording.spike_times["h"] != expected
        assert (np.abs(due - np.rint(due))[differs] < 2e-3).all(), (steps, rounding)
        assert differs.mean() < 0.02 and (steps == 1 or np.unique(expected).size > 4)


@EACH
@BOTH
def test_all_engines_agree_on_grids(name, slope):
    network, x = case(name, slope, alike=slope == "reference")
    for steps, rounding in GRIDS if slope == "gated" else GRIDS[2:5]:
        grid = network.with_steps(steps, rounding)
        check = EngineCheck(grid, "clock")
        check.add(simulate(grid, x, "clock"), entries_of(grid, x))
        assert check.farthest <= AT_A_TIE and check.differing <= 0.002 * check.neurons + 1, (steps, rounding)


@EACH
@BOTH
def test_all_engines_agree_in_continuous_time(name, slope):
    for alike in (False, True):
        network, x = case(name, slope, alike)
        ours, theirs = simulate(network, x, "event"), simulate(network, x)
        check = EngineCheck(network, "event")
        check.add(ours, entries_of(network, x))
        assert check.farthest <= AT_A_TIE
        values, lo, hi = values_of(network, name, x, theirs)
        tau = (hi - values) / (hi - lo)
        close = np.abs(theirs.spike_times["h"] - tau) < 2e-5
        assert close.mean() > 0.98 and np.ptp(tau) > 0.5
        if name not in ("jump", "hard shrinkage", "shrinkage"):  # at a jump a rounding decides
            np.testing.assert_allclose(theirs.spike_times["h"], tau, rtol=0, atol=2e-4)


@EACH
def test_a_grid_is_off_by_half_a_step_at_most(name):
    network, x = case(name, "gated")
    for steps in (1, 7, 50, 300):
        for rounding, limits in (("nearest", (-0.5, 0.5)), ("ceil", (0, 1))):
            grid = network.with_steps(steps, rounding)
            recording = simulate(grid, x)
            values, lo, hi = values_of(grid, name, x, recording)
            late = recording.spike_times["h"].astype(np.float64) - steps * (hi - values) / (hi - lo)
            slack = 3e-4 if name not in ("jump", "hard shrinkage", "shrinkage") else np.inf
            assert late.min() >= limits[0] - slack - TIE and late.max() <= limits[1] + slack, (steps, rounding)


@pytest.mark.parametrize("name", FEW)
@BOTH
@pytest.mark.parametrize("engine, steps", (("exact", 50), ("clock", 50), ("exact", None), ("event", None)))
def test_silent_neurons_stand_for_the_lower_end_and_send_nothing(name, slope, engine, steps):
    """All potentials below the range: what reads them gets its bias."""
    network, x = case(name, slope)
    network = network.with_steps(steps)
    layers = [layer.changed(bias=np.full(4, -1e4, np.float32)) if layer.name == "h" else layer for layer in network.layers]
    silent = network.changed(layers=tuple(layers))
    recording = simulate(silent, x, engine)
    assert (recording.spike_times["h"] == (steps or 1)).all() and (recording.activations("h") == 0).all()
    np.testing.assert_allclose(recording.potentials, 0.2, rtol=0, atol=(0.5 / steps if steps else 1e-6) + 1e-6)


@pytest.mark.parametrize("engine, steps", (("exact", 50), ("clock", 50), ("exact", 300), ("clock", 300), ("exact", None), ("event", None)))
@BOTH
def test_a_max_pool_behind_a_sigmoid_passes_the_largest_value_on(slope, engine, steps):
    rng = np.random.default_rng(3)
    step = conv((6, 2), rng.normal(0, 4, (3, 2, 4)), pads=1)
    build = Build((6, 2), slope).fire("h", (6, 4), {"x": step}, sums((6, 4), (step,)), 0.3)
    shaped(build, "sigmoid", "h", np.zeros(4), np.ones(4))
    build.wire(MaxPool, "m", (3, 4), "h", **sliding((6, 4), 4, (2,), strides=2), **ends(0, 1, (3, 4)))
    network = build.watch().with_steps(steps)
    recording = simulate(network, rng.random((5, 6, 2), np.float32), engine)
    inner = recording.activations("h").reshape(5, 3, 2, 4)
    np.testing.assert_array_equal(recording.activations("m"), inner.max(2))
    np.testing.assert_allclose(recording.potentials.reshape(5, 3, 4), inner.max(2), rtol=0, atol=1e-6)
    assert np.ptp(inner) > 0.9


@pytest.mark.parametrize("name", ("sigmoid", "softplus", "gelu, rising"))
@pytest.mark.parametrize("engine, steps", (("clock", 20), ("event", None)))
@BOTH
def test_the_fixed_threshold_is_refused(name, engine, steps, slope):
    """It is 1 at all times, and so has no shape."""
    network, x = case(name, slope)
    with pytest.raises(UsageError, match="gated|shape") as refusal:
        simulate(network.with_steps(steps), x, engine, threshold="fixed")
    assert "threshold fixed" in str(refusal.value) and "h" in str(refusal.value)


@EACH
def test_a_file_holds_the_activation(name, tmp_path):
    network, x = case(name, "gated")
    network = network.with_steps(50)
    before = simulate(network, x)
    save(network, tmp_path / "net.npz")
    again = load(tmp_path / "net.npz")
    assert again.layers[1].activation == network.layers[1].activation == TWINS[name].activation
    save(again, tmp_path / "again.npz")
    assert (tmp_path / "net.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    np.testing.assert_array_equal(simulate(again, x).spike_times["h"], before.spike_times["h"])


@pytest.mark.parametrize("name", ("sigmoid", "softplus", "gelu, falling", "tanh"))
@pytest.mark.parametrize("end, by", (("lo", -0.5), ("hi", 5.0)))
def test_ranges_beyond_the_bounds_of_an_activation_are_refused(name, end, by):
    network, _ = case(name, "gated")
    layer = network.layers[1]
    bound = layer.activation.bounds[end == "hi"]
    if np.isfinite(bound):
        wrong = layer.changed(**{end: np.full(4, bound + by, np.float32)})
        with pytest.raises(ValueError, match="beyond|empty"):
            network.changed(layers=(network.layers[0], wrong, *network.layers[2:]))


def test_an_activation_under_a_threshold_of_the_paper_is_refused():
    network, _ = case("sigmoid", "gated")
    wrong = network.layers[1].changed(slope="fan_in")
    with pytest.raises(ValueError, match="other than a clamp"):
        network.changed(layers=(network.layers[0], wrong, *network.layers[2:]))


def test_two_layers_of_activations_and_grids_of_their_own():
    rng = np.random.default_rng(4)
    first, second = dense(rng.normal(0, 2, (5, 6))), dense(rng.normal(0, 2, (6, 4)))
    build = Build((5,), "gated").fire("h", (6,), {"x": first}, sums((6,), (first,)), 0)
    shaped(build, "tanh", "h", np.full(6, -1), np.ones(6))
    build.fire("g", (4,), {"h": second}, sums((4,), (second,)), 0)
    shaped(build, "sigmoid", "g", np.zeros(4), np.ones(4))
    network = build.watch().with_steps(50).with_layer_steps({"h": 20, "g": 300})
    x = rng.random((20, 5), np.float32)
    check = EngineCheck(network, "clock")
    check.add(simulate(network, x, "clock"), entries_of(network, x))
    assert check.farthest <= AT_A_TIE and check.neurons == 20 * 15
