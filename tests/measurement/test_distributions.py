"""What figures are drawn from, against plain NumPy on small networks."""

import numpy as np
import pytest

from tests.naive_network import connection_weights
from tests.simulation.networks import SLOPES, case
from tests.test_naive_network import Build, dense
from ttfs_convert.measurement.distributions import POTENTIAL_EDGES, Distributions, PreActivations, bins_of
from ttfs_convert.measurement.spike_timing import SpikeTiming
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Spiking
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.simulation.exact_engine import Simulator
from ttfs_convert.simulation.recording import Recording
from ttfs_convert.simulation.threads import numba_threads

FIXED = (("event", None), ("clock", 10))


@pytest.fixture(autouse=True)
def one_thread():
    with numba_threads(1):
        yield


def dyadic() -> tuple[Network, np.ndarray]:
    """x (3) -> h (4) -> g (2) -> potentials, on a grid of 16 steps, and 40 images: every sum is exact in float32."""
    rng = np.random.default_rng(8)
    weights = [rng.integers(-7, 9, shape).astype(np.float32) / 4 for shape in ((3, 4), (4, 2))]
    net = Build((3,), "gated").fire("h", (4,), {"x": dense(weights[0])}, weights[0].sum(0), bias=[0, 0.25, -0.5, 3])
    net = net.fire("g", (2,), {"h": dense(weights[1])}, weights[1].sum(0), bias=[0.5, 1.5]).watch().with_steps(16)
    net = net.model_copy(update={"layers": tuple(layer.model_copy(update={"tensor": layer.name}) for layer in net.layers)})
    return net, rng.integers(0, 17, (40, 3)).astype(np.float32) / 16


def expected_potentials(net, recording, name):
    """sum_j w_ij max(0, 1 - tau_j) + b_i, a matrix product per source, float64."""
    layer = next(layer for layer in net.layers if layer.name == name)
    total = np.zeros((len(recording.potentials), int(np.prod(layer.shape))))
    for connection in layer.connections:
        tau = np.nan_to_num(recording.tau(connection.source).reshape(len(total), -1).astype(np.float64), nan=1)
        total += np.maximum(0, 1 - tau) @ connection_weights(connection, layer)[0].T
    return total + (0 if layer.bias is None else np.broadcast_to(layer.bias, layer.shape).reshape(-1))


def collected(net, x, recording, parts=(slice(None),)):
    found = Distributions(net)
    for rows in parts:
        piece = Recording(
            {name: times[rows] for name, times in recording.spike_times.items()},
            {name: values[rows] for name, values in recording.readouts.items()},
            recording.steps,
        )
        reference = {name: 0.9 * piece.activations(name) + np.float32(0.031) for name in recording.spike_times}
        found.add(piece, {"x": x[rows]}, reference)
    return found


@pytest.mark.parametrize("parts", ([slice(None)], [slice(0, 7), slice(7, 8), slice(8, 40)]))
def test_pre_activations_are_counted_exactly(parts):
    net, x = dyadic()
    recording = simulate(net, x)
    found = collected(net, x, recording, parts)
    assert set(found.potentials) == {"h", "g"}
    for name, each in found.potentials.items():
        values = expected_potentials(net, recording, name).reshape(-1)
        outside = (values < -3) | (values > 3)
        places = np.searchsorted(POTENTIAL_EDGES, values[~outside], side="right") - 1
        counts = np.bincount(places.clip(max=119), minlength=120)
        assert np.array_equal(each.histogram, counts) and each.count == values.size
        assert (each.below, each.above) == ((values < -3).sum(), (values > 3).sum())
        assert each.mean == pytest.approx(values.mean(), abs=1e-12) and each.deviation == pytest.approx(values.std(), abs=1e-12)
    assert found.potentials["h"].above > 0 and np.count_nonzero(found.potentials["h"].histogram) > 10


def test_both_ends_of_the_axis_are_on_it():
    found = PreActivations()
    found.add(np.array([[-3, 3], [-3.01, 3.01], [0, 7]], np.float32))
    assert (found.histogram[0], found.histogram[60], found.histogram[-1], found.histogram.sum()) == (1, 1, 1, 3)
    assert (found.below, found.above, found.count) == (1, 2, 6)


def test_a_constant_has_no_deviation():
    found = PreActivations()
    found.add(np.full(1000, 0.1, np.float32))
    assert found.mean == pytest.approx(0.1) and 0 <= found.deviation < 1e-6


@pytest.mark.parametrize("family", ("wires", "residuals"))
@pytest.mark.parametrize(
    "engine, steps, slope",
    (
        *(("exact", 20, slope) for slope in SLOPES),
        ("exact", None, "fan_in"),
        ("exact", 300, "gated"),
        ("event", None, "fan_in"),
        ("clock", 20, "gated"),
    ),
)
def test_potentials_are_the_sums_of_what_the_sources_sent(family, engine, steps, slope):
    net, x = case(family, slope)
    net = net.with_steps(steps)
    check_potentials(net, x, simulate(net, x, engine))


