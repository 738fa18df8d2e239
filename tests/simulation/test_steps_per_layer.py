"""Layers with a number of steps of their own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import ttfs_convert
from tests.simulation.agreement import SHARE, differing_steps, potentials
from tests.simulation.networks import FAMILIES, ONE_GRID, SLOPES, case
from tests.test_naive_network import Build, dense
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Input, Spiking, sources
from ttfs_convert.simulation.engines import simulate

COUNTS = (4, 300, 7, 50, 16, 1, 255)
WITHOUT_CONCAT = tuple(family for family in FAMILIES if family not in ONE_GRID)


def with_steps(network: Network, steps: int, **own: int) -> Network:
    """`network` on a grid of `steps`, the layers named in `own` on theirs, checked as if it came from a file."""
    content = network.model_dump()
    for layer in content["layers"]:
        if layer["name"] in own:
            layer["steps"] = own[layer["name"]]
    return Network.model_validate({**content, "steps": steps})


def coders(network: Network) -> list[str]:
    return [layer.name for layer in network.layers if isinstance(layer, (Input, Spiking)) and getattr(layer, "coding", "") != "direct"]


def mixed(family: str, slope: str, shift: int = 0) -> Network:
    """Every layer of `family` on another grid."""
    network = case(family, slope)[0]
    return with_steps(network, 10, **{name: COUNTS[(i + shift) % len(COUNTS)] for i, name in enumerate(coders(network))})


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("family", WITHOUT_CONCAT)
def test_clock_and_closed_form_agree(family, slope):
    network, x = mixed(family, slope, len(slope)), case(family, slope)[1]
    recording = simulate(network, x, "clock")
    different, total = differing_steps(network, x, recording)
    assert different <= SHARE * total
    assert len({recording.steps[name] for name in coders(network)}) >= 2
    for name, times in recording.spike_times.items():
        assert times.dtype == (np.uint8 if recording.steps[name] <= 255 else np.uint16)


@settings(derandomize=True, deadline=None, max_examples=25)
@given(
    st.lists(st.one_of(st.none(), st.integers(1, 40)), min_size=4, max_size=4),
    st.sampled_from(SLOPES),
    st.integers(1, 30),
    st.sampled_from(("nearest", "ceil")),
)
def test_any_numbers_of_steps(own, slope, steps, rounding):
    network, x = case("residuals", slope)
    chosen = {name: count for name, count in zip(coders(network), own) if count}
    network = with_steps(network.model_copy(update={"rounding": rounding}), steps, **chosen)
    assert {name: count for name, count in network.steps_per_layer().items() if name != "out"} == {**dict.fromkeys(coders(network), steps), **chosen}
    different, _ = differing_steps(network, x, simulate(network, x, "clock"))
    assert not different


@pytest.mark.parametrize("engine", ("exact", "clock"))
@pytest.mark.parametrize("chosen", ("x", "h", "g", "f"))
def test_more_steps_of_a_layer_make_that_layer_more_precise(chosen, engine):
    """Decoded times are half a step off at most, against V0 of the spikes that the layer got; layers before it stay as they were."""
    network, x = case("residuals", "gated")
    before, errors = None, []
    for steps in (4, 16, 64, 256):
        recording = simulate(with_steps(network, 8, **{chosen: steps}), x, engine)
        for layer, potential in potentials(network, x, recording):
            if layer.name == chosen:
                activation = recording.activations(chosen).reshape(potential.shape)
                errors.append(np.abs(activation - np.clip(potential, 0, 1)).max())
                assert errors[-1] <= 0.5 / steps + 2e-4
                break
            assert before is None or recording.spike_times[layer.name].tobytes() == before[layer.name].tobytes()
        before = recording.spike_times
    assert errors[0] > 2 * errors[1] > 4 * errors[2] > 8 * errors[3]


def test_one_spike_train_has_one_grid():
    network = case("wires", "gated")[0]
    with pytest.raises(ValidationError, match="layer 'c' joins layers of .* steps: one spike train has one grid"):
        with_steps(network, 10, h=20)
    together = with_steps(network, 10, x=20, h=20)
    assert together.steps_per_layer() == dict.fromkeys(("x", "h", "c", "p", "r"), 20) | {"g": 10, "out": 10}
    x = case("wires", "gated")[1]
    assert not differing_steps(together, x, simulate(together, x, "clock"))[0]


def test_continuous_time_has_no_steps_of_layers():
    content = mixed("lines", "gated").model_dump()
    with pytest.raises(ValidationError, match="with a number of steps in continuous time"):
        Network.model_validate({**content, "steps": None})


@pytest.mark.parametrize("steps", (0, -1, 65536, 2.5))
def test_numbers_that_are_none(steps):
    with pytest.raises(ValidationError, match="steps"):
        with_steps(case("lines", "gated")[0], 10, h=steps)


@pytest.mark.parametrize("steps", (None, 12))
def test_another_time_clears_them(steps):
    network, x = mixed("lines", "fan_in"), case("lines", "fan_in")[1]
    found = network.with_steps(steps, "ceil")
    assert (found.steps, found.rounding) == (steps, "ceil")
    assert set(found.steps_per_layer().values()) == {steps} and found.with_steps(steps).rounding == "ceil"
    plain = case("lines", "fan_in")[0].with_steps(steps, "ceil")
    assert simulate(found, x).potentials.tobytes() == simulate(plain, x).potentials.tobytes()


def test_event_ignores_them():
    network, x = mixed("lines", "fan_in"), case("lines", "fan_in")[1]
    recording = simulate(network, x, "event")
    assert set(recording.steps.values()) == {None}
    assert recording.potentials.tobytes() == simulate(case("lines", "fan_in")[0], x, "event").potentials.tobytes()


def test_latency_is_the_longest_path_of_steps():
    """It need not be the path of most windows."""
    build = Build((2,)).fire("h", (2,), {"x": ()}, 1).fire("short", (2,), {"h": ()}, 1).fire("long", (2,), {"x": ()}, 1)
    network = build.read((1,), {"short": dense([[1], [1]]), "long": dense([[1], [1]])}, 4)
    assert (network.windows, network.latency_steps, network.with_steps(10).latency_steps) == (3, None, 30)
    assert with_steps(network, 10, long=100).latency_steps == 10 + 100
    assert with_steps(network, 10, x=1, h=2, short=3, long=4).latency_steps == 1 + 2 + 3
    assert with_steps(network, 10, short=40, long=45).latency_steps == 10 + 10 + 40


@pytest.mark.parametrize("family", WITHOUT_CONCAT)
def test_latency_by_following_every_path(family):
    network = mixed(family, "reference")
    counts, layers, sending = network.steps_per_layer(), {layer.name: layer for layer in network.layers}, set(coders(network))

    def paths(name):
        own = counts[name] if name in sending else 0
        return [own + earlier for source in sources(layers[name]) for earlier in paths(source)] or [own]

    assert network.latency_steps == max(max(paths(readout.name)) for readout in network.readouts)


def test_direct_input_takes_no_steps():
    network, x = case("analog", "gated")
    network = with_steps(network, 10, h=20)
    assert network.steps_per_layer() == {"x": None, "h": 20, "g": 10, "out": 10} and network.latency_steps == 30
    assert not differing_steps(network, x, simulate(network, x, "clock"))[0]


@pytest.mark.parametrize("family, slope", (("lines", "fan_in"), ("two_readouts", "reference"), ("direct_model", "gated")))
def test_a_file_keeps_them(tmp_path, family, slope):
    network, x = mixed(family, slope), case(family, slope)[1]
    ttfs_convert.save(network, tmp_path / "net.npz")
    loaded = ttfs_convert.load(tmp_path / "net.npz")
    assert loaded.steps_per_layer() == network.steps_per_layer() and loaded.latency_steps == network.latency_steps
    for engine in ("exact", "clock"):
        before, after = simulate(network, x, engine), simulate(loaded, x, engine)
        assert before.steps == after.steps
        for name, times in before.spike_times.items():
            assert times.tobytes() == after.spike_times[name].tobytes()
