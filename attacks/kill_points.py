"""Stop commands at random points: python -m attacks.kill_points --kills 100 --seed 1. Prints a table in Markdown.

Each command runs on the small example into a folder that has files of earlier runs, and gets SIGKILL, SIGTERM or SIGINT somewhere between its start
and its usual end. Then every file has to be the old one or the whole new one (of an interrupted run a report that says so); of SIGTERM and SIGINT one
line, 143 or 130 as the exit code, and nothing temporary may be left. After that the command runs again: it has to end well, leave the figures of an
undisturbed run, go on from its --resume file if it has one, and remove what a killed one has left.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

EXAMPLE = Path(__file__).parents[1] / "examples" / "fashion_mnist"
OLD = b"an older file\n"
SIGNALS = {"SIGKILL": (signal.SIGKILL, (-9,)), "SIGTERM": (signal.SIGTERM, (143, 0)), "SIGINT": (signal.SIGINT, (130, 0))}
DATA = ("--data", "{example}/images.npz", "--limit", "48", "--threads", "1")
COMMANDS = {  # arguments, and what they write; {made}: what earlier commands wrote
    "convert": ("{example}/model.onnx --mode unchecked --out snn.npz --json layers.json", ("snn.npz", "layers.json")),
    "run": ("{made}/snn.npz {data} --batch 8 --spikes spikes.npz --json report.json", ("spikes.npz", "report.json")),
    "run --resume": ("{made}/snn.npz {data} --batch 4 --verify 0 --resume sums.npz --json report.json", ("report.json",)),
    "run --sweep": ("{made}/snn.npz {data} --sweep drop=0.1,0.5 --repeats 2 --resume log.jsonl --json sweep.json", ("sweep.json",)),
    "tune": ("{made}/snn.npz {data} --max-drop 50 --out tuned.npz --json tuning.json", ("tuned.npz", "tuning.json")),
    "plot": ("{made}/sweep.json --out figure.svg", ("figure.svg",)),
}
TIMES = ("timing", "tool")  # fields of reports that differ from run to run


@dataclass
class Bench:
    """A folder with what undisturbed commands made, by command, and how long they took; another for temporary files."""

    made: Path
    scratch: Path
    seconds: dict[str, float]
    whole: dict[str, dict[str, object]]


def main() -> int:
    """The number of faults, at most 1."""
    parser = argparse.ArgumentParser(prog="python -m attacks.kill_points", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        bench = prepared(Path(folder))
        names = [*COMMANDS]
        found: dict[str, Counter[str]] = {name: Counter() for name in names}
        for number in range(asked.kills):
            name, how = names[number % len(names)], [*SIGNALS][number // len(names) % len(SIGNALS)]
            after = chance.uniform(0, bench.seconds[name])
            told, faults = killed(bench, name, how, after)
            found[name].update(told)
            for fault in faults:
                found[name]["faults"] += 1
                print(f"fault: {name}, {how} after {after:.2f} s: {fault}", file=sys.stderr, flush=True)
    columns = ("stops", "too late", "old files", "new files", "partial reports", "left behind", "faults")
    print(f"| Command | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name, counts in {**found, "all": sum(found.values(), Counter())}.items():
        print(f"| {name} | " + " | ".join(str(counts[column]) for column in columns) + " |")
    return min(1, sum(counts["faults"] for counts in found.values()))


def prepared(folder: Path) -> Bench:
    """Every command undisturbed, the second time timed: the first compiles kernels."""
    bench = Bench(folder / "made", folder / "scratch", {}, {})
    for each in (bench.made, bench.scratch):
        each.mkdir()
    for name, (_, outputs) in COMMANDS.items():
        for _ in range(2):
            for file in ("sums.npz", "log.jsonl"):
                (bench.made / file).unlink(missing_ok=True)
            start = time.monotonic()
            done = started(bench, name, bench.made)
            _, error = done.communicate()
            bench.seconds[name] = time.monotonic() - start
            if done.returncode:
                raise SystemExit(f"{name}: {error.decode()}")
        bench.whole[name] = {output: figures(bench.made / output) for output in outputs}
    return bench


def started(bench: Bench, name: str, folder: Path) -> subprocess.Popen[bytes]:
    """The command, with `folder` to work in."""
    command, given = name.split()[0], COMMANDS[name][0].replace("{data}", " ".join(DATA))
    code = f"import sys; sys.argv[0] = 'ttfs-{command}'; from ttfs_convert.cli.entry import ttfs_{command}; ttfs_{command}()"
    words = given.replace("{example}", str(EXAMPLE)).replace("{made}", str(bench.made)).split()
    environment = {**os.environ, "TMPDIR": str(bench.scratch), "PYTHONPATH": str(EXAMPLE.parents[1])}
    return subprocess.Popen([sys.executable, "-c", code, *words], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def left_behind(bench: Bench, folder: Path) -> list[Path]:
    """What is temporary: all but the note that ONNX Runtime keeps of its session, for all processes."""
    return [*folder.glob(".*"), *(path for path in bench.scratch.glob("*") if path.name != ".ses")]


def figures(path: Path) -> object:
    """What of a file may not differ: of reports all but times, of archives their arrays' bytes."""
    if path.suffix == ".json":
        content = json.loads(path.read_bytes())
        return {key: value for key, value in content.items() if key not in TIMES}
    if zipfile.is_zipfile(path):
        with np.load(path, allow_pickle=False) as archive:
            return {name: (archive[name].dtype, archive[name].shape, archive[name].tobytes()) for name in archive.files}
    return path.read_bytes()


