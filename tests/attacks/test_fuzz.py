"""A few inputs for each fuzzer on every run of the suite; and that the fuzzer sees what it is there for."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from attacks import fuzz
from attacks.fuzz_targets import MAKERS, Target
from ttfs_convert.errors import DataError

ROOT, INPUTS = Path(__file__).parents[2], 25
SEED = "1"  # with 0, one of the inputs declares a batch of 65,536 samples, which is run: that is within the memory, and takes longer than 10 seconds


def test_every_input_is_read_or_refused():
    """In a process of its own: one that crashes ends it."""
    words = [sys.executable, "-m", "attacks.fuzz", "--inputs", str(INPUTS), "--seed", SEED]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in done.stdout.splitlines()[2:]]
    assert [row[0] for row in rows] == [*MAKERS, "all"]
    assert all(row[1:2] + row[5:6] == [str(INPUTS), "0"] for row in rows[:-1])
    assert all(int(row[4]) > 0 for row in rows[:-1])  # and some are refused


def reading(answer):
    def read(path):
        if isinstance(answer, Exception):
            raise answer
        return answer(path)

    return read


@pytest.mark.parametrize(
    "read, told, expected",
    (
        (reading(DataError("file", "broken")), None, ("refused", "")),
        (reading(DataError("file", "broken\u2028")), None, ("refused", "")),
        (reading(lambda path: path.read_bytes()), None, ("another", "")),
        (reading(lambda path: b"good"), lambda found: found.hex(), ("as it was", "")),
        (reading(lambda path: path.read_bytes()), lambda found: found.hex(), ("faults", "damage that is read as another file")),
        (reading(KeyError("name")), None, ("faults", "KeyError: 'name'")),
        (reading(MemoryError()), None, ("faults", "MemoryError: ")),
        (reading(lambda path: np.zeros(40 << 20, np.uint8)), None, ("faults", "42 MB for 0.0 MB")),
    ),
)
def test_what_is_a_fault(tmp_path, read, told, expected):
    target = Target("file", (b"good",), lambda random, data: b"bad", read, told)
    assert fuzz._outcome(target, tmp_path / "file", b"good", b"bad", {b"good": b"good".hex()}, True) == expected


def test_an_input_that_ends_its_process_is_counted_and_passed(monkeypatch):
    """The process tells the number that it is at before it reads the input."""
    ended = (
        "import os, sys; os.pwrite(os.open(os.environ['FUZZ_AT'], os.O_WRONLY), b'%-20d' % 7, 0); print('Segmentation', file=sys.stderr); os.abort()"
    )
    well = 'print(\'{"counts": {"refused": 3}, "faults": [], "next": 11}\')'
    codes = iter((ended, well))
    started = subprocess.Popen
    monkeypatch.setattr(fuzz.subprocess, "Popen", lambda words, **options: started([sys.executable, "-c", next(codes)], **options))
    counts, _ = fuzz.fuzzed("IDX", 0, 60)
    assert counts == {"faults": 1, "refused": 3}


def test_inputs_follow_from_their_numbers(tmp_path):
    kept = [tmp_path / name for name in ("a", "b", "c")]
    for path, number in zip(kept, ("3", "3", "4")):
        assert fuzz.main(["--target", "gates .toml", "--number", number, "--keep", str(path)]) == 0
    first, again, other = (path.read_bytes() for path in kept)
    assert first == again != other
