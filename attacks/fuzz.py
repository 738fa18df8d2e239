"""Fuzz all that reads files: python -m attacks.fuzz --seconds 60 --seed 1. Prints a table in Markdown: inputs, outcomes, faults.

Every input gives a result or one of our errors. A fault is anything else: another exception, the end of the process, more than 10 seconds, more
memory than twice what the file has or says that it has unpacked (of one input in 16, with 8 MiB for what Python takes in any case), or damage that
is read as if it were none. Inputs follow from the seed, the target and a number: `--target T --number N --keep FILE` writes one. Each target has a
process of its own, in which another goes on behind an input that ended it.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ttfs_convert.errors import TtfsError
from ttfs_convert.memory_bound import at_most

SLOW = 10.0  # seconds that an input may take
KILLED = 3 * SLOW  # after which its process is ended
SLACK = 8 << 20  # bytes
TRACED = 16  # of so many inputs memory is traced for one
MOST = 1 << 30  # bytes that a network or an array may have
OUTCOMES = ("as it was", "another", "refused")


def main(arguments: list[str] | None = None) -> int:
    """The number of faults, at most 1."""
    from .fuzz_targets import MAKERS

    parser = argparse.ArgumentParser(prog="python -m attacks.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--inputs", type=int, help="so many of each target instead, in this process")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=MAKERS, help="one alone")
    parser.add_argument("--number", type=int, help="of the only input, or of the first")
    parser.add_argument("--keep", help="write the input of --target and --number here, and do not read it")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.worker:
        return worked(asked.target, asked.seed, asked.number or 0, asked.seconds)
    if asked.keep:
        Path(asked.keep).write_bytes(inputs(asked.target, asked.seed, asked.number or 0)[1])
        return 0
    names = [asked.target] if asked.target else [*MAKERS]
    print("| Target | Inputs | " + " | ".join(OUTCOMES) + " | faults | inputs a second |\n|---|---|---|---|---|---|---|")
    total, spent = Counter[str](), 0.0
    for name in names:
        if asked.inputs:
            counts, seconds = fuzzed_here(name, asked.seed, asked.inputs)
        else:
            counts, seconds = fuzzed(name, asked.seed, asked.seconds / len(names), asked.number or 0)
        spent += seconds
        total.update(counts)
        print(_row(name, counts, seconds), flush=True)
    print(_row("all", total, spent))
    return min(1, total["faults"])


def _row(name: str, counts: Counter[str], seconds: float) -> str:
    done = sum(counts.values())
    return f"| {name} | {done:,} | " + " | ".join(f"{counts[each]:,}" for each in (*OUTCOMES, "faults")) + f" | {done / max(seconds, 1e-9):,.0f} |"


def fuzzed(name: str, seed: int, seconds: float, first: int = 0) -> tuple[Counter[str], float]:
    """Outcomes of one target, and how long it was; faults are told on standard error."""
    counts: Counter[str] = Counter()
    began, number, suspect = time.monotonic(), first, -1
    while time.monotonic() - began < seconds or number == first:
        child = _Child(name, seed, number, max(0.0, seconds - (time.monotonic() - began)))
        for told in child.lines():
            counts.update(told["counts"])
            number = told["next"]
            for fault in told["faults"]:
                _tell(name, fault["number"], fault["text"])
        if child.ended_well():
            break
        number = child.at() if child.at() >= number else number  # those between were not counted: they are run once more, up to this one
        if child.silent and number != suspect:  # the machine may have been busy with others: once more
            suspect = number
            continue
        counts["faults"] += 1
        _tell(name, number, child.why())
        number += 1
    return counts, time.monotonic() - began


def fuzzed_here(name: str, seed: int, count: int) -> tuple[Counter[str], float]:
    """As `fuzzed`, of the first inputs: what ends a process ends this one."""
    warnings.simplefilter("ignore")
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, at_most(MOST):
        target, path, good = _prepared(name, Path(folder))
        began = time.monotonic()
        for number in range(count):
            outcome, fault = _outcome(target, path, *_input(target, name, seed, number), good, number % TRACED == 0)
            counts[outcome] += 1
            if fault:
                _tell(name, number, fault)
    return counts, time.monotonic() - began


def _tell(name: str, number: int, text: str) -> None:
    print(f"fault: --target {name!r} --number {number}: {text}", file=sys.stderr, flush=True)


class _Child:
    """A process that works on one target from a number on; what it tells, and how it ended."""

    def __init__(self, name: str, seed: int, first: int, seconds: float):
        self._place = tempfile.NamedTemporaryFile(suffix=".number")  # noqa: SIM115 - until it is dropped
        words = ["--worker", "--target", name, "--seed", str(seed), "--number", str(first), "--seconds", str(seconds)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "attacks.fuzz", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "FUZZ_AT": self._place.name},
        )
        self.silent = False

    def lines(self) -> Iterator[dict]:
        told: queue.Queue[bytes] = queue.Queue()
        self._error: list[bytes] = []
        readers = [
            threading.Thread(target=lambda: [told.put(line) for line in iter(self._process.stdout.readline, b"")] + [told.put(b"")], daemon=True),
            threading.Thread(target=lambda: self._error.append(self._process.stderr.read()), daemon=True),
        ]
        for reader in readers:
            reader.start()
        while True:
            try:
                line = told.get(timeout=KILLED + 60 * (self.at() < 0))  # preparing takes its time
            except queue.Empty:
                self.silent = True
                self._process.kill()
                continue
            if not line:
                break
            if line.startswith(b"{"):
                yield json.loads(line)
        self._process.wait()
        readers[1].join(5)

    def at(self) -> int:
        """The last number that was begun; -1 before the first."""
        return int(Path(self._place.name).read_text() or -1)

    def ended_well(self) -> bool:
        return self._process.returncode == 0

    def why(self) -> str:
        last = b"".join(self._error).decode(errors="replace").strip().splitlines()[-1:]
        return f"longer than {KILLED:.0f} s" if self.silent else f"the process ended with {self._process.returncode}: {' '.join(last)}"


def inputs(name: str, seed: int, number: int):
    """The target, and the input of that number."""
    from .fuzz_targets import targets

    target = targets(name)[name]
    return target, _input(target, name, seed, number)[1]


def _input(target, name: str, seed: int, number: int) -> tuple[bytes, bytes]:
    """The good file that it is made of, and it."""
    chance = random.Random(f"{seed} {name} {number}")
    good = chance.choice(target.seeds)
    return good, target.mutation(chance, good)


def worked(name: str, seed: int, first: int, seconds: float) -> int:
    """In the child: inputs from `first` on, and now and then a line of what became of them."""
    warnings.simplefilter("ignore")
    place = os.open(os.environ["FUZZ_AT"], os.O_WRONLY)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder, at_most(MOST):
        target, path, good = _prepared(name, Path(folder))
        counts, faults, began = Counter(), [], time.monotonic()
        told, number = began, first
        while time.monotonic() - began < seconds:
            os.pwrite(place, b"%-20d" % number, 0)
            outcome, fault = _outcome(target, path, *_input(target, name, seed, number), good, number % TRACED == 0)
            counts[outcome] += 1
            if fault:
                faults.append({"number": number, "text": fault})
            number += 1
            if time.monotonic() - told > 1 or faults:
                _send(counts, faults, number)
                counts, faults, told = Counter(), [], time.monotonic()
        _send(counts, faults, number)
    return 0


def _send(counts: Counter[str], faults: list[dict], number: int) -> None:
    print(json.dumps({"counts": counts, "faults": faults, "next": number}), flush=True)


def _prepared(name: str, folder: Path):
    """The target, the path of its inputs, and what good files are read as: they have to be, or nothing would be found."""
    from .fuzz_targets import targets

    target, found = targets(name)[name], {}
    path = folder / target.name
    path.parent.mkdir(exist_ok=True)
    for other, content in target.beside.items():
        (path.parent / other).write_bytes(content)
    for seed in target.seeds:
        path.write_bytes(seed)
        read = target.read(path)
        found[seed] = target.told(read) if target.told else ""
    return target, path, found


def _outcome(target, path: Path, seed: bytes, data: bytes, good: dict[bytes, str], traced: bool) -> tuple[str, str]:
    """One of OUTCOMES or "faults", and what the fault is."""
    from .fuzz_targets import declared

    path.write_bytes(data)
    if traced:
        tracemalloc.start()
    start, outcome, fault = time.monotonic(), "another", ""
    try:
        found = target.read(path)
        if data == seed or (target.told and target.told(found) == good[seed]):
            outcome = "as it was"
        elif target.told:
            fault = "damage that is read as another file"
    except TtfsError as error:
        outcome = "refused"
        if "\n" in str(error):
            fault = f"an error of several lines: {str(error)[:200]!r}"
    except (Exception, SystemExit) as error:
        fault = f"{type(error).__name__}: {str(error)[:200]}{_where(error)}"
    seconds, peak = time.monotonic() - start, 0
    if traced:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    if not fault and seconds > SLOW:
        fault = f"{seconds:.0f} s"
    if not fault and peak > 2 * declared(path) + SLACK:
        fault = f"{peak / 1e6:.0f} MB for {declared(path) / 1e6:.1f} MB"
    return ("faults", fault) if fault else (outcome, "")


def _where(error: BaseException) -> str:
    """The line of ours that it came through last."""
    trace, found = error.__traceback__, ""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if "ttfs_convert" in name or "/kernels/" in name:
            found = f" ({Path(name).name}:{trace.tb_lineno})"
        trace = trace.tb_next
    return found


if __name__ == "__main__":
    sys.exit(main())
