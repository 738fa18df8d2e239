"""Noise on spikes, weights and thresholds: its size, and what it does to a network, against plain NumPy and the other engines."""

import numpy as np
import pytest

from tests.naive_network import SPIKE_TIMES, channels_last, check_weight_sums, connection_weights
from tests.simulation.networks import case
from tests.test_naive_network import NETWORKS, SLOPES, Build, average, conv, dense, ends, images, scale, sliding, total, weights
from ttfs_convert.kernels.rounding import TIE
from ttfs_convert.network.populations import Input, MaxPool, Readout, Spiking
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.simulation.exact_engine import Simulator
from ttfs_convert.simulation.threads import numba_threads
from ttfs_convert.studies.noise import SpikeNoise, with_threshold_mismatch, with_weight_bits, with_weight_noise

STEPS = 20
FAMILIES = pytest.mark.parametrize("family", NETWORKS)
BY_SLOPE = pytest.mark.parametrize("slope", SLOPES)


@pytest.fixture(autouse=True)
def one_thread():
    with numba_threads(1):
        yield


def line(size=4000, slope="fan_in", steps=200):
    """A network of `size` encoders that are read out, and its input population."""
    network = Build((size,), slope).watch().with_steps(steps)
    return network, network.layers[0]


# Noise on spikes: its size


