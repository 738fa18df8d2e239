"""Engine `clock`, step by step, against the closed form of `exact`: every layer kind, slope, rounding and many numbers of steps."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.kernels.cases import geometries
from tests.simulation.agreement import SHARE, differing_steps
from tests.simulation.networks import FAMILIES, SLOPES, case, sums, with_weight_sums
from tests.test_naive_network import Build, dense, weights
from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.data import Dataset
from ttfs_convert.errors import UsageError
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Readout, Spiking
from ttfs_convert.network.synapses.average_pool import AveragePool
from ttfs_convert.network.synapses.convolution import Conv
from ttfs_convert.simulation import clock_engine as clock
from ttfs_convert.simulation import layerwise
from ttfs_convert.simulation.engines import simulate

SEEDS = st.integers(0, 2**32 - 1)
QUICK = settings(derandomize=True, deadline=None, max_examples=40)
EXAMPLE = Path(__file__).parents[2] / "examples/fashion_mnist"
GRIDS = {
    "fan_in": ((1, "nearest"), (4, "ceil"), (16, "nearest"), (50, "nearest"), (50, "ceil"), (300, "nearest")),
    "reference": ((1, "ceil"), (4, "nearest"), (16, "ceil"), (50, "nearest"), (255, "ceil")),
    "gated": ((1, "nearest"), (4, "nearest"), (16, "ceil"), (50, "nearest"), (50, "ceil"), (300, "ceil")),
}


def compare(network: Network, x) -> tuple[int, int]:
    return differing_steps(network, x, simulate(network, x, "clock"))


def example_images(count: int) -> np.ndarray:
    with np.load(EXAMPLE / "images.npz") as archive:
        return archive["x"][:count, None].astype(np.float32) / 255


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_steps_are_those_of_the_closed_form(family, slope):
    network, x = case(family, slope)
    different, total = np.sum([compare(network.with_steps(*grid), x) for grid in GRIDS[slope]], axis=0)
    assert different <= SHARE * total


def test_the_slopes_are_the_ones_asked_for():
    for slope in SLOPES:
        found = [layer.slope for family in FAMILIES for layer in case(family, slope)[0].layers if isinstance(layer, Spiking)]
        assert found.count(slope) > 0.9 * len(found)


@QUICK
@given(geometries(), st.sampled_from((1, 2, 3)), st.sampled_from(SLOPES), st.sampled_from((3, 10, 50)), st.booleans(), SEEDS)
def test_any_convolution(geometry, groups, slope, steps, line, seed):
    rng = np.random.default_rng(seed)
    sliding = {
        "kernel": geometry.kernel,
        "strides": geometry.strides,
        "dilations": geometry.dilations,
        "pads": geometry.pads,
        "pads_end": geometry.pads_end,
    }
    keep = 1 if line else 2
    sliding = {name: axes[:keep] for name, axes in sliding.items()}
    in_shape, out_shape = (*geometry.size[:keep], 2 * groups), (*geometry.out[:keep], 3 * groups)
    kernel = weights(rng, *sliding["kernel"], 2, 3 * groups)
    step = Conv(in_shape=in_shape, out_shape=out_shape, groups=groups, weights=kernel, **sliding)
    network = Build(in_shape, slope).fire("h", out_shape, {"x": step}, sums(out_shape, (step,)), rng.normal(0, 0.3, out_shape)).watch()
    different, _ = compare(network.with_steps(steps), np.clip(rng.uniform(-0.3, 1.1, (2, *in_shape)), 0, 1).astype(np.float32))
    assert not different


@QUICK
@given(geometries(pool=True), st.booleans(), st.sampled_from(SLOPES), st.sampled_from((3, 16, 255)), st.booleans(), SEEDS)
def test_any_average(geometry, include_pad, slope, steps, spiking, seed):
    """In the synapses, or with neurons of its own, whose averages of steps fall on ties."""
    rng = np.random.default_rng(seed)
    shape = (*geometry.out, 2)
    pool = AveragePool(
        include_pad=include_pad,
        in_shape=(*geometry.size, 2),
        out_shape=shape,
        kernel=geometry.kernel,
        strides=geometry.strides,
        dilations=geometry.dilations,
        pads=geometry.pads,
        pads_end=geometry.pads_end,
    )
    assume(pool.divisor.all())  # a window of nothing but padding that does not count has no average
    build = Build((*geometry.size, 2), slope)
    if spiking:
        build.fire("p", shape, {"x": pool}, sums(shape, (pool,)))
    last = dense(weights(rng, int(np.prod(shape)), 3))
    path = (last,) if spiking else (pool, last)
    network = build.fire("h", (3,), {"p" if spiking else "x": path}, sums((3,), path), [0.5, 0, 0.2]).watch()
    x = np.clip(rng.uniform(-0.3, 1.1, (2, *geometry.size, 2)), 0, 1).astype(np.float32)
    different, _ = compare(network.with_steps(steps, str(rng.choice(["nearest", "ceil"]))), np.round(x * steps) / np.float32(steps))
    assert not different


def test_the_trained_example():
    network, x = convert(EXAMPLE / "model.onnx"), example_images(24)
    different, total = compare(network.with_steps(8), x)
    assert total > 1_000_000 and different <= SHARE * total
    different, total = compare(network, x[:3])
    assert total > 100_000 and different <= SHARE * total


def test_the_trained_residual_network():
    x = example_images(4)
    data = Dataset("images", x, y=None, sha256="", total=len(x), notes=(), image=False)
    for slope in ("reference", "gated"):
        network = convert(EXAMPLE / "resnet.onnx", mode="exact", slope=slope, calibrate=data, steps=6)
        different, total = compare(network, x[:2])
        assert total > 10_000 and different <= SHARE * total


@pytest.mark.parametrize("steps, half_fires_at", ((4, {"nearest": 1, "ceil": 2}), (50, {"nearest": 1, "ceil": 2})))
@pytest.mark.parametrize("rounding", ("nearest", "ceil"))
def test_ties_fire_earlier(steps, half_fires_at, rounding):
    """A neuron due halfway between steps 1 and 2, and one due at step 2 itself."""
    network = Build((2,), "gated").fire("h", (2,), {"x": ()}, 1).watch().with_steps(steps, rounding)
    recording = simulate(network, np.array([[1 - 1.5 / steps, 1 - 2 / steps]], np.float32), "clock")
    assert recording.spike_times["x"].tolist() == recording.spike_times["h"].tolist() == [[half_fires_at[rounding], 2]]


def test_a_number_of_steps_is_needed():
    with pytest.raises(UsageError, match="continuous time; expected a number of steps"):
        simulate(*case("lines", "gated"), "clock")


# What would be noticed


def broken(family: str, slope: str, steps: int = 16, rounding: str = "nearest") -> bool:
    network, x = case(family, slope)
    try:
        different, total = compare(network.with_steps(steps, rounding), x)
    except AssertionError:
        return True
    return different > SHARE * total


def test_wrong_weight_sums_would_be_noticed():
    """`clock` never reads them with slope fan_in: the slope comes from the spikes themselves."""
    network, x = case("separable", "fan_in")
    with pytest.raises(AssertionError, match="neurons, by"):
        compare(with_weight_sums(network, 1.01).with_steps(50), x)


def test_padded_taps_that_do_not_spike_would_be_noticed(monkeypatch):
    for kind in (Conv, AveragePool):
        monkeypatch.setattr(kind, "has_virtual_neurons", lambda self, before: False)
    assert broken("constrained", "fan_in") and broken("chained", "reference") and not broken("constrained", "gated")


def test_a_spike_that_arrives_one_step_late_would_be_noticed(monkeypatch):
    monkeypatch.setattr(clock.ClockSimulator, "_lead", property(lambda self: self.network.half - 0.02))
    assert broken("lines", "gated") and broken("averages", "fan_in")


def test_ties_that_fire_later_would_be_noticed(monkeypatch):
    monkeypatch.setattr(clock, "TIE", -1e-4)
    network = Build((4,), "gated").fire("p", (1,), {"x": dense(np.full((4, 1), 0.25))}, 1).watch().with_steps(4)
    x = np.array([[0.75, 0.75, 0.5, 0.5]], np.float32)
    assert simulate(network, x, "clock").spike_times["p"] != simulate(network, x).spike_times["p"]


def test_large_layers_are_made_ready_again_once_and_then_kept(monkeypatch):
    network, x = convert(EXAMPLE / "model.onnx"), example_images(2)
    monkeypatch.setattr(layerwise, "SMALL", 0)
    made, simulator = [], clock.ClockSimulator(network)
    make = simulator._made_ready
    monkeypatch.setattr(simulator, "_made_ready", lambda layer: made.append(layer.name) or make(layer))
    entries = {network.inputs[0].onnx_name: x}
    first, second, third = (simulator(entries).potentials for _ in range(3))
    assert np.array_equal(first, second) and np.array_equal(first, third)
    layers = [layer.name for layer in network.layers if isinstance(layer, (Spiking, Readout))]
    assert made == 2 * layers
