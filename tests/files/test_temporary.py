"""Temporary files: those of the dead are removed, those of the living and of others never."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ttfs_convert.files import temporary
from ttfs_convert.files.temporary import ENDING, remove_abandoned, scratch, temporary_file, temporary_folder

pytest.importorskip("fcntl")
WRITING = """
import sys, time
from pathlib import Path
from ttfs_convert.files.temporary import temporary_file, temporary_folder
with temporary_file(Path(sys.argv[1]), "snn.npz") as file, temporary_folder(Path(sys.argv[1]), "spikes.npz") as folder:
    file.write(b"half"); file.flush()
    (folder / "0").write_bytes(b"half")
    print("begun", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path):
    """A process that is about to write a file and a folder."""
    child = subprocess.Popen([sys.executable, "-c", WRITING, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "begun\n"
    yield child
    child.kill()
    child.communicate()


def test_what_a_killed_process_left_is_removed_and_nothing_before(tmp_path, writer):
    left = sorted(tmp_path.iterdir())
    assert len(left) == 2 and all(path.name.endswith(ENDING) for path in left)
    remove_abandoned(tmp_path)
    assert sorted(tmp_path.iterdir()) == left
    writer.kill()
    writer.wait()
    remove_abandoned(tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_this_process_writes_stays(tmp_path):
    with temporary_file(tmp_path, "a") as file, temporary_folder(tmp_path, "b") as folder:
        remove_abandoned(tmp_path)
        assert sorted(map(str, tmp_path.iterdir())) == sorted((file.name, str(folder)))
    assert not list(tmp_path.iterdir())


def abandoned(folder, name="snn.npz"):
    path = folder / temporary._new_name(name)
    path.write_bytes(b"half")
    return path


def test_what_is_not_ours_stays(tmp_path, monkeypatch):
    ours, target = abandoned(tmp_path), tmp_path / "target"
    target.write_bytes(b"kept")
    others = [tmp_path / name for name in (f"snn.npz{ENDING}", f".snn.npz{ENDING}", ".snn.npz.0123abcd", ours.name + "x", ours.name.lstrip("."))]
    for path in others:
        path.write_bytes(b"kept")
    link = tmp_path / temporary._new_name("link")
    link.symlink_to(target)
    os.mkfifo(pipe := tmp_path / temporary._new_name("pipe"))
    monkeypatch.setattr(temporary.platform, "node", lambda: "another machine")
    others.append(abandoned(tmp_path))
    monkeypatch.undo()
    remove_abandoned(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([target, link, pipe, *others])
    assert target.read_bytes() == b"kept"


def test_another_users_stay(tmp_path, monkeypatch):
    path = abandoned(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    remove_abandoned(tmp_path)
    assert path.exists()


def test_without_locks_nothing_is_removed(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(38, "Function not implemented")

    path = abandoned(tmp_path)
    monkeypatch.setattr(temporary.fcntl, "flock", no_locks)
    remove_abandoned(tmp_path)
    with temporary_file(tmp_path, "a") as file:
        assert Path(file.name).exists()
    assert list(tmp_path.iterdir()) == [path]


def test_one_that_was_taken_for_abandoned_is_made_again(tmp_path, monkeypatch):
    """Between its making and its lock."""
    lock, taken = temporary.fcntl.flock, []

    def faster(descriptor, how):
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        lock(descriptor, how)

    monkeypatch.setattr(temporary.fcntl, "flock", faster)
    with temporary_file(tmp_path, "a") as file:
        assert len(taken) == 1 and Path(file.name).exists() and file.name != str(taken[0])


def test_scratch_of_a_killed_command_is_removed_by_the_next(tmp_path):
    code = "import tempfile, os; from ttfs_convert.files.temporary import scratch\nwith scratch():\n    print(tempfile.mkdtemp(), flush=True); %s"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    for end, left in (("os.kill(os.getpid(), 9)", 1), ("pass", 0)):
        done = subprocess.run([sys.executable, "-c", code % end], env=environment, capture_output=True, text=True)
        assert Path(done.stdout).parent.name.endswith(ENDING) and Path(done.stdout).is_relative_to(tmp_path)
        assert len(list(tmp_path.iterdir())) == left, done.stderr


def test_scratch_is_left_as_it_was_found():
    before = tempfile.gettempdir()
    with scratch():
        assert tempfile.gettempdir() != before and Path(tempfile.gettempdir()).parent == Path(before)
    assert tempfile.gettempdir() == before
