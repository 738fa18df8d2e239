"""How many samples are run at a time where nobody says it."""

import pytest

from tests.models import Chain, converted
from ttfs_convert.memory_bound import at_most
from ttfs_convert.simulation import run_size
from ttfs_convert.simulation.run_size import MOST_SAMPLES, check_run, run_bytes, usual_batch, weight_bytes


@pytest.fixture(scope="module")
def network():
    return converted(Chain((2, 16, 16), seed=4).conv(8, pads=[1] * 4).relu1().readout(4).model(), mode="unchecked")


def test_small_networks_take_the_most(network):
    assert usual_batch(network) == MOST_SAMPLES == 64
    assert weight_bytes(network) == 4 * (2 * 8 * 9 + 8 * 256 * 4)


def test_large_ones_take_fewer_and_never_none(network, monkeypatch):
    neurons, pixels = 8 * 256 + 4, 2 * 256
    each = run_bytes(network)[1] + 16 * (neurons + pixels)
    for samples in (1, 2, 10, 63):
        monkeypatch.setattr(run_size, "LITTLE", samples * each)
        assert usual_batch(network) == samples
    monkeypatch.setattr(run_size, "LITTLE", 1)
    assert usual_batch(network) == 1


def test_a_bound_is_kept(network):
    fixed, each = run_bytes(network)
    with at_most(fixed + 100 * each):
        chosen = usual_batch(network)
        assert 1 < chosen < MOST_SAMPLES
        check_run(network, chosen)
