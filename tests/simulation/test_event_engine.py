"""Engine `event`, spike by spike in continuous time, against the closed form of `exact` and against an independent twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.cases import geometries
from tests.naive_network import connection_weights, spike_times
from tests.simulation.agreement import assert_same_times, slopes
from tests.simulation.networks import FAMILIES, HAND_BUILT, SLOPES, case, sums, with_weight_sums
from tests.simulation.test_clock_engine import EXAMPLE, example_images
from tests.test_naive_network import Build, average, conv, dense, images, scale, tolerances, weights
from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.kernels.incoming_spikes import VIRTUAL
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Spiking
from ttfs_convert.network.synapses.convolution import Conv
from ttfs_convert.simulation import receptive_fields as listing
from ttfs_convert.simulation.engines import simulate

QUICK = settings(derandomize=True, deadline=None, max_examples=15)


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_each_layer_fires_when_the_closed_form_says(family, slope):
    network, x = case(family, slope)
    assert_same_times(network, x, simulate(network, x, "event"))


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_whole_networks_end_like_the_closed_form(family, slope):
    network, x = case(family, slope)
    ours, theirs = simulate(network, x, "event"), simulate(network, x)
    assert ours.readouts.keys() == theirs.readouts.keys() and ours.steps == theirs.steps
    for name in ours.readouts:
        np.testing.assert_allclose(ours.readouts[name], theirs.readouts[name], rtol=0, atol=3e-5)
    worst = 1e-5 * max(np.max(1 / np.abs(slopes(layer))) for layer in network.layers if isinstance(layer, Spiking))
    for name, times in theirs.spike_times.items():
        np.testing.assert_allclose(ours.spike_times[name], times, rtol=0, atol=max(worst, 1e-5))


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("family", HAND_BUILT)
def test_the_twin_agrees(family, slope):
    network, x = case(family, slope)
    times, potentials = spike_times(network, x)
    recording, tolerance = simulate(network, x, "event"), tolerances(network)
    worst = max(np.max(limit) for limit in tolerance.values())
    for name, tau in times.items():
        difference = np.abs(recording.spike_times[name] - tau)
        assert (difference <= tolerance.get(name, worst)).all(), f"{name}: {difference.max()}"
    np.testing.assert_allclose(recording.potentials, potentials, rtol=0, atol=1e-5)


def test_the_trained_example():
    network, x = convert(EXAMPLE / "model.onnx"), example_images(6)
    assert_same_times(network.with_steps(None), x, simulate(network, x, "event"))  # a grid is left aside


def test_a_wrong_weight_sum_would_be_noticed():
    """The slope comes from the spikes themselves, silent and padded ones included."""
    network, x = case("constrained", "fan_in")
    with pytest.raises(AssertionError):
        assert_same_times(with_weight_sums(network, 1.001), x, simulate(network, x, "event"))


# Receptive fields: synapse by synapse


def listed_weights(network: Network, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Weights onto each neuron from each neuron of the sources, one behind another, and their sum from virtual neurons."""
    layer = next(layer for layer in network.layers if layer.name == name)
    sizes = {each.name: int(np.prod(each.shape)) for each in network.layers}
    fields = listing.receptive_fields(layer, sizes)
    groups, _, outputs = fields.weights.shape
    real, virtual = np.zeros((sizes[name], sum(sizes[connection.source] for connection in layer.connections))), np.zeros(sizes[name])
    for p in range(fields.first.size - 1):
        for g in range(groups):
            to = slice((p * groups + g) * outputs, (p * groups + g + 1) * outputs)
            for t in range(fields.first[p], fields.first[p + 1]):
                for c in range(fields.channels[t]):
                    weight = fields.weights[g, fields.row[t] + c].astype(np.float64)
                    if fields.relay[t] == VIRTUAL:
                        virtual[to] += weight
                        continue
                    relay = fields.relay[t] + g * fields.channels[t] + c
                    if fields.relays.start.size == 0:
                        real[to, relay] += weight
                        continue
                    for s in range(fields.relays.start[relay], fields.relays.start[relay + 1]):
                        source, factor = fields.relays.source[s], float(fields.relays.factor[s])
                        if source == VIRTUAL:
                            virtual[to] += factor * weight
                        else:
                            real[to, source] += factor * weight
    return real, virtual


