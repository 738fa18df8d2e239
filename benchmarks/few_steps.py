"""Accuracy on few time steps, with and without compensation: rows of the tables in docs/few-steps.md.

    python -m benchmarks.few_steps MODEL.onnx --calibrate DATA --data DATA [--steps 8,16] [--input-steps 255] [--mode exact] [--limit N]

`own` among the input steps: as many as the layers have. DATA as for ttfs-run's --data.
"""

from __future__ import annotations

import itertools
import time

import click

from ttfs_convert import convert, evaluate
from ttfs_convert.data import load_dataset
from ttfs_convert.report.schema import Report

HEAD = "| steps | input's | fit | ANN | SNN | drift, pp [95 %] | agreement | latency | P_proxy event | seconds to convert |"


@click.command()
@click.argument("model")
@click.option("--calibrate", required=True, help="Training samples, the first 1,000.")
@click.option("--data", required=True, help="Samples to judge on.")
@click.option("--mode", default="exact", show_default=True)
@click.option("--steps", default="8,16", show_default=True)
@click.option("--input-steps", default="own,255", show_default=True)
@click.option("--limit", type=int, help="Judge on N samples.")
def main(model, calibrate, data, mode, steps, input_steps, limit):
    """Print a table."""
    seen, unseen = load_dataset(calibrate, split="train", limit=1000), load_dataset(data, limit=limit)
    print(f"{model}, mode {mode}, {len(seen):,} samples of {seen.name} to fit to, {len(unseen):,} of {unseen.name} to judge\n\n{HEAD}")
    print("|---" * (HEAD.count("|") - 1) + "|")
    for count, of_input, fit in itertools.product(map(int, steps.split(",")), input_steps.split(","), (False, True)):
        start, own = time.perf_counter(), None if of_input == "own" else int(of_input)
        given = seen if fit or mode == "exact" else None
        network = convert(model, mode=mode, steps=count, input_steps=own, calibrate=given, method="mse", compensate=fit)
        seconds = time.perf_counter() - start
        print(
            f"| {count} | {own or count} | {'yes' if fit else 'no'} | {_figures(evaluate(network, unseen, batch=250).report)} | {seconds:.0f} |",
            flush=True,
        )


def _figures(report: Report) -> str:
    low, high = report.drift.ci95_pp
    return (
        f"{100 * report.ann.accuracy:.2f} % | {100 * report.snn.accuracy:.2f} % | {report.drift.accuracy_pp:+.2f} [{low:+.2f}, {high:+.2f}] | "
        f"{100 * report.drift.agreement:.2f} % | {report.snn.latency_steps} | {report.energy.event.p_proxy / 1e6:.2f}M"
    )


if __name__ == "__main__":
    main()
