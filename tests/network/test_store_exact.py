"""The file format for what mode exact adds: ranges, scales, concatenations, direct input, calibration."""

import io

import numpy as np
import pytest

from tests.models import Chain, converted, dataset
from tests.network.test_store import assert_equal, assert_refused, assert_round_trip, members_of, npy, write_members
from ttfs_convert.network.network import Network
from ttfs_convert.network.store import load, save
from ttfs_convert.simulation.engines import simulate


@pytest.fixture(scope="module")
def exact_network() -> Network:
    """Concat, Scale per channel and by position, Reorder, MaxPool, AveragePool, ranges that do not start at 0, calibration."""
    chain = Chain((2, 6, 5)).conv(3, pads=[1] * 4).add("Relu").batch_norm(1, -1)
    early = chain.at
    chain.conv(3, pads=[1] * 4).add("Add", early).add("Relu").add("Concat", early, axis=1)
    chain.add("Mul", chain.rng.uniform(0.5, 1.5, (6, 6, 5)).astype(np.float32)).add("MaxPool", kernel_shape=[2, 2])
    chain.add("Transpose", perm=[0, 1, 3, 2]).conv(4, (2, 2)).add("Relu").add("AveragePool", kernel_shape=[2, 2])
    model = chain.readout().model()
    return converted(model, mode="exact", slope="reference", calibrate=dataset(chain.images(4, -1, 2)), input_range=(-1, 2), steps=300)


def test_round_trip_of_mode_exact(exact_network, tmp_path):
    assert {"concat", "reorder", "max_pool"} < {layer.kind for layer in exact_network.layers}
    connections = [each for layer in exact_network.layers for each in getattr(layer, "connections", ())]
    steps = [step for each in connections for step in each.path]
    assert {step.kind for step in steps} == {"conv", "dense", "scale", "average_pool"}
    assert {step.weights.ndim for step in steps if step.kind == "scale"} == {1, 3}
    assert_round_trip(exact_network, tmp_path)
    loaded = load(tmp_path / "first.npz")
    assert loaded.calibration == exact_network.calibration is not None and loaded.calibration.samples == 4
    assert (loaded.slope, loaded.inputs[0].bounds) == ("reference", (-1, 2))


@pytest.mark.parametrize("options", ({"input_range": None}, {"steps": None}))
def test_a_loaded_network_does_the_same(options, tmp_path):
    chain = Chain((2, 6, 5)).conv(3, pads=[1] * 4).add("Relu").readout()
    x = chain.images(3)
    network = converted(chain.model(), mode="exact", calibrate=dataset(x), **options)
    save(network, tmp_path / "net.npz")
    loaded = load(tmp_path / "net.npz")
    assert_equal(loaded.model_dump(), network.model_dump())
    assert simulate(loaded, x).potentials.tobytes() == simulate(network, x).potentials.tobytes()


def test_refuses_ranges_that_are_broken(exact_network, tmp_path):
    path = tmp_path / "net.npz"
    save(exact_network, path)
    members = members_of(path)
    (name,) = [name for name in members if name.endswith(".layers.1.hi.npy")]
    for change, fragment in ((lambda hi: hi - 100, "a range that is empty"), (lambda hi: hi * np.float32("nan"), "not finite")):
        write_members(path, {**members, name: npy(change(np.load(io.BytesIO(members[name]))))})
        assert_refused(path, fragment)