def assert_every_synapse_is_listed(network: Network) -> None:
    for layer in network.layers:
        if isinstance(layer, Spiking):
            expected = [connection_weights(connection, layer) for connection in layer.connections]
            real, virtual = listed_weights(network, layer.name)
            np.testing.assert_allclose(real, np.hstack([part for part, _ in expected]), rtol=0, atol=1e-6)
            np.testing.assert_allclose(virtual, sum(part.sum(1) for _, part in expected), rtol=0, atol=3e-6)


@pytest.mark.parametrize("family", HAND_BUILT)
def test_every_synapse_of_a_network_is_listed(family):
    assert_every_synapse_is_listed(case(family, "fan_in")[0])


@QUICK
@given(
    geometries(),
    st.sampled_from((1, 2, 3)),
    st.sampled_from(("conv", "pool", "scaled", "beside", "pooled beside scaled")),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_every_synapse_of_any_geometry_is_listed(geometry, groups, kind, include_pad, seed):
    """A convolution alone, between averages, scaled, beside an identity and another one of no groups, or behind averages beside a scaled one."""
    rng = np.random.default_rng(seed)
    in_shape, out_shape = (*geometry.size, 2 * groups), (*geometry.out, 3 * groups)
    arguments = {
        "in_shape": in_shape,
        "out_shape": out_shape,
        "kernel": geometry.kernel,
        "strides": geometry.strides,
        "dilations": geometry.dilations,
        "pads": geometry.pads,
        "pads_end": geometry.pads_end,
    }
    step = Conv(groups=groups, weights=weights(rng, *geometry.kernel, 2, 3 * groups), **arguments)
    path, others = (step,), {}
    if kind == "pool":
        behind = average(out_shape, (2, 2), include_pad, pads=1)
        path = average(in_shape, (2, 3), include_pad, pads=(1, 1), pads_end=(0, 1)), step, behind
        out_shape = behind.out_shape
    elif kind == "scaled":
        path = scale(rng.uniform(-1, 1, in_shape), in_shape), step, scale(rng.uniform(-1, 1, 3 * groups), out_shape)
    elif kind == "pooled beside scaled":  # relays of its own, beside some that taps replace
        averaged = average(in_shape, (2, 2), True, strides=(1, 1), pads=(1, 1), pads_end=(0, 0))
        path = averaged, step
        others = {"y": (scale(rng.uniform(-1, 1, in_shape), in_shape), step)}
    elif kind == "beside":
        ungrouped = Conv(groups=1, weights=weights(rng, *geometry.kernel, 2 * groups, 3 * groups), **arguments)
        others = {"y": (ungrouped,), "z": (), "f": (dense(weights(rng, 4, int(np.prod(out_shape)))),)}
    build = Build(in_shape)
    for name, shape in {"y": in_shape, "z": out_shape, "f": (4,)}.items():
        build.fire(name, shape, {"x": dense(np.zeros((int(np.prod(in_shape)), int(np.prod(shape)))))}, 0)
    fan_in = {"x": path, **others}
    assert_every_synapse_is_listed(build.fire("h", out_shape, fan_in, sums(out_shape, *fan_in.values())).watch())


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("turned", (False, True))
def test_convolutions_that_see_the_layer_in_other_shapes(slope, turned):
    """(4, 3, 6) as an image, and the same neurons as a line of 12 positions."""
    rng, shape = np.random.default_rng(0), (4, 3, 6)
    image = conv((4, 3, 2), weights(rng, 3, 3, 2, 6), pads=1)
    line = conv((12, 2), weights(rng, 3, 2, 6), pads=1)
    paths = {"x": image, "h": line}
    factors = scale(weights(rng, 2), (4, 3, 2))
    build = Build((4, 3, 2), slope).fire("h", (4, 3, 2), {"x": factors}, sums((4, 3, 2), (factors,)))
    paths = dict(reversed(paths.items())) if turned else paths
    network = build.fire("f", shape, paths, sums(shape, (image,), (line,))).watch()
    x = images(rng, 4, 3, 2)
    ours, theirs = simulate(network, x, "event"), simulate(network, x)
    np.testing.assert_allclose(ours.potentials, theirs.potentials, rtol=0, atol=3e-5)
    grid = network.with_steps(50)
    stepped, theirs = simulate(grid, x, "clock"), simulate(grid, x)
    np.testing.assert_array_equal(stepped.spike_times["f"], theirs.spike_times["f"])