@pytest.mark.parametrize("engine, steps", FIXED)
def test_with_a_fixed_threshold_late_spikes_have_not_arrived(engine, steps):
    net, x = case("residuals", "fan_in")
    net = net.with_steps(steps)
    recording = simulate(net, x, engine, "fixed")
    assert any((times > 1.01).any() for times in recording.spike_times.values())
    assert any((times < -0.01).any() for times in recording.spike_times.values())
    check_potentials(net, x, recording)


def check_potentials(net, x, recording):
    entries = x if isinstance(x, dict) else {net.inputs[0].onnx_name: x}
    found = {layer.name: values for layer, values in Simulator(net).potentials(recording, entries)}
    assert set(found) == {layer.name for layer in net.layers if isinstance(layer, Spiking)}
    for name, values in found.items():
        expected = expected_potentials(net, recording, name)
        assert values.dtype == np.float32 and expected.std() > 0.01
        np.testing.assert_allclose(values.reshape(expected.shape), expected, rtol=0, atol=2e-5)


def test_analog_input_is_part_of_the_potential():
    net = Build((2,), coding="direct").fire("h", (2,), {"x": dense([[2, 0], [0, -1]])}, [2, -1], bias=[0, 0.5], slope="gated").watch()
    x = np.array([[0.25, 3], [-1, -0.5]], np.float32)
    ((layer, values),) = Simulator(net).potentials(simulate(net, x), {"x": x})
    assert layer.name == "h" and values.tolist() == [[0.5, -2.5], [-2, 1]]


@pytest.mark.parametrize("parts", ([slice(None)], [slice(0, 1), slice(1, 40)]))
def test_pairs_of_activations_are_counted_exactly(parts):
    net, x = dyadic()
    recording = simulate(net, x)
    found = collected(net, x, recording, parts)
    assert set(found.pairs) == {"x", "h", "g"}
    for name, each in found.pairs.items():
        counts = np.zeros((101, 17), np.int64)
        for decoded in recording.activations(name).reshape(-1).tolist():
            original = np.float32(0.9) * np.float32(decoded) + np.float32(0.031)
            counts[round(float(original) * 100), round(decoded * 16)] += 1
        assert np.array_equal(each.histogram, counts) and np.count_nonzero(counts) > 4


def test_original_activations_are_shares_of_the_range_and_cut_at_its_ends():
    net = Build((3,), lo=-1, hi=3).watch()
    net = net.model_copy(update={"layers": (net.layers[0].model_copy(update={"tensor": "t"}), *net.layers[1:])})
    recording = Recording({"x": np.array([[0.5, 0, 1]], np.float32)}, {"y": np.zeros((1, 3), np.float32)}, {"x": None})
    found = Distributions(net)
    found.add(recording, {"x": np.zeros((1, 3), np.float32)}, {"t": np.array([[1, 9, -2]], np.float32)})
    assert set(zip(*(places.tolist() for places in np.nonzero(found.pairs["x"].histogram)))) == {(50, 25), (100, 50), (0, 0)}


def test_layers_without_a_tensor_of_the_original_have_no_pairs():
    net, x = dyadic()
    found = Distributions(net)
    found.add(simulate(net, x), {"x": x}, {"g": np.zeros((40, 2), np.float32)})
    assert set(found.pairs) == {"g"} and set(found.timing.layers) == {"x", "h", "g"}


@pytest.mark.parametrize("steps, bins", ((None, 50), (1, 1), (50, 50), (128, 128), (129, 43), (255, 85), (256, 128), (1000, 125), (257, 50)))
def test_every_bin_holds_as_many_steps(steps, bins):
    assert bins_of(steps) == bins


@pytest.mark.parametrize("engine, steps", (("exact", 20), *FIXED))
def test_finer_histograms_of_spike_times_add_up_to_the_report_s(engine, steps):
    net, x = case("residuals", "fan_in")
    net = net.with_steps(steps)
    recording = simulate(net, x, engine, "dynamic" if engine == "exact" else "fixed")
    coarse, fine = SpikeTiming(net), SpikeTiming(net, dict.fromkeys(recording.spike_times, 50))
    for timing in (coarse, fine):
        timing.add(recording)
    assert set(fine.layers) == set(recording.spike_times) != set()
    for name, each in fine.layers.items():
        assert each.histogram.size == 50 * net.windows and each.histogram.sum() > 0
        assert np.array_equal(each.histogram.reshape(-1, 5).sum(1), coarse.layers[name].histogram)
