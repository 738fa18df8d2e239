"""Files are written whole or not at all, and several of them all or none."""

import os
from functools import partial

import pytest

from ttfs_convert.errors import TtfsError, UsageError
from ttfs_convert.files.atomic import write_all


def put(content, file):
    file.write(content)


def fail(error, file):
    file.write(b"half")
    raise error


def test_all_files_are_written(tmp_path):
    write_all({tmp_path / "a": partial(put, b"1"), str(tmp_path / "b"): partial(put, b"2")})
    assert (tmp_path / "a").read_bytes() == b"1" and (tmp_path / "b").read_bytes() == b"2" and len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize(
    "error, expected, text",
    (
        (OSError(28, "No space left on device"), TtfsError, "b: cannot be written (No space left on device); free some space"),
        (PermissionError(13, "Permission denied"), UsageError, "b: cannot be written (Permission denied)"),
        (KeyboardInterrupt(), KeyboardInterrupt, ""),
    ),
)
def test_one_that_fails_leaves_all_as_they_were(tmp_path, error, expected, text):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(expected) as caught:
        write_all({tmp_path / "a": partial(put, b"new"), tmp_path / "b": partial(fail, error), tmp_path / "c": partial(put, b"new")})
    assert text in str(caught.value) and os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"old"


def test_a_place_where_no_file_can_stand_is_found_before_anything_is_written(tmp_path):
    with pytest.raises(UsageError, match="cannot be written"):
        write_all({tmp_path / "a": partial(fail, AssertionError("written")), tmp_path / "none" / "b": partial(put, b"2")})
    assert not os.listdir(tmp_path)
