"""No bit of any engine's result depends on how a batch is split, on its other images, or on the number of threads."""

import numpy as np
import pytest

from tests.kernels.cases import with_threads
from tests.simulation.networks import case
from ttfs_convert.simulation.engines import simulate, simulator
from ttfs_convert.simulation.recording import Recording

ENGINES = (
    ("exact", "dynamic", None),
    ("exact", "dynamic", 20),
    ("clock", "dynamic", 7),
    ("event", "dynamic", None),
    ("event", "fixed", None),
    ("clock", "fixed", 4),
)
NETWORKS = ("separable", "fan_in"), ("chained", "reference"), ("wires", "fan_in"), ("averages", "gated")
CASES = [(*engine, *network) for engine in ENGINES for network in NETWORKS if (engine[1], network[1]) != ("fixed", "gated")]


def bits(*recordings: Recording) -> list[bytes]:
    """Of all spike times and potentials of several recordings, one behind another."""
    times = [np.concatenate([each.spike_times[name] for each in recordings]).tobytes() for name in recordings[0].spike_times]
    return times + [np.concatenate([each.readouts[name] for each in recordings]).tobytes() for name in recordings[0].readouts]


@pytest.mark.parametrize("engine, threshold, steps, family, slope", CASES)
def test_no_bit_depends_on_the_batch_or_on_threads(engine, threshold, steps, family, slope):
    network, x = case(family, slope)
    run = simulator(network.with_steps(steps), engine, threshold)
    name = network.inputs[0].onnx_name
    whole = bits(run({name: x}))
    for size in (1, 3):
        assert bits(*(run({name: x[start : start + size]}) for start in range(0, len(x), size))) == whole
    assert bits(run({name: x[::-1]}))[0] != whole[0]
    assert bits(run({name: np.concatenate([x, 1 - x])[: len(x)]})) == whole
    assert bits(run({name: x})) == whole  # nothing is left from the runs before
    assert with_threads(2, lambda: bits(run({name: x}))) == whole


@pytest.mark.parametrize("engine, threshold, steps", ENGINES)
def test_the_inputs_stay_as_they_are(engine, threshold, steps):
    network, x = case("lines", "fan_in")
    before = x.copy()
    first = simulate(network.with_steps(steps), x, engine, threshold)
    assert x.tobytes() == before.tobytes()
    assert bits(simulate(network.with_steps(steps), x, engine, threshold)) == bits(first)