def killed(bench: Bench, name: str, how: str, after: float) -> tuple[Counter[str], list[str]]:
    """What one stop came to, and what was wrong."""
    outputs, (number, codes) = COMMANDS[name][1], SIGNALS[how]
    told, faults = Counter({"stops": 1}), []
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        for output in outputs:
            (folder / output).write_bytes(OLD)
        child = started(bench, name, folder)
        try:
            _, error = child.communicate(timeout=after)
            told["too late"] += 1
        except subprocess.TimeoutExpired:
            child.send_signal(number)
            _, error = child.communicate()
        text = error.decode(errors="replace")
        if child.returncode not in (*codes, 0):
            faults.append(f"exit code {child.returncode}: {text.strip()[-300:]}")
        if "Traceback" in text or "Exception ignored" in text:
            faults.append(f"more than a line: {text[-600:]}")
        for output in outputs:
            told.update(_state(folder / output, bench.whole[name][output], how, faults))
        left = left_behind(bench, folder)
        told["left behind"] += bool(left)
        if left and how != "SIGKILL":
            faults.append(f"left behind: {', '.join(path.name for path in left)}")
        again = started(bench, name, folder)
        _, error = again.communicate()
        if again.returncode:
            faults.append(f"the next run: exit code {again.returncode}: {error.decode()[-300:]}")
        else:
            faults += [f"{output} of the next run is another" for output in outputs if figures(folder / output) != bench.whole[name][output]]
        left = left_behind(bench, folder)
        if left:
            faults.append(f"left behind by the next run: {', '.join(path.name for path in left)}")
    return told, faults


def _state(path: Path, whole: object, how: str, faults: list[str]) -> list[str]:
    try:
        if path.read_bytes() == OLD:
            return ["old files"]
        found = figures(path)
    except Exception as error:  # a broken file can be anything
        faults.append(f"{path.name} is broken: {error}")
        return []
    if found == whole:
        return ["new files"]
    if how == "SIGINT" and (path.name == "spikes.npz" or (isinstance(found, dict) and found.get("partial"))):
        return ["partial reports"]
    faults.append(f"{path.name} is another")
    return []


if __name__ == "__main__":
    sys.exit(main())
