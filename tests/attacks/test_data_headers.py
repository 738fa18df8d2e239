"""An .npz of data whose members have headers that NumPy stumbles over is refused by name."""

import zipfile

import pytest

from tests.attacks.conftest import assert_refused, run

HEADERS = {
    "open brackets": b"((((((",
    "deep brackets": b"(" * 5000,
    "a truth value as a size": b"{'descr': '<f4', 'fortran_order': False, 'shape': (True, 2)}",
    "no text": b"\xff\xfe" * 8,
    "a negative size": b"{'descr': '<f4', 'fortran_order': False, 'shape': (-4, 2)}",
    "a huge size": b"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 2)}",
    "a size beyond 64 bits": b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,)}",
    "no dtype": b"{'descr': 'nonsense', 'fortran_order': False, 'shape': (4, 2)}",
    "a dtype of lists": b"{'descr': [[[]]], 'fortran_order': False, 'shape': (4, 2)}",
    "a dtype of numbers": b"{'descr': [(1, 2)], 'fortran_order': False, 'shape': (4, 2)}",
    "keys that no dictionary has": b"{[]: 1}",
    "other keys": b"{'shape': (4, 2)}",
    "objects": b"{'descr': '|O', 'fortran_order': False, 'shape': (4,)}",
    "a NUL": b"{'descr': '<f4\0', 'fortran_order': False, 'shape': (4, 2)}",
    "a call": b"__import__('os').system('true')",
}


@pytest.mark.parametrize("case", HEADERS)
def test_broken_headers_are_named(small, tmp_path, case):
    text = HEADERS[case].ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "broken.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + b"\0" * 64)
    assert_refused(run(small / "snn.npz", "--data", tmp_path / "broken.npz"), 4, "broken.npz", "array x")
