"""What a command says while it works, where nobody has a window."""

import time

import pytest

from ttfs_convert.cli import progress_lines
from ttfs_convert.progress import counted


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves: clock[0] in seconds."""
    monkeypatch.setattr(progress_lines, "PATIENCE", 2.0)
    now = [100.0]
    monkeypatch.setattr(progress_lines.time, "monotonic", lambda: now[0])
    return now


def test_lines_in_a_pipe_double_their_distance(capsys, clock):
    with progress_lines.progress("running, samples") as tell:
        for second in range(1, 101):
            clock[0] += 1
            tell(20 * second, 2000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "running, samples: 40 of 2,000, about 98 s left"
    assert [line.split()[2] for line in lines] == ["40", "80", "160", "320", "640", "1,280"]


def test_what_is_quick_is_not_told(capsys, clock):
    with progress_lines.progress("running, samples") as tell:
        clock[0] += 1.9
        tell(1, 2)
        clock[0] += 30
        tell(2, 2)  # done: nothing left to wait for
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("seconds, text", ((3.4, "3 s"), (119, "119 s"), (150, "2 min"), (7100, "118 min"), (9000, "2 h")))
def test_durations_are_in_the_unit_that_people_choose(seconds, text):
    assert progress_lines.duration(seconds) == text


def test_what_the_library_counts_is_heard(capsys, clock):
    with progress_lines.hearing():
        for what in ("calibrating, batches", "fitting, layers"):
            for part in counted(what, "abcd", 4):
                clock[0] += 1.5
                assert part in "abcd"
    assert capsys.readouterr().err.splitlines() == ["calibrating, batches: 3 of 4, about 2 s left", "fitting, layers: 3 of 4, about 2 s left"]


def test_nobody_has_to_listen():
    assert list(counted("calibrating, batches", iter("abc"), 3)) == ["a", "b", "c"]


def test_patience_ends_where_something_happens(capsys, monkeypatch):
    monkeypatch.setattr(progress_lines, "PATIENCE", 0.05)
    with progress_lines.patience("kernels are compiled once") as begun:
        begun()
        time.sleep(0.2)
    assert capsys.readouterr().err == ""
    with progress_lines.patience("kernels are compiled once"):
        time.sleep(0.2)
    assert capsys.readouterr().err == "kernels are compiled once\n"
