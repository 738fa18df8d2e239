"""The fixed threshold by hand: what fires early, late or never. Engine `event`, and `clock` with steps so short that it agrees."""

import numpy as np
import pytest

from tests.models import Chain, converted
from tests.simulation.networks import case
from tests.test_naive_network import FIG_2, Build, conv, dense, ends, scale, sliding
from ttfs_convert.errors import UsageError
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Concat, MaxPool
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.simulation.recording import Recording

FINE = 1000  # steps; ceil is at most one of them late


def runs(network: Network, x: object) -> list[tuple[Recording, float]]:
    """By either engine, and how much its times may differ from those of continuous time."""
    batch = np.array([x], np.float32)
    clock = simulate(network.with_steps(FINE, "ceil"), batch, "clock", "fixed")
    return [(simulate(network, batch, "event", "fixed"), 1e-6), (clock, 8 / FINE)]


def assert_fires(network: Network, x: object, tau: object, potential: object = None, name: str = "h") -> None:
    """Layer `name` fires at `tau` of its own window, NaN where never; the readout ends at `potential`."""
    for recording, tolerance in runs(network, x):
        assert recording.steps[name] is None and recording.spike_times[name].dtype == np.float32
        np.testing.assert_allclose(recording.tau(name).ravel(), tau, rtol=0, atol=tolerance)
        if potential is not None:
            np.testing.assert_allclose(recording.potentials.ravel(), potential, rtol=0, atol=5 * tolerance)


def deep(build: Build) -> Network:
    """One more window behind the last layer, so that the run outlasts its own."""
    last = list(build.layers.values())[-1]
    return build.fire("behind", last.shape, {last.name: ()}, 1).watch()


def test_fig_2_of_the_paper_fires_early_although_its_net_input_is_0():
    network = Build((2,)).fire("h", (1,), {"x": dense([[5], [-10]])}, -5).watch()
    assert sorted(weight for _, weight in FIG_2) == [-10, 5]
    assert_fires(network, [0.8, 0.4], [-0.6], [1.6])  # at global time 0.4; its window opens at 1
    dynamic = simulate(network, np.array([[0.8, 0.4]], np.float32), "event")
    assert dynamic.tau("h").tolist() == [[1]] and dynamic.silent("h").all()


def test_a_neuron_that_never_reaches_the_threshold_sends_nothing():
    network = Build((2,)).fire("h", (2,), {"x": dense([[1, 1], [-1, 0]])}, [0, 1]).read((1,), {"h": dense([[3], [1]])}, 4)
    assert_fires(network, [0.5, 0.5], [np.nan, 0.5], [0.5])
    for recording, _ in runs(network, [0.5, 0.5]):
        assert recording.activations("h")[0, 0] == 0 and recording.silent("h").tolist() == [[True, False]]


def test_a_late_spike_is_sent_while_the_run_lasts():
    build = Build((1,)).fire("h", (1,), {"x": dense([[0.5]])}, 0.5)  # V0 = 0.25, S = 0.5
    network = deep(build)
    assert_fires(network, [0.5], [1.5], [0])
    assert_fires(network, [0.5], [np.nan], [0], "behind")  # at 0.5 when the run ends
    shorter = Build((1,)).fire("h", (1,), {"x": dense([[0.5]])}, 0.5).watch()
    assert_fires(shorter, [0.5], [np.nan], [0])


def test_a_late_spike_can_still_fire_the_next_layer():
    build = Build((1,)).fire("h", (1,), {"x": dense([[0.5]])}, 0.5).fire("g", (1,), {"h": dense([[4]])}, 4)
    assert_fires(build.watch(), [0.5], [0.75], [0.25], "g")  # from 1.5 on with slope 4


def test_a_bias_is_a_current_during_the_inputs_window():
    for bias, tau in ((2, -0.5), (0.5, 0.5), (0, 1)):
        network = deep(Build((1,)).fire("h", (1,), {"x": ()}, 1, bias=[bias]))
        assert_fires(network, [0], [tau])  # a = 0 arrives as the window opens, and from then on the slope is 1
    network = Build((1,)).fire("h", (1,), {"x": ()}, 1).read((1,), {"h": ()}, 1, bias=[-0.75])
    assert_fires(network, [0.5], [0.5], [-0.25])


def test_a_bias_of_a_later_layer_waits_for_its_inputs_window():
    network = Build((1,)).fire("h", (1,), {"x": ()}, 1).fire("g", (1,), {"h": ()}, 1, bias=[4]).watch()
    assert_fires(network, [0.5], [-0.75], [1.75], "g")  # global time 1.25


