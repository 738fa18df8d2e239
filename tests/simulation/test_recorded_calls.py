"""A network's calls, recorded and made again on other data, give what they give one by one."""

import numba
import numpy as np
import pytest

from tests.kernels.cases import with_threads
from tests.simulation.test_prepared_layers import CASES, _network
from ttfs_convert.kernels import call_table as program
from ttfs_convert.kernels._threads import CALLER
from ttfs_convert.kernels.decoding import ONE, add_decoded
from ttfs_convert.kernels.pool import max_pool
from ttfs_convert.network.synapses.connection import Connection
from ttfs_convert.network.synapses.dense import Dense
from ttfs_convert.simulation import exact_engine as exact
from ttfs_convert.simulation.exact_engine import Simulator
from ttfs_convert.simulation.recorded_calls import Program

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="what is recorded is run by compiled code")
COMPILED = sorted(set(CASES) - {"scaled", "two shortcuts"})


def _network_of_weights(case, kind, rng):
    """As in test_prepared_layers, but its readout too has weights."""
    connections, shape = CASES[case]
    network = _network(connections, shape, rng.normal(0.1, 0.1, shape[-1:]).astype(np.float32), kind)
    *layers, last = network.layers
    if kind == "readout":
        return network
    size = int(np.prod(shape))
    path = (Dense(in_shape=(size,), out_shape=(5,), weights=rng.normal(0, 0.1, (size, 5)).astype(np.float32)),)
    sums, index = path[0].weights.sum(0), np.arange(5)
    last = last.model_copy(
        update=dict(connections=(Connection(source="l", path=path),), shape=(5,), onnx_shape=(5,), index=index, weight_sums=sums, bias=None)
    )
    return network.model_copy(update={"layers": (*layers, last)})


def _random(network, rng, images):
    return {
        layer.onnx_name: rng.random((images, *layer.onnx_shape), np.float32) * (rng.random((images, *layer.onnx_shape)) < 0.6)
        for layer in network.inputs
    }


@pytest.fixture
def made_again(monkeypatch):
    """The programs that ran, one entry a batch."""
    programs = []

    class Seen(Program):
        def __call__(self, entries):
            programs.append(self)
            return super().__call__(entries)

    monkeypatch.setattr(exact, "Program", Seen)
    return programs


def _by_layer(network, x, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(exact, "PROGRAM_BYTES", 0)
        simulator = Simulator(network)
        simulator(x)
        return simulator(x)


def _assert_equal(found, expected):
    for theirs, ours in ((expected.spike_times, found.spike_times), (expected.readouts, found.readouts)):
        assert list(ours) == list(theirs)
        for name in theirs:
            assert ours[name].dtype == theirs[name].dtype
            np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.parametrize("case", COMPILED)
@pytest.mark.parametrize("kind", ("readout", "spiking"))
@pytest.mark.parametrize("threads", (1, 2))
def test_a_recorded_batch_is_made_again_on_other_data(case, kind, threads, made_again, monkeypatch):
    rng = np.random.default_rng(5)
    network = _network_of_weights(case, kind, rng)
    simulator, batches = Simulator(network), [_random(network, rng, images) for images in (3, 3, 1, 3, 1)]
    found = with_threads(threads, lambda: [simulator(x) for x in batches])
    second, fourth, fifth = made_again
    assert second is fourth is not fifth, "not one program for each size"
    for x, recording in zip(batches, found):  # compared behind the last, so that a batch that overwrites another's results is seen
        _assert_equal(recording, _by_layer(network, x, monkeypatch))
    assert len(made_again) == 3


def test_a_network_with_other_parts_runs_layer_by_layer(made_again):
    rng = np.random.default_rng(6)
    simulator = Simulator(_network_of_weights("scaled", "spiking", rng))
    first, second = (_random(simulator.network, rng, 2) for _ in range(2))
    simulator(first)
    _assert_equal(simulator(second), Simulator(simulator.network)(second))
    assert made_again == []


def test_arrays_in_other_layouts_are_read_as_they_are():
    rng = np.random.default_rng(7)
    simulator = Simulator(_network_of_weights("one", "spiking", rng))
    x = _random(simulator.network, rng, 2)
    expected = simulator(x)
    _assert_equal(simulator({name: np.asfortranarray(values) for name, values in x.items()}), expected)
    _assert_equal(simulator({name: values.astype(np.float64) for name, values in x.items()}), expected)


def _pool(times, out):
    max_pool(times, np.uint8(9), (2, 2), (2, 2), (1, 1), (0, 0), out)


def test_what_run_does_not_know_is_called_as_it_is():
    times, steps = np.arange(32, dtype=np.uint8).reshape(1, 4, 4, 2) % 10, np.arange(8, dtype=np.uint16).reshape(2, 4)
    calls, out, potential = [], np.empty((1, 2, 2, 2), np.uint8), np.zeros((2, 4), np.float32)
    with CALLER, program.through_run(calls):
        _pool(times, out)
        add_decoded(steps, 8, ONE, potential)
    expected = np.empty_like(out)
    _pool(times, expected)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(potential, np.float32(1) - steps / np.float32(8))
    assert len(calls) == 2
    assert program.table(calls[:1], lambda array: (0, program.address(array))) is not None
    assert program.table(calls, lambda array: (0, program.address(array))) is None


@pytest.mark.parametrize(
    "arguments",
    (
        (np.zeros((1, 2, 2, 8), np.uint16), np.uint8(9)),  # another dtype
        (np.zeros((1, 2, 2, 16), np.uint8)[..., ::2], np.uint8(9)),  # another layout
        (np.zeros((1, 2, 2, 8), np.uint8), 0.5),
    ),
)  # a float for an integer
def test_run_takes_what_it_was_compiled_for_alone(arguments):
    call = program.Call(program.max_pool_shared, 1, 1, (*arguments, (2, 2), (2, 2), (1, 1), (0, 0), np.zeros((1, 1, 1, 8), np.uint8)))
    assert program.table([call], lambda array: (0, 0)) is None


def test_memory_is_used_again_by_permission_alone():
    rng = np.random.default_rng(8)
    simulator = Simulator(_network_of_weights("one", "spiking", rng))
    x, other = (_random(simulator.network, rng, 2) for _ in range(2))
    simulator(x)
    first = simulator(x)
    kept = {name: times.copy() for name, times in first.spike_times.items()}
    potentials = first.potentials.copy()
    for _ in range(3):
        simulator(other)
    for name, times in first.spike_times.items():
        np.testing.assert_array_equal(times, kept[name])
    place = program.address(first.spike_times["l"])
    first.done()
    first.done()  # said twice it is no second permission
    third, fourth = simulator(other), simulator(other)
    assert [program.address(each.spike_times["l"]) == place for each in (third, fourth)] == [True, False]
    np.testing.assert_array_equal(first.potentials, potentials)
    _assert_equal(third, fourth)
    third.done()
    assert program.address(simulator(x).spike_times["l"]) == place
