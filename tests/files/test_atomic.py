"""Files are written whole or not at all, and several of them all or none."""

import errno
import os
from functools import partial

import pytest

from ttfs_convert.errors import TtfsError, UsageError
from ttfs_convert.files import temporary
from ttfs_convert.files.atomic import whole_file, write_all


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


def failing(monkeypatch, name, code, after=0):
    """os.`name` fails once as the system does, behind so many calls that go well."""
    calls, real = [], getattr(os, name)

    def fail(*arguments, **options):
        calls.append(arguments)
        if len(calls) == after + 1:
            raise OSError(code, os.strerror(code))
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, fail)
    return calls


@pytest.mark.parametrize("code", (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EDQUOT), ids=errno.errorcode.get)
@pytest.mark.parametrize("name, after", (("fsync", 0), ("fsync", 1), ("replace", 0), ("replace", 1), ("chmod", 1)))
def test_whatever_fails_all_are_as_they_were(tmp_path, monkeypatch, name, after, code):
    """Before the first is put in its place, and between both."""
    (tmp_path / "old").write_bytes(b"old")
    calls = failing(monkeypatch, name, code, after)
    with pytest.raises(TtfsError, match="cannot be written") as caught:
        write_all({tmp_path / "old": partial(put, b"new"), tmp_path / "none": partial(put, b"new")})
    monkeypatch.undo()
    assert len(calls) > after and os.strerror(code) in str(caught.value)
    assert os.listdir(tmp_path) == ["old"] and (tmp_path / "old").read_bytes() == b"old"


def test_the_first_of_two_new_files_is_taken_back(tmp_path, monkeypatch):
    failing(monkeypatch, "replace", errno.EPERM, 1)
    with pytest.raises(UsageError):
        write_all({tmp_path / "a": partial(put, b"new"), tmp_path / "b": partial(put, b"new")})
    assert not os.listdir(tmp_path)


def test_content_is_on_the_disk_before_its_name(tmp_path, monkeypatch):
    """Else a power failure could leave the name with nothing behind it."""
    done, sync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append(os.fstat(descriptor).st_size) or sync(descriptor))
    monkeypatch.setattr(os, "replace", lambda *names: done.append("named") or replace(*names))
    write_all({tmp_path / "a": partial(put, b"1"), tmp_path / "b": partial(put, b"22")})
    assert done[:4] == [1, 2, "named", "named"]


def test_what_a_killed_writer_left_is_removed_by_the_next_one(tmp_path):
    pytest.importorskip("fcntl")
    left = tmp_path / temporary._new_name("other")
    left.write_bytes(b"half")
    write_all({tmp_path / "a": partial(put, b"1")})
    assert os.listdir(tmp_path) == ["a"]


def test_disks_without_hard_links(tmp_path, monkeypatch):
    """All but taking back goes on."""
    failing(monkeypatch, "link", errno.EPERM)
    (tmp_path / "a").write_bytes(b"old")
    write_all({tmp_path / "a": partial(put, b"new"), tmp_path / "b": partial(put, b"new")})
    assert sorted(os.listdir(tmp_path)) == ["a", "b"] and (tmp_path / "a").read_bytes() == b"new"


def test_a_file_that_grows_is_put_in_its_place_when_it_is_whole(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(KeyError), whole_file(tmp_path / "a") as file:
        file.write(b"half")
        raise KeyError
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"old"
    with whole_file(tmp_path / "a") as file:
        file.write(b"new")
        assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"new"