def test_silent_inputs_spike_as_their_window_closes():
    network = Build((2,)).fire("h", (1,), {"x": dense([[0.5], [0.5]])}, 1).watch()
    assert_fires(network, [0.8, 0], [0.6])
    assert_fires(network, [0.8, 0], [0.2, 1], name="x")


@pytest.mark.parametrize("slope, tau", (("fan_in", 0.4375), ("reference", 0.875)))
def test_padded_taps_spike_as_the_inputs_window_closes(slope, tau):
    network = Build((1, 1), slope).fire("h", (1, 1), {"x": conv((1, 1), [[[0.75]], [[0.25]], [[1]]], pads=1)}, 2).watch()
    assert_fires(network, [[0.5]], [tau])


def test_padded_taps_of_a_later_layer_spike_as_its_own_inputs_window_closes():
    step = conv((1, 1), [[[0.75]], [[0.25]], [[1]]], pads=1)
    network = Build((1, 1)).fire("h", (1, 1), {"x": ()}, 1).fire("g", (1, 1), {"h": step}, 2).watch()
    assert_fires(network, [[0.5]], [0.4375], name="g")


def test_the_reference_neuron_fires_as_the_window_opens():
    network = Build((1,), "reference").fire("h", (2,), {"x": dense([[0.5, 4]])}, [0.5, 4]).watch()
    assert_fires(network, [0.5], [0.75, -0.25])  # slope 1 from V0 = 0.25; the other one is early


def test_spikes_of_an_earlier_layer_wait_in_a_delay_line():
    build = Build((1,)).fire("h", (1,), {"x": ()}, 1).fire("g", (1,), {"h": (), "x": scale([1], (1,))}, 2)
    assert_fires(build.watch(), [0.8], [-0.3], name="g")  # undelayed, x alone would fire it at -0.8


def test_a_concatenation_delays_too():
    build = Build((1,)).fire("h", (1,), {"x": ()}, 1).wire(Concat, "c", (2,), "h", "x")
    assert_fires(build.fire("g", (1,), {"c": dense([[1], [1]])}, 2).watch(), [0.8], [-0.3], name="g")


def test_a_max_pool_takes_the_earliest_spike_and_ignores_missing_ones():
    build = Build((3, 1)).fire("h", (3, 1), {"x": scale([[2], [1], [0.2]], (3, 1))}, [[2], [1], [0.2]])
    build.wire(MaxPool, "p", (2, 1), "h", **sliding((3, 1), 1, (2,), strides=2, pads=(0,), pads_end=(1,)), **ends(0, 1, (1,)))
    network = build.fire("g", (1,), {"p": dense([[0.5], [0.5]])}, 1).watch()
    assert_fires(network, [[0.75], [0.5], [0.5]], [-0.25, 0.5, np.nan])
    assert_fires(network, [[0.75], [0.5], [0.5]], [-0.25, np.nan], name="p")
    assert_fires(network, [[0.1], [0.5], [0.5]], [0.5 * 0.8, np.nan], name="p")


def excitatory(slope: str) -> Network:
    """Positive weights with sums of 1, or less beside a reference neuron and biases: nothing fires outside its window."""
    total, bias = (1, None) if slope == "fan_in" else (0.8, 0.15)
    rng = np.random.default_rng(4)

    def positive(*shape):
        drawn = rng.random(shape)
        return (total * drawn / drawn.sum(tuple(range(len(shape) - 1)))).astype(np.float32)

    build = Build((4, 4, 2), slope).fire("h", (4, 4, 3), {"x": conv((4, 4, 2), positive(3, 3, 2, 3), pads=1)}, total, bias)
    build.wire(MaxPool, "p", (2, 2, 3), "h", **sliding((4, 4, 3), 3, (2, 2), strides=2), **ends(0, 1, (3,)))
    build.fire(
        "g",
        (2, 2, 3),
        {"p": conv((2, 2, 3), positive(2, 2, 3, 3) / 2, pads=(1, 0), pads_end=(0, 1)), "x": (conv((4, 4, 2), positive(2, 2, 2, 3) / 2, strides=2),)},
        total,
        bias,
    )
    last = rng.normal(size=(12, 3))
    return build.read((3,), {"g": dense(last)}, last.sum(0))


@pytest.mark.parametrize("slope", ("fan_in", "reference"))
def test_it_equals_the_dynamic_threshold_where_nothing_fires_outside_its_window(slope):
    network, x = excitatory(slope), np.random.default_rng(1).random((5, 4, 4, 2), np.float32)
    x[0] = 0
    for engine, net in (("event", network), ("clock", network.with_steps(40))):
        fixed, dynamic = simulate(net, x, engine, "fixed"), simulate(net, x, engine)
        for layer in network.layers[:-1]:
            found = fixed.tau(layer.name)
            if layer.window == network.windows - 1:
                found = np.where(np.isnan(found), 1, found)  # due as the run ends
            np.testing.assert_allclose(found, dynamic.tau(layer.name), rtol=0, atol=1e-5)
        np.testing.assert_allclose(fixed.potentials, dynamic.potentials, rtol=0, atol=1e-5)


