"""Large arrays of a network that stay in its file: the same values, checked alike, readable after their memory was let go of."""

import mmap
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.models import Chain, converted
from ttfs_convert.errors import ModelError
from ttfs_convert.files.mapped import let_go
from ttfs_convert.network.network import Network
from ttfs_convert.network.store import SMALLEST_MAPPED, load, save
from ttfs_convert.simulation.engines import simulate

pytestmark = pytest.mark.skipif(os.name != "posix", reason="elsewhere arrays are read")

CHAIN = Chain((120,), seed=1).gemm(300).relu1().readout(5)


@pytest.fixture
def network() -> Network:
    return converted(CHAIN.model())


@pytest.fixture
def file(network, tmp_path) -> Path:
    save(network, tmp_path / "net.npz")
    return tmp_path / "net.npz"


def weights(network: Network) -> np.ndarray:
    """Those of the only large layer."""
    return network.layers[1].connections[0].path[0].weights


def in_file(array: np.ndarray) -> bool:
    base = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(getattr(base, "obj", base), mmap.mmap)


def test_large_arrays_stay_in_the_file_and_small_ones_do_not(network, file):
    mapped = load(file, mapped=True)
    assert weights(mapped).nbytes >= SMALLEST_MAPPED and in_file(weights(mapped)) and in_file(mapped.onnx)
    assert weights(mapped).flags.aligned and weights(mapped).flags.writeable, "as kernels are compiled for"
    assert not in_file(mapped.layers[1].bias) and not in_file(weights(load(file)))


def test_the_same_spikes(network, file):
    x = CHAIN.images(4)
    mapped = load(file, mapped=True)
    for _ in range(2):
        found, expected = simulate(mapped, x), simulate(network, x)
        assert np.array_equal(found.potentials, expected.potentials)
        assert all(np.array_equal(times, expected.spike_times[name]) for name, times in found.spike_times.items())
        let_go(mapped.onnx)
    assert np.array_equal(weights(mapped), weights(network)) and np.array_equal(mapped.onnx, network.onnx)


def test_replacing_the_file_changes_nothing(network, file):
    mapped = load(file, mapped=True)
    save(converted(Chain((120,), seed=2).gemm(300).relu1().readout(5).model()), file)
    let_go(mapped.onnx)
    assert np.array_equal(weights(mapped), weights(network))
    assert not np.array_equal(weights(load(file, mapped=True)), weights(network))


def test_what_is_written_to_an_array_does_not_reach_the_file(file):
    before, mapped = file.read_bytes(), load(file, mapped=True)
    weights(mapped)[0, 0] += 1
    assert file.read_bytes() == before


def test_refuses_flipped_bits(file):
    content = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        large = [info for info in archive.infolist() if info.file_size > SMALLEST_MAPPED]
        starts = [content.index(archive.read(info)) for info in large]
    assert len(large) >= 2
    for start, info in zip(starts, large):
        for position in (0, 64, 128, info.file_size // 2, info.file_size - 1):
            damaged = bytearray(content)
            damaged[start + position] ^= 1
            file.write_bytes(damaged)
            with pytest.raises(ModelError, match=r"net\.npz"):
                load(file, mapped=True)


def test_arrays_that_do_not_lie_well_are_read(network, file):
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:  # as other tools write it
        for name, content in members.items():
            archive.writestr(name, content)
    mapped = load(file, mapped=True)
    assert weights(mapped).flags.aligned and np.array_equal(weights(mapped), weights(network))
