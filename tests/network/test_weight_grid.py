"""Weights of few bits in the file: what is not on the grid is refused."""

import io

import numpy as np
import pytest

from tests.models import Chain, converted
from tests.network.test_store import assert_refused, assert_round_trip, members_of, npy, write_members
from ttfs_convert.network.store import save
from ttfs_convert.network.weight_grid import integers


@pytest.fixture(scope="module")
def rounded():
    return converted(Chain((2, 5, 5), seed=2).conv(3, bias=False).relu1().readout(2).model(), mode="exact", weight_bits=4)


def test_round_trip(rounded, tmp_path):
    assert_round_trip(rounded, tmp_path)


def changed(members, ending, change):
    (name,) = [name for name in members if name.endswith(ending)]
    return {**members, name: npy(change(np.load(io.BytesIO(members[name]))))}


@pytest.mark.parametrize(
    "ending, change, fragment",
    (
        (".layers.1.connections.0.path.0.weights.npy", lambda w: w * np.float32(1.01), "weights that are not integers of 4 bits"),
        (".layers.1.connections.0.path.0.weights.npy", lambda w: w * np.float32(2), "weights that are not integers of 4 bits"),
        ("weight_grid.layers.0.scales.0.npy", lambda s: -s, "not positive"),
        ("weight_grid.layers.1.scales.0.npy", lambda s: np.nextafter(s, np.float32(9)), "weights that are not integers of 4 bits"),
    ),
)
def test_refuses_weights_off_the_grid(rounded, tmp_path, ending, change, fragment):
    path = tmp_path / "net.npz"
    save(rounded, path)
    write_members(path, changed(members_of(path), ending, change))
    assert_refused(path, fragment)


def test_refuses_grids_of_other_layers(rounded):
    grid = rounded.weight_grid
    for layers in (grid.layers[:1], grid.layers[::-1]):
        with pytest.raises(ValueError, match="a weight grid of other layers"):
            rounded.changed(weight_grid=grid.changed(layers=layers))
    (first, second) = grid.layers
    with pytest.raises(ValueError, match="scales of other shapes"):
        rounded.changed(weight_grid=grid.changed(layers=(first.changed(scales=(first.scales[0][:1],)), second)))


def test_integers_are_found_again_for_scales_of_any_size():
    q = np.arange(-127, 128, dtype=np.int8)[:, None]
    for scale in np.float32([1e-30, 1e-3, 1 / 3, 7.7e8]):
        np.testing.assert_array_equal(integers(q.astype(np.float32) * scale, np.array([scale])), q)
