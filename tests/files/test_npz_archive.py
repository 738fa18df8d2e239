"""Archives of arrays whose directory or headers say something else than their bytes."""

import tracemalloc
import zipfile

import numpy as np
import pytest

from ttfs_convert.data import load_dataset
from ttfs_convert.errors import DataError
from ttfs_convert.files.npz_archive import npz_archive, read_member
from ttfs_convert.memory_bound import at_most


@pytest.fixture
def path(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.ones((4, 3), np.float32), y=np.arange(4))
    return tmp_path / "d.npz"


def member(path, header, data):
    text = header.encode().ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data)


def test_a_member_that_damage_hides_is_missed(path):
    """A comment of the first one, by one bit, swallows the second: labels that were there."""
    assert load_dataset(path).y.tolist() == [0, 1, 2, 3]
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\x01\x02")
    data[directory + 32] ^= 0x40  # length of the comment; what follows is as long
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["x.npy"]
    with pytest.raises(DataError, match="a directory of 2 members, 1 found"):
        load_dataset(path)


def test_a_member_under_another_name_in_the_directory_is_missed(path):
    data = path.read_bytes()
    at = data.index(b"y.npy", data.index(b"PK\x01\x02"))
    path.write_bytes(data[:at] + b"z" + data[at + 1 :])
    with pytest.raises(DataError, match="differ"):
        load_dataset(path)


def test_comments_and_many_members_are_no_damage(tmp_path):
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.comment = b"by hand"
        for number in range(65_600):  # more than the directory's record can count without its larger form
            archive.writestr(f"{number}", b"")
    with npz_archive(tmp_path / "d.npz") as archive:
        assert len(archive.namelist()) == 65_600


@pytest.mark.parametrize("shape", ("(2, 3)", "(5, 3)", "(4, 2)", "(4,)"))
def test_a_header_of_another_size_than_its_bytes_is_refused(tmp_path, shape):
    """A smaller one, too: the archive's checksum is only held against all bytes of a member."""
    path = tmp_path / "d.npz"
    member(path, f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}", np.ones((4, 3), "<f4").tobytes())
    with pytest.raises(DataError, match="array x .* bytes instead of"):
        load_dataset(path)


def test_what_the_header_claims_alone_is_not_allocated(tmp_path):
    path = tmp_path / "d.npz"
    member(path, "{'descr': '<f4', 'fortran_order': False, 'shape': (30000000,)}", b"\0" * 100)
    tracemalloc.start()
    with pytest.raises(DataError):
        load_dataset(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


def test_an_array_that_memory_does_not_hold(path):
    with at_most(1000), npz_archive(path) as archive:
        assert read_member(archive, "x").shape == (4, 3)
    with at_most(100), pytest.raises(DataError, match=r"array x .*more than the 100 bytes that --max-memory allows"):
        load_dataset(path)
