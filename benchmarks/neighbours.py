"""Threads beside busy neighbours:  python -m benchmarks.neighbours [--rounds N]

The README's network on 64 images, engine `exact`, with one thread and with two, beside 0, 1 and 2 processes that do nothing but keep a core busy:
milliseconds by the clock, medians. Two threads should never take longer than one.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import click
import numba
import numpy as np

from ttfs_convert import convert
from ttfs_convert.simulation.encoded_inputs import entries_of
from ttfs_convert.simulation.exact_engine import Simulator

from .cases import EXAMPLE

IMAGES, WARM = 64, 5


@contextlib.contextmanager
def _busy(count: int) -> Iterator[None]:
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@click.command()
@click.option("--rounds", type=int, default=200)
def main(rounds: int) -> None:
    with np.load(EXAMPLE / "images.npz") as archive:
        x = archive["x"][:IMAGES, None].astype(np.float32) / 255
    network = convert(EXAMPLE / "model.onnx")
    simulate, entries = Simulator(network), entries_of(network, x)
    click.echo("neighbours  one thread  two threads  ratio")
    for count in range(3):
        with _busy(count):
            taken: dict[int, list[float]] = {1: [], 2: []}
            for number in range(rounds + WARM):
                for threads, times in taken.items():
                    numba.set_num_threads(threads)
                    start = time.perf_counter()
                    simulate(entries)
                    if number >= WARM:
                        times.append(time.perf_counter() - start)
            one, two = (1000 * statistics.median(times) for times in taken.values())
            click.echo(f"{count:10} {one:11.2f} {two:12.2f} {two / one:6.2f}")


if __name__ == "__main__":
    main()
