"""`ttfs-run`: simulate a spiking network, compare it with its original, and gate on the drop."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from .common import EXIT_CODES, Steps, check_json_target, console, note, reporting_errors, write_json

GATE_FAILED, INCONCLUSIVE = 99, 5


@click.command(epilog=EXIT_CODES, context_settings={"max_content_width": 100})
@click.argument("network", metavar="SNN.npz", type=click.Path(exists=True, dir_okay=False))
@click.option("--data", required=True, metavar="NAME|PATH",
              help="mnist, fashion-mnist, cifar10 or cifar100 (test images); an .npz with x and, for accuracy, y; or a folder of images "
                   "per class.")
@click.option("--data-dir", type=click.Path(file_okay=False, exists=True),
              help="Where raw data sets are looked for first; then $TTFS_DATA, the user cache, the official source.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Use the first N samples only; of a folder, N spread over its classes.")
@click.option("--batch", type=click.IntRange(min=1), default=64, show_default=True, help="Samples at a time; changes no figure but time.")
@click.option("--steps", type=Steps(), help="Time steps per window instead of the network's own, or continuous time.")
@click.option("--rounding", type=click.Choice(["nearest", "ceil"]), help="Rounding instead of the network's own.")
@click.option("--max-drop", type=click.FloatRange(min=0), metavar="PP",
              help="Gate: exit 99 when the accuracy certainly drops by more than PP percentage points (the whole 95 % interval), 5 when "
                   "the sample cannot decide.")
@click.option("--onnx", "onnx_file", type=click.Path(exists=True, dir_okay=False), help="The original model, where none is embedded.")
@click.option("--json", "json_file", metavar="FILE", help="Also write the report as JSON; - for standard output alone.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads of both engines; all cores by default.")
@click.version_option(package_name="ttfs-convert")
@reporting_errors
def main(network, data, data_dir, limit, batch, steps, rounding, max_drop, onnx_file, json_file, threads):
    """Run a spiking network on data and report what the conversion cost.

    Accuracy beside the original's under ONNX Runtime, drift with a paired 95 % interval, the error of every layer, spikes, latency
    and operations.
    """
    from ..datasets import load_dataset
    from ..errors import UsageError
    from ..evaluation import evaluate
    from ..store import load
    from .report_tables import energy_table, layers_table, summary

    check_json_target(json_file)
    loaded = load(network)
    changes = {} if steps is None else {"steps": steps or None}
    loaded = loaded.model_copy(update=changes if rounding is None else {**changes, "rounding": rounding})
    dataset = load_dataset(data, data_dir=None if data_dir is None else Path(data_dir), limit=limit)
    if max_drop is not None and dataset.y is None:
        raise UsageError("--max-drop", f"{dataset.name} has no labels", "labelled data", "add y to the .npz")
    with _progress(len(dataset.x)) as progress:
        evaluation = evaluate(loaded, dataset, onnx_file=onnx_file, batch=batch, threads=threads,
                              progress=progress)
    if json_file != "-":
        for part in (layers_table(evaluation.report), energy_table(evaluation.report, loaded.slope), summary(evaluation)):
            console().print(part)
    if json_file:
        write_json(evaluation.report.model_dump(mode="json"), json_file)
    for text in evaluation.notes:
        note(text)
    if len(dataset.x) < dataset.total:
        note(f"--limit: a subset, {len(dataset.x):,} of {dataset.total:,} samples")
    if max_drop is not None:
        sys.exit(_gate(evaluation, max_drop))


def _gate(evaluation, max_drop: float) -> int:
    """Say whether the drop is within `max_drop` percentage points, and what this sample can decide; return the exit code."""
    from ..measure.drift import Verdict, newcombe_interval, samples_needed, smallest_gate, verdict

    outcomes = evaluation.outcomes
    decided = verdict(newcombe_interval(outcomes), max_drop / 100)
    click.echo(f"gate {max_drop:g} pp: {decided.value}", err=True)
    text = f"with {100 * (1 - evaluation.report.drift.agreement):.2f} % disagreement and no true drift, {outcomes.samples:,} samples decide " \
           f"gates from {100 * smallest_gate(outcomes):.2f} pp"
    if decided is Verdict.INCONCLUSIVE:
        observed, driftless = (samples_needed(each, max_drop / 100) for each in (outcomes, outcomes.without_drift()))
        if observed is not None:
            text += f"; with the drift seen here {max_drop:g} pp needs about {observed:,}"
        elif driftless is not None:
            text += f"; {max_drop:g} pp needs about {driftless:,} without drift, and the drift seen here lies on the gate"
        else:
            text += f"; {max_drop:g} pp is beyond any sample"
    note(text)
    return {Verdict.PASSED: 0, Verdict.FAILED: GATE_FAILED, Verdict.INCONCLUSIVE: INCONCLUSIVE}[decided]


@contextlib.contextmanager
def _progress(samples: int):
    """A function (done, of) that moves a bar on a terminal and does nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda done, of: None
        return
    from rich.progress import Progress

    with Progress(console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("running", total=samples)
        yield lambda done, of: bar.update(task, completed=done)
