"""What trying files in a process of their own costs: python -m benchmarks.sandbox_cost [ROUNDS].

Commands on a file that is new, on the same one again, and without the process, in turn: medians of the differences within a round, by the clock and
of processors, and the smallest time by the clock.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import onnx

from .models import vgg16

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "fashion_mnist"
ROUNDS = 9


def spent(*command: str) -> tuple[float, float]:
    """Seconds that `python -m ttfs_convert` takes: by the clock, and of processors, child processes included."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "ttfs_convert", *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    taken, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return taken, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def renewed(file: Path, round: int) -> None:
    """The same content, but for a comment: a file that nobody has tried."""
    comment = f"{os.getpid()} {round}"
    if file.suffix == ".onnx":
        model = onnx.load(file)
        model.doc_string = comment
        onnx.save(model, file)
    else:
        with zipfile.ZipFile(file, "a") as archive:
            archive.comment = comment.encode()


def compared(name: str, file: Path, rounds: int, *command: str) -> None:
    """Print one line. command: with FILE for the file."""
    taken: dict[str, list[tuple[float, float]]] = {"new": [], "known": [], "without": []}
    arguments = [str(file) if part == "FILE" else part for part in command]
    spent(*arguments)
    for round in range(rounds):
        renewed(file, round)
        taken["new"].append(spent(*arguments))
        taken["known"].append(spent(*arguments))
        taken["without"].append(spent(*arguments, "--no-sandbox"))
    parts = []
    for what in ("new", "known"):
        clock, processor = (statistics.median(one[at] - other[at] for one, other in zip(taken[what], taken["without"])) for at in (0, 1))
        parts.append(f"{what} {clock:+.2f} s by the clock, {processor:+.2f} s of processors")
    best = {what: min(clock for clock, _ in each) for what, each in taken.items()}
    print(f"{name}: {', '.join(parts)}; smallest: " + ", ".join(f"{what} {clock:.2f} s" for what, clock in best.items()), flush=True)


def main(rounds: int = ROUNDS) -> None:
    """Conversions and runs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("model.onnx", "resnet.onnx"):
            shutil.copy(EXAMPLE / file, folder)
        builder = vgg16(0.5)
        onnx.save(builder.model(), folder / "vgg16.onnx")
        np.savez(folder / "x.npz", x=builder.inputs(8))
        data, out = str(EXAMPLE / "images.npz"), str(folder / "out.npz")
        compared("ttfs-convert model.onnx", folder / "model.onnx", rounds, "convert", "FILE", "--out", out)
        shutil.copy(out, folder / "model.npz")
        compared("ttfs-run model.npz", folder / "model.npz", rounds, "run", "FILE", "--data", data, "--limit", "64")
        calibrated = "--mode", "exact", "--calibration-limit", "8", "--out", out
        compared("ttfs-convert resnet.onnx", folder / "resnet.onnx", rounds, "convert", "FILE", "--calibrate", data, *calibrated)
        compared("ttfs-inspect vgg16.onnx", folder / "vgg16.onnx", rounds, "inspect", "FILE")
        compared("ttfs-convert vgg16.onnx", folder / "vgg16.onnx", rounds, "convert", "FILE", "--calibrate", str(folder / "x.npz"), *calibrated)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
