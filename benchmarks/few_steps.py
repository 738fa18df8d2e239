"""Accuracy on few time steps, without a fit, with biases fitted, and with compensation: rows of the tables in docs/few-steps.md.

    python -m benchmarks.few_steps MODEL.onnx --calibrate DATA --data DATA [--steps 4,8] [--input-steps own,255] [--fit no,bias,yes]
        [--weight-bits none,8,6,4] [--mode exact] [--limit N] [--json ROWS.jsonl] [--plot FIGURE.svg]

`own` among the input steps: as many as the layers have. DATA as for ttfs-run's --data. Of a network whose outputs are no labels the rows say how
close they are to the original's (PSNR), and, where the data has targets, the mean squared errors of both to these. --json: every row is
added to the file as it is done, and rows that are there already are not computed again. --plot draws those of float32 weights.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import click

from benchmarks.few_steps_rows import Row, Rows, head, line
from ttfs_convert import Dataset, TtfsError, convert, evaluate
from ttfs_convert.data.given import dataset_of
from ttfs_convert.onnx_model.given_model import declared_shapes
from ttfs_convert.onnx_model.sha256 import sha256_of
from ttfs_convert.report.schema import Report

FITS = {"no": False, "bias": "bias", "yes": True}


@click.command()
@click.argument("model")
@click.option("--calibrate", required=True, help="Training samples, the first 1,000.")
@click.option("--data", required=True, help="Samples to judge on.")
@click.option("--mode", default="exact", show_default=True)
@click.option("--steps", default="4,8,12,16,24,32,50", show_default=True)
@click.option("--input-steps", default="own,255", show_default=True)
@click.option("--fit", default="no,bias,yes", show_default=True)
@click.option("--weight-bits", default="none", show_default=True, help="Of integers that weights are rounded to; none: float32.")
@click.option("--limit", type=int, help="Judge on N samples.")
@click.option("--json", "json_file", metavar="FILE", help="Rows, one JSON object per line; those of the same setting are not computed again.")
@click.option("--plot", metavar="FILE", help="Also draw all rows of this setting, as .png or .svg.")
def main(model, calibrate, data, mode, steps, input_steps, fit, weight_bits, limit, json_file, plot):
    """Print a table."""
    try:
        shapes = declared_shapes(model)
        seen, unseen = (
            dataset_of(name, shapes, limit=count, split=split) for name, count, split in ((calibrate, 1000, "train"), (data, limit, "test"))
        )
        setting = {"model": sha256_of(model), "mode": mode, "fitted_to": seen.sha256, "data": unseen.sha256, "samples": len(unseen)}
        rows = Rows(json_file, setting)
        about = f"{model}, mode {mode}, {len(seen):,} samples of {seen.name} to fit to, {len(unseen):,} of {unseen.name} to judge"
        wanted = itertools.product(map(int, steps.split(",")), input_steps.split(","), fit.split(","), weight_bits.split(","))
        for number, row in enumerate(_rows(rows, wanted, model, mode, seen, unseen)):
            if not number:
                print(f"{about}\n\n{head(row)}")
            print(line(row), flush=True)
    except TtfsError as error:
        raise SystemExit(str(error)) from error
    if plot is not None:
        from benchmarks.few_steps_figure import draw

        drawn = [row for row in rows.all() if row["weight_bits"] == "none"]
        draw(drawn, about.partition(",")[0].rpartition("/")[2], f"{len(unseen):,} samples of {unseen.name}, mode {mode}", plot)


def _rows(rows: Rows, wanted: Iterator[tuple[int, str, str, str]], model: str, mode: str, seen: Dataset, unseen: Dataset) -> Iterator[Row]:
    for key in wanted:
        found = rows.get(key)
        if found is None:
            steps, of_input, fit, bits = key
            start, own = time.perf_counter(), None if of_input == "own" else int(of_input)
            given = seen if FITS[fit] or mode == "exact" else None
            network = convert(
                model,
                mode=mode,
                steps=steps,
                input_steps=own,
                calibrate=given,
                method="mse",
                compensate=FITS[fit],
                weight_bits=None if bits == "none" else int(bits),
            )
            seconds = time.perf_counter() - start
            figures = _figures(evaluate(network, unseen, batch=250).report)
            found = rows.add(key, {**figures, "seconds": round(seconds, 1)})
        yield found


def _figures(report: Report) -> dict[str, object]:
    """What a row keeps of a report."""
    (judged,) = (output for output in report.outputs if output.judged)
    return {
        "ann_accuracy": report.ann.accuracy,
        "snn_accuracy": report.snn.accuracy,
        "drift_pp": report.drift.accuracy_pp,
        "ci95_pp": report.drift.ci95_pp,
        "agreement": report.drift.agreement,
        "psnr": judged.psnr,
        "mean_error": judged.mean_error,
        "ann_mean_squared_error": report.ann.mean_squared_error,
        "snn_mean_squared_error": report.snn.mean_squared_error,
        "latency_steps": report.snn.latency_steps,
        "event_p_proxy": report.energy.event.p_proxy,
        "weight_bytes": report.model.weight_bytes,
    }


if __name__ == "__main__":
    main()
