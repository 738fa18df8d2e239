"""The whole command `ttfs-run` beside ONNX Runtime alone, in turn:  python -m benchmarks.command [--threads N] [--rounds N]

On 10,000 images, those of the README's example five times over: Python's start, loading, both engines, verification, comparison, tables.
ONNX Runtime alone: its session made, and all batches computed, in this process. Seconds by the clock and of the processor, of which those are
steadier on a machine with other work.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numba
import numpy as np
import onnx

from ttfs_convert import convert
from ttfs_convert.network.store import save

from .cases import EXAMPLE
from .models import session

IMAGES, BATCH = 10_000, 64
RUN = (sys.executable, "-c", "from ttfs_convert.cli.run import main; main()")


def _prepared(folder: Path) -> np.ndarray:
    """Writes the network and the data that the command is given; the images."""
    save(convert(EXAMPLE / "model.onnx"), folder / "snn.npz")
    with np.load(EXAMPLE / "images.npz") as archive:
        x, y = (np.resize(archive[name], (IMAGES, *archive[name].shape[1:])) for name in ("x", "y"))
    np.savez(folder / "data.npz", x=x, y=y)
    return x[:, None].astype(np.float32) / 255


def _alone(x: np.ndarray, threads: int) -> tuple[float, float]:
    start, busy = time.perf_counter(), time.process_time()
    reference = session(onnx.load(EXAMPLE / "model.onnx"), threads)
    for first in range(0, len(x), BATCH):
        reference(x[first : first + BATCH])
    return time.perf_counter() - start, time.process_time() - busy


def _command(folder: Path, threads: int, *options: str) -> tuple[float, float]:
    start, before = time.perf_counter(), os.times()
    arguments = (str(folder / "snn.npz"), "--data", str(folder / "data.npz"), "--batch", f"{BATCH}", "--threads", f"{threads}", *options)
    subprocess.run((*RUN, *arguments), check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    busy = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, busy


@click.command()
@click.option("--threads", type=int, default=numba.config.NUMBA_NUM_THREADS, help="For all of them.")
@click.option("--rounds", type=int, default=5)
def main(threads: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        x = _prepared(folder)
        runs = {"ONNX Runtime alone": lambda: _alone(x, threads)}
        for layers in ("all", "sample", "none"):
            runs[f"ttfs-run --layers {layers}"] = lambda layers=layers: _command(folder, threads, "--layers", layers)
        for run in runs.values():
            run()  # compiles, and fills the system's caches
        taken: dict[str, list[tuple[float, float]]] = {label: [] for label in runs}
        for _ in range(rounds):
            for label, run in runs.items():
                taken[label].append(run())
    click.echo(f"{IMAGES:,} images, {threads} threads, medians of {rounds} rounds\n{'':24} seconds  ratio  of the processor  ratio")
    clock, busy = ({label: statistics.median(each[k] for each in times) for label, times in taken.items()} for k in range(2))
    first = next(iter(runs))
    for label in runs:
        click.echo(f"{label:24} {clock[label]:7.2f} {clock[label] / clock[first]:6.2f} {busy[label]:17.2f} {busy[label] / busy[first]:6.2f}")


if __name__ == "__main__":
    main()