@pytest.mark.parametrize("jitter", (0.5, 1, 4))
@pytest.mark.parametrize("steps", (200, 1000))
def test_jitter_has_the_asked_deviation_in_whole_steps(jitter, steps):
    network, layer = line(steps=steps)
    times = np.full((10, 4000), steps // 2, np.uint8 if steps < 256 else np.uint16)
    noisy, lost = SpikeNoise(network, jitter, 0, (0,))(layer, times, steps)
    moved = noisy.astype(int) - times
    assert noisy.dtype == times.dtype and lost is None
    assert moved.std() == pytest.approx(np.sqrt(jitter**2 + 1 / 12), rel=0.02) and abs(moved.mean()) < 0.03 * jitter
    assert (times == steps // 2).all(), "the times given are not to be changed"


@pytest.mark.parametrize("steps, dtype", ((20, np.uint8), (255, np.uint8), (65535, np.uint16)))
def test_jitter_is_clipped_to_the_window(steps, dtype):
    """Times at either end, moved by twice the window: half of them stay at their end and a good many reach the other."""
    network, layer = line(steps=steps)
    times = np.repeat(np.array([[0], [steps]], dtype), 4000, axis=1)
    noisy, _ = SpikeNoise(network, 2.0 * steps, 0, (0,))(layer, times, steps)
    assert noisy.max() == steps and noisy.min() == 0
    assert (noisy == times).mean() == pytest.approx(0.5, abs=0.03)
    assert (noisy.astype(int) == steps - times.astype(int)).mean() == pytest.approx(0.309, abs=0.03)  # beyond half a deviation


@pytest.mark.parametrize("slope, jitters", (("gated", False), ("fan_in", True), ("reference", True)))
def test_silent_neurons_jitter_only_if_they_spike(slope, jitters):
    network, layer = line(slope=slope, steps=20)
    times = np.repeat(np.array([[20, 10]], np.uint8), 2000, axis=0).reshape(1, 4000)
    noisy, _ = SpikeNoise(network, 2.0, 0, (0,))(layer, times, 20)
    silent = times == 20
    assert (noisy[silent] < 20).any() == jitters and (noisy[~silent] != 10).mean() > 0.7
    if jitters:
        assert (noisy[silent] < 20).mean() == pytest.approx(0.401, abs=0.04)  # beyond half a step


@BY_SLOPE
@pytest.mark.parametrize("drop", (0.01, 0.3, 1.0))
def test_drop_loses_the_asked_share_of_the_spikes(slope, drop):
    network, layer = line(slope=slope, steps=20)
    times = np.repeat(np.arange(21, dtype=np.uint8), 2000).reshape(10, -1)
    noisy, lost = SpikeNoise(network, 0, drop, (0,))(layer, times, 20)
    gone = noisy != times
    sent = times < 20
    assert gone[sent].mean() == pytest.approx(drop, abs=3 * np.sqrt(drop * (1 - drop) / sent.sum())) and (noisy[gone] == 20).all()
    if slope == "gated":
        assert lost is None
    else:
        assert np.array_equal(lost[sent], gone[sent]) and lost[~sent].mean() == pytest.approx(drop, abs=0.04)


def test_noise_is_seeded_and_differs_between_images_and_layers():
    network, _ = case("residuals", "fan_in")
    network = network.with_steps(50)
    times = np.full((2, 4, 4, 2), 25, np.uint8)
    layers = [layer for layer in network.layers if layer.shape == (4, 4, 2) and isinstance(layer, (Input, Spiking))]
    drawn = [SpikeNoise(network, 3.0, 0.2, (seed, 1))(layer, times, 50)[0] for seed in (7, 8) for layer in layers]
    again = SpikeNoise(network, 3.0, 0.2, (7, 1))(layers[0], times, 50)[0]
    assert np.array_equal(drawn[0], again) and len({each.tobytes() for each in drawn}) == len(drawn) > 4
    assert not np.array_equal(drawn[0][0], drawn[0][1])


@pytest.mark.parametrize("slope", ("fan_in", "gated"))
def test_batches_and_threads_change_no_spike(slope):
    network, x = case("wires", slope)
    network = network.with_steps(STEPS)
    noise = SpikeNoise(network, 1.5, 0.1, (3,))
    with numba_threads(None):
        whole = Simulator(network, noise)({"x": x})
    parts = []
    for first, last in ((0, 1), (1, 4)):
        noise.start(first)
        parts.append(Simulator(network, noise)({"x": x[first:last]}))
    for name, times in whole.spike_times.items():
        assert np.array_equal(times, np.concatenate([part.spike_times[name] for part in parts]))
    assert np.array_equal(whole.potentials, np.concatenate([part.potentials for part in parts]))


# Noise on spikes: what it does


class Spy:
    """Noise that also keeps what every population sent before it, and which spikes it lost."""

    def __init__(self, noise):
        self.noise, self.sent, self.lost = noise, {}, {}

    def __call__(self, layer, times, steps):
        self.sent[layer.name] = times.copy()
        noisy, lost = self.noise(layer, times, steps)
        self.lost[layer.name] = np.zeros(times.shape, bool) if lost is None else lost
        return noisy, lost


def ramps(network, x, recording, lost):
    """(layer, V0, S) of every encoder and layer of neurons in float64, if its sources' spikes arrived as recorded and those in `lost`
    did not. What is lost passes wiring as spike times do."""
    x = x.astype(np.float64)
    tau = {name: times / recording.steps[name] for name, times in recording.spike_times.items()}
    gone = {name: mask.astype(np.float64) for name, mask in lost.items()}
    for layer in network.layers:
        if isinstance(layer, Input):
            if layer.coding == "spikes":
                lo, width = (np.resize(end, x[0].size) for end in (layer.lo, layer.hi - layer.lo))
                yield layer, (channels_last(layer, x) - lo) / width, np.ones(1)
        elif isinstance(layer, (Spiking, Readout)):
            bias = 0.0 if layer.bias is None else layer.bias.astype(np.float64)
            potential = np.broadcast_to(bias, (len(x), *layer.shape)).reshape(len(x), -1)
            slope = np.full(potential.shape, float(getattr(layer, "slope", None) != "fan_in"))
            for connection in layer.connections:
                real, virtual = connection_weights(connection, layer)
                arrived = 1 - tau[connection.source] if connection.source in tau else x
                potential = potential + arrived.reshape(len(x), -1) @ real.T
                if isinstance(layer, Spiking) and layer.slope != "gated":
                    slope -= gone[connection.source].reshape(len(x), -1) @ real.T
                    slope += (real.sum(1) + virtual.sum(1)) * (layer.slope == "fan_in")
            yield layer, potential, slope
        else:
            passed_on, shape = SPIKE_TIMES[type(layer)], tau[layer.name].shape
            np.testing.assert_allclose(passed_on(layer, tau, {}, x).reshape(shape), tau[layer.name], atol=1e-7)
            gone[layer.name] = passed_on(layer, gone, {}, x).reshape(shape)


@BY_SLOPE
@FAMILIES
@pytest.mark.parametrize("jitter, drop", ((0, 0.2), (2, 0.1)))
def test_a_noisy_run_equals_a_computation_in_numpy(family, slope, jitter, drop):
    """Also through max-pools, concatenations and reorderings; steps differ only where float32 potentials lie on the threshold."""
    network, x = family(np.random.default_rng(1), slope)
    network = network.with_steps(STEPS)
    spy = Spy(SpikeNoise(network, jitter, drop, (0,)))
    recording = Simulator(network, spy)({"x": x})
    compared = 0
    for layer, potential, slopes in ramps(network, x, recording, spy.lost):
        if isinstance(layer, Readout):
            found = recording.readouts[layer.tensor].reshape(len(x), -1)
            np.testing.assert_allclose(found, potential[:, layer.index], rtol=0, atol=1e-5)
            continue
        found, slopes = spy.sent[layer.name].reshape(len(x), -1).astype(int), np.broadcast_to(slopes, potential.shape)
        with np.errstate(divide="ignore"):
            tau = np.where(slopes > 0, ((1 - potential) / np.where(slopes > 0, slopes, 1)).clip(0, 1), potential < 1)
        expected = np.ceil(STEPS * tau - network.half - TIE).clip(0, STEPS).astype(int)
        sample = np.minimum(found, expected) + np.where(slopes > 0, network.half + TIE, 0)
        assert (np.abs(potential + slopes * sample / STEPS - 1)[found != expected] < 2e-5).all(), layer.name
        assert (found != expected).mean() < 0.05 and ((expected > 0) & (expected < STEPS)).mean() > 0.05
        compared += 1
    assert compared >= 2 and (slope == "gated" or all(mask.any() for name, mask in spy.lost.items() if mask.size > 40))


def losing(*rows, silent):
    """A disturbance that loses those spikes of the input; with slope gated a lost spike is a silent neuron and no more."""

    def disturb(layer, times, steps):
        if not isinstance(layer, Input):
            return times, None
        noisy, lost = times.copy(), np.zeros(times.shape, bool)
        noisy.reshape(len(times), -1)[:, rows] = steps or 1
        lost.reshape(len(times), -1)[:, rows] = True
        return noisy, None if silent else lost

    return disturb


@pytest.mark.parametrize("slope, tau", (("fan_in", 0.4 / 1.5), ("reference", 0.4 / 0.75), ("gated", 0.4)))
def test_a_lost_spike_takes_its_weight_out_of_potential_and_slope(slope, tau):
    network = Build((2,), slope).fire("h", (1,), {"x": dense([[1.5], [0.25]])}, 1.75).watch()
    x = np.array([[0.4, 0.8]], np.float32)
    found = Simulator(network, losing(1, silent=slope == "gated"))({"x": x})  # V0 = 0.6
    assert found.spike_times["h"].item() == pytest.approx(tau)
    assert simulate(network, x).spike_times["h"].item() == pytest.approx({"fan_in": 0.2 / 1.75}.get(slope, 0.2))


@BY_SLOPE
@pytest.mark.parametrize("engine, steps", (("event", None), ("clock", 40)))
def test_a_lost_spike_is_a_synapse_that_is_not_there(slope, engine, steps):
    """The other engines know no slope: they see one weight less; the reference neuron keeps its own."""
    rng = np.random.default_rng(2)
    w, x = weights(rng, 3, 3, 2, 4), images(rng, 4, 5, 2)
    without = w.copy()
    without[:, :, 1] = 0
    steps_of = (conv((4, 5, 2), each, pads=1) for each in (w, without))
    full, cut = (
        Build((4, 5, 2), slope).fire("h", (4, 5, 4), {"x": step}, total(w), [0.3, 0.5, 0, 0.2]).watch().with_steps(steps) for step in steps_of
    )
    found = Simulator(full, losing(*range(1, 40, 2), silent=slope == "gated"))({"x": x}).spike_times["h"]
    # Padded taps of the channel are not lost: their weights stay, on the border
    expected = simulate(cut, x, engine).spike_times["h"]
    inner = (slice(None), slice(1, -1), slice(1, -1))
    if steps is None:
        np.testing.assert_allclose(found[inner], expected[inner], rtol=0, atol=3e-5)
    else:
        assert np.array_equal(found[inner], expected[inner])
    assert ((found[inner] > 0) & (expected[inner] < (steps or 1))).mean() > 0.2
    assert np.allclose(found, expected) == (slope == "gated")


def test_a_max_pool_passes_on_the_earliest_spike_that_is_left():
    """Of the first window the earlier spike is lost, of the second one both, of the third none; padding is no spike."""
    build = Build((6, 1)).wire(MaxPool, "p", (3, 1), "x", **sliding((6, 1), 1, (2,), strides=2), **ends(0, 1, (1,)))
    network = build.fire("h", (1,), {"p": dense([[0.5], [1], [0.25]])}, 1.75).watch()
    x = np.array([[[0.9], [0.4], [0.6], [0.7], [0.2], [0.8]]], np.float32)
    found = Simulator(network, losing(0, 2, 3, silent=False))({"x": x})
    assert found.spike_times["p"].reshape(-1) == pytest.approx([0.6, 1, 0.2])
    assert found.spike_times["h"].item() == pytest.approx((1 - 0.5 * 0.4 - 0.25 * 0.8) / 0.75)


# Noise on weights


def wholes(rng, slope):
    """Scales with a weight per neuron, behind a pool and beside an identity."""
    whole = rng.uniform(-0.5, 1.5, (2, 2, 3, 2)).astype(np.float32)
    pool, scales = average((4, 3, 2), (2, 1), strides=(2, 1)), [scale(each, (2, 3, 2)) for each in whole]
    build = Build((4, 3, 2), slope).fire("h", (2, 3, 2), {"x": (pool, scales[0])}, whole[0])
    build.fire("g", (2, 3, 2), {"h": scales[1], "x": pool}, whole[1] + 1)
    return build.watch(), images(rng, 4, 3, 2)


WEIGHTED = pytest.mark.parametrize("family", [*NETWORKS, wholes])


def weight_arrays(network):
    return [
        step.weights
        for layer in network.layers
        if hasattr(layer, "connections")
        for connection in layer.connections
        for step in connection.path
        if hasattr(step, "weights")
    ]


def pairs(network, other):
    """(layer, its noisy twin) of all layers of neurons."""
    return [each for each in zip(network.layers, other.layers, strict=True) if isinstance(each[0], (Spiking, Readout))]


@pytest.mark.parametrize("deviation", (0.01, 0.3))
def test_weight_noise_is_a_share_of_the_largest_weight(deviation):
    w = np.random.default_rng(0).uniform(-3, 2, (80, 60)).astype(np.float32)
    network = Build((80,)).fire("h", (60,), {"x": dense(w)}, w.sum(0)).read((60,), {"h": dense(w[:60])}, w[:60].sum(0))
    found = weight_arrays(with_weight_noise(network, deviation, (1,)))
    noise = [(noisy - before) / np.abs(before).max() / deviation for noisy, before in zip(found, weight_arrays(network))]
    for each, noisy in zip(noise, found):
        assert noisy.dtype == np.float32 and each.std() == pytest.approx(1, abs=0.04) and abs(each.mean()) < 0.06
    assert abs(np.corrcoef(noise[0][:60].reshape(-1), noise[1].reshape(-1))[0, 1]) < 0.1, "each device has noise of its own"
    assert not np.array_equal(found[0], weight_arrays(with_weight_noise(network, deviation, (2,)))[0])
    assert np.array_equal(found[0], weight_arrays(with_weight_noise(network, deviation, (1,)))[0])


def test_weight_noise_of_a_residual_sum_is_a_share_of_each_kernels_largest_weight():
    large, small = np.random.default_rng(0).uniform(-1, 1, (2, 60, 60)).astype(np.float32) * np.float32([[[2]], [[0.1]]])
    build = Build((60,)).fire("g", (60,), {"x": dense(large)}, large.sum(0))
    network = build.fire("h", (60,), {"g": dense(large), "x": dense(small)}, 1).watch()
    found = weight_arrays(with_weight_noise(network, 0.1, (1,)))
    assert (found[2] - small).std() == pytest.approx(0.1 * np.abs(small).max(), rel=0.1)


@BY_SLOPE
@WEIGHTED
def test_slopes_follow_noisy_weights(family, slope):
    """Weight sums are the noisy weights', padded taps included; a reference neuron keeps its weight, so S is off by the change."""
    network, _ = family(np.random.default_rng(1), slope)
    for layer, noisy in pairs(network, with_weight_noise(network, 0.1, (1,))):
        each = [(connection, connection_weights(connection, noisy)) for connection in noisy.connections]
        if isinstance(layer, Spiking) and layer.slope == "reference":
            assert noisy.slope == "fan_in"
            sums = sum(real.sum(1) + virtual.sum(1) for _, (real, virtual) in each)
            before, after = (np.broadcast_to(each.weight_sums, layer.shape).reshape(-1) for each in (layer, noisy))
            np.testing.assert_allclose(after, 1 + sums - before, rtol=0, atol=1e-5)
        else:
            check_weight_sums(noisy, each)
            assert getattr(noisy, "slope", None) == getattr(layer, "slope", None)
        assert noisy.weight_sums.dtype == np.float32 and noisy.bias is layer.bias
        if any(hasattr(step, "weights") for connection in layer.connections for step in connection.path):
            assert not np.allclose(noisy.weight_sums, layer.weight_sums, atol=1e-3)


def test_a_reference_neuron_keeps_its_weight_under_noise():
    """Engine `event` adds up noisy weights and the reference neuron's old one."""
    network, x = case("residuals", "reference")
    noisy = with_weight_noise(network, 0.1, (1,))
    layers = tuple(
        changed
        if layer is changed or not isinstance(layer, Spiking)
        else changed.model_copy(update={"slope": "reference", "weight_sums": layer.weight_sums})
        for layer, changed in zip(network.layers, noisy.layers)
    )
    expected = simulate(network.model_copy(update={"layers": layers}), x, "event")
    found = simulate(noisy, x)
    for name, times in expected.spike_times.items():
        np.testing.assert_allclose(found.spike_times[name], times, rtol=0, atol=1e-4)
    assert np.abs(simulate(with_weight_bits(network, 24), x).spike_times["f"] - found.spike_times["f"]).max() > 0.05


@pytest.mark.parametrize("bits", (2, 3, 8))
@WEIGHTED
def test_weights_of_few_bits_lie_on_a_symmetric_grid(family, bits):
    network, _ = family(np.random.default_rng(1), "fan_in")
    coarse = with_weight_bits(network, bits)
    for before, after in zip(weight_arrays(network), weight_arrays(coarse), strict=True):
        step = np.abs(before).max() / (2 ** (bits - 1) - 1)
        multiples = after / step
        np.testing.assert_allclose(multiples, np.rint(multiples), atol=1e-4)
        assert np.abs(after - before).max() <= 0.5001 * step and after.dtype == np.float32
        assert np.abs(multiples).max() == pytest.approx(2 ** (bits - 1) - 1) and len(np.unique(np.rint(multiples))) <= 2**bits - 1
    for _, after in pairs(network, coarse):
        check_weight_sums(after, [(connection, connection_weights(connection, after)) for connection in after.connections])


def test_few_bits_leave_zeros_alone_and_a_reference_neuron_follows():
    w = np.array([[0, 1], [0, 0.3]], np.float32)
    network = Build((2,), "reference").fire("h", (2,), {"x": (dense(w), scale([0, 0], (2,)))}, [0, 0]).watch()
    for coarse in (with_weight_bits(network, 2), with_weight_noise(network, 0.5, (0,))):
        assert all(np.isfinite(each).all() for each in weight_arrays(coarse)) and not weight_arrays(coarse)[1].any()
    layer = with_weight_bits(network, 2).layers[1]
    assert layer.slope == "reference" and np.array_equal(layer.connections[0].path[0].weights, [[0, 1], [0, 0]])


def test_pools_and_plain_wires_are_no_devices():
    network = Build((4, 2)).fire("h", (2, 2), {"x": average((4, 2), (2,), strides=2)}, 1).fire("g", (2, 2), {"h": ()}, 1).watch()
    for changed in (with_weight_noise(network, 0.5, (0,)), with_weight_bits(network, 2)):
        assert changed.layers[1].connections == network.layers[1].connections
        assert np.array_equal(changed.layers[1].weight_sums, [1, 1]) and np.array_equal(changed.layers[2].weight_sums, [1, 1])


# Thresholds


@BY_SLOPE
@FAMILIES
def test_a_mismatched_threshold_moves_the_crossing(family, slope):
    """tau = (theta - V0) / S with a theta of its own for every neuron."""
    network, x = family(np.random.default_rng(1), slope)
    changed = with_threshold_mismatch(network, 0.1, (4,))
    recording = simulate(changed, x)
    nothing = {name: np.zeros(times.shape) for name, times in recording.spike_times.items()}
    on_time = type(recording)(recording.spike_times, recording.readouts, dict.fromkeys(recording.spike_times, 1))  # times are tau
    for layer, potential, slopes in ramps(network, x, on_time, nothing):
        if not isinstance(layer, Spiking):
            continue
        moved = next(other for other in changed.layers if other.name == layer.name)
        theta = (1 - (moved.bias - (0 if layer.bias is None else layer.bias))).reshape(-1).astype(np.float64)
        assert moved.bias.shape == layer.shape and 0.05 < theta.std() < 0.2 and len(np.unique(theta)) == theta.size
        tau = np.where(slopes > 0, ((theta - potential) / np.where(slopes > 0, slopes, 1)).clip(0, 1), potential < theta)
        found = recording.spike_times[layer.name].reshape(tau.shape)
        clear = (slopes > 1e-3) | (np.abs(potential - theta) > 1e-4)
        np.testing.assert_allclose((found - tau)[clear], 0, atol=2e-5 / min(1, slopes[slopes > 0].min(initial=1)))
    assert changed.layers[-1] is network.layers[-1]


def test_thresholds_have_the_asked_deviation_and_a_seed():
    network = Build((2,)).fire("h", (50, 2, 30), {"x": dense(np.ones((2, 3000)))}, 2, np.linspace(0, 1, 30)).watch()
    found = [1 - (with_threshold_mismatch(network, 0.03, seed).layers[1].bias - network.layers[1].bias) for seed in ((1,), (1,), (2,))]
    assert found[0].std() == pytest.approx(0.03, rel=0.05) and found[0].mean() == pytest.approx(1, abs=0.003)
    assert np.array_equal(found[0], found[1]) and not np.array_equal(found[0], found[2])
