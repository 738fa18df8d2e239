"""TOML files that tomllib stumbles over are refused by name."""

import pytest

from ttfs_convert.errors import DataError
from ttfs_convert.files.toml_file import LARGEST, read_toml
from ttfs_convert.gates.gate_list import read_gates
from ttfs_convert.measurement.cost_table import cost_table


@pytest.mark.parametrize(
    "content, words",
    (
        (b"a = " + b"[" * 100_000, "no TOML"),
        (b"a = " + b"9" * 5000, "no TOML"),
        (b"\xff", "no TOML"),
        (b"a = 1\na = 2", "no TOML"),
        (b"#" * (LARGEST + 1), "more than 1,048,576 bytes"),
    ),
    ids=("brackets", "digits", "no UTF-8", "a key twice", "large"),
)
def test_broken_files_are_named(tmp_path, content, words):
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    for read in (read_gates, cost_table, lambda path: read_toml(path, "a table")):
        with pytest.raises(DataError, match=words) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_ends_of_lines_are_those_of_any_system(tmp_path):
    (tmp_path / "a.toml").write_bytes(b'a = """\r\nx\r\n"""\r\nb = 2\r\n')
    assert read_toml(tmp_path / "a.toml", "a table") == {"a": "x\n", "b": 2}