def test_networks_of_mode_unchecked_fire_outside_their_windows():
    chain = Chain((2, 6, 5)).conv(4, pads=[1] * 4, total=0.3).add("Relu").conv(4, total=1.5).add("Relu").readout()
    network, x = converted(chain.model(), mode="unchecked"), chain.images(8)
    taus = np.concatenate([times.ravel() for name, times in simulate(network, x, "event", "fixed").spike_times.items() if name != "x"])
    assert (taus < 0).any() and (taus > 1).any() and np.isnan(taus).any()


# What cannot be asked for


@pytest.mark.parametrize("slope", ("fan_in", "reference", "gated"))
def test_the_closed_form_needs_the_dynamic_threshold(slope):
    with pytest.raises(UsageError, match="threshold fixed: engine exact, whose closed form .*; expected engine clock or event"):
        simulate(*case("lines", slope), "exact", "fixed")


@pytest.mark.parametrize("family, slope, layers", (("lines", "gated", "h, g, f"),))
@pytest.mark.parametrize("engine", ("event", "clock"))
def test_gates_need_the_dynamic_threshold(family, slope, layers, engine):
    network, x = case(family, slope)
    with pytest.raises(UsageError, match=f"threshold fixed: slope gated in {layers}; expected slope fan_in or reference"):
        simulate(network.with_steps(4), x, engine, "fixed")


def test_one_clock_needs_one_number_of_steps():
    network, x = case("lines", "fan_in")
    layers = tuple(layer.model_copy(update={"steps": 7}) if layer.name == "g" else layer for layer in network.layers)
    mixed = network.model_copy(update={"steps": 5, "layers": layers})
    with pytest.raises(UsageError, match="threshold fixed: layers with numbers of steps of their own; .*--engine event"):
        simulate(mixed, x, "clock", "fixed")
    assert simulate(mixed, x, "event", "fixed").tau("g").tobytes() == simulate(network, x, "event", "fixed").tau("g").tobytes()


@pytest.mark.parametrize(
    "options, text",
    ((("exat",), "engine: exat; expected one of exact, clock, event"), (("event", "floating"), "threshold: floating; expected dynamic or fixed")),
)
def test_names_that_do_not_exist(options, text):
    with pytest.raises(UsageError, match=text):
        simulate(*case("lines", "fan_in"), *options)


# As the run ends


@pytest.mark.parametrize("engine", ("event", "clock"))
@pytest.mark.parametrize("rounding", ("nearest", "ceil"))
def test_a_neuron_due_as_the_run_ends_fires(engine, rounding):
    network = Build((2,)).fire("h", (2,), {"x": ()}, 1).watch()
    x = np.array([[0, 0.5]], np.float32)
    network = network.with_steps(8, rounding) if engine == "clock" else network
    assert simulate(network, x, engine).tau("h").tolist() == [[1, 0.5]]
    assert simulate(network, x, engine, "fixed").tau("h").tolist() == [[1, 0.5]]


@pytest.mark.parametrize("engine", ("event", "clock"))
def test_analog_input_is_refused(engine):
    chain = Chain((4,)).gemm(3)
    network = converted(chain.model(), mode="unchecked", input_range=None, steps=5 if engine == "clock" else None)
    with pytest.raises(UsageError, match="analog input x"):
        simulate(network, chain.images(), engine, "fixed")


@pytest.mark.parametrize("engine", ("event", "clock"))
def test_a_readout_before_the_last_window_equals_that_of_the_dynamic_threshold(engine):
    network = excitatory("fan_in")
    last = network.readouts[0]
    early = Build((4, 4, 2)).read((32,), {"x": ()}, 1).readouts[0]
    early = early.model_copy(update={"name": "early", "tensor": "early"})
    network = network.model_copy(update={"layers": (*network.layers, early), "steps": 40 if engine == "clock" else None})
    x = np.random.default_rng(1).random((5, 4, 4, 2), np.float32)
    fixed, dynamic = simulate(network, x, engine, "fixed"), simulate(network, x, engine)
    np.testing.assert_allclose(fixed.readouts[last.tensor], dynamic.readouts[last.tensor], rtol=0, atol=1e-5)
    np.testing.assert_allclose(fixed.readouts["early"], dynamic.readouts["early"], rtol=0, atol=1e-5)
