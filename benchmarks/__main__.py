"""How fast the `exact` engine is beside ONNX Runtime:  python -m benchmarks [--quick] [--json FILE] [--only TEXT] [--threads N] [--check]

Prints one line per case: time of both, the ratio (above 1: ours is faster), and which share of the machine's peak multiply-add rate we
reach on what is not silent. Then compile and start-up times, peak memory, and what a second thread gives. `python -m benchmarks speech` measures
the paper's speech network (`speech.py`).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import click
import numba
import numpy as np

from . import peers, process, speech
from .cases import Case, cases
from .timing import in_turn, peak_rate, seconds

QUICK = {"rounds": 5, "at_least": 0.02}
THOROUGH = {"rounds": 7, "at_least": 0.05}


@click.command()
@click.option("--quick", is_flag=True, help="Fewer cases and rounds: within two minutes.")
@click.option("--json", "file", type=click.Path(dir_okay=False), help="Write all figures to FILE.")
@click.option("--only", default="", metavar="TEXT", help="Only cases whose name contains TEXT, and nothing else.")
@click.option("--threads", type=int, default=numba.config.NUMBA_NUM_THREADS, help="For both engines; by default all cores.")
@click.option("--cpu-time", is_flag=True, help="One thread, by the time that it had a processor: for a machine that others use too.")
@click.option("--check", is_flag=True, help="Run each case once and compare the outputs; no times.")
def main(quick: bool, file: str | None, only: str, threads: int, cpu_time: bool, check: bool) -> None:
    threads, clock = (1, time.process_time) if cpu_time else (threads, time.perf_counter)
    numba.set_num_threads(threads)
    chosen = [case for case in cases() if only in case.name and (case.quick or not quick)]
    if check:
        for case in chosen:
            click.echo(f"{_title(case)}  largest difference {_difference(case, threads):.1e}")
        return
    peak = peak_rate(clock)
    click.echo(f"{threads} threads, peak {peak / 1e9:.1f} billion multiply-adds a second")
    click.echo(f"{'case':45}  silent  batch     ours ms  ONNX Runtime ms  ratio  of peak")
    results = [_measure(case, threads, peak, {**(QUICK if quick else THOROUGH), "clock": clock}, not quick) for case in chosen]
    figures = {"threads": threads, "peak_macs_per_second": peak, "cases": results}
    if not only:
        figures["process"] = process.figures()
        for name, value in figures["process"].items():
            click.echo(f"{name:60} {value:.3g}")
    if file:
        Path(file).write_text(json.dumps(figures, indent=1) + "\n")


def _title(case: Case) -> str:
    return f"{case.name:45}  {'data' if case.silent is None else f'{case.silent:.0%}':>6}  {case.batch:5}"


def _measure(case: Case, threads: int, peak: float, effort: dict, with_peers: bool) -> dict:
    work = case.build(case.batch, threads)
    taken = in_turn(work.engines, **effort)
    if case.scaling and threads > 1:
        numba.set_num_threads(1)
        taken["exact, one thread"] = in_turn({"exact": work.engines["exact"]}, **effort)["exact"]
        numba.set_num_threads(threads)
    ours, theirs = taken["exact"], taken["onnxruntime"]
    share = work.active_macs / ours / peak
    click.echo(f"{_title(case)}  {1e3 * ours:10.3f}  {1e3 * theirs:15.3f}  {theirs / ours:5.2f}  {share:7.2f}")
    for name in taken.keys() - {"exact", "onnxruntime"}:
        click.echo(f"    {name}: {1e3 * taken[name]:.3f} ms, {taken[name] / ours:.2f} times as long")
    for name, function in work.peers().items() if with_peers and case.scaling else ():
        taken[name] = seconds(function, 0, effort["clock"]) * work.images / peers.IMAGES
        click.echo(
            f"    {name}: {1e3 * taken[name]:.0f} ms (from {peers.IMAGES} of {work.images} images), {taken[name] / theirs:.1f} times as long "
            "as ONNX Runtime"
        )
    return {
        "name": case.name,
        "silent": case.silent,
        "batch": case.batch,
        "seconds": taken,
        "ratio": theirs / ours,
        "macs": work.macs,
        "active_macs": work.active_macs,
        "share_of_peak": share,
    }


def _difference(case: Case, threads: int) -> float:
    ours, theirs = case.build(min(case.batch, 2), threads).outputs()
    return float(np.abs(ours - theirs.reshape(ours.shape)).max())


if __name__ == "__main__":
    if sys.argv[1:2] == ["speech"]:
        speech.main(sys.argv[2:])
    else:
        main()
