"""`ttfs-run`: simulate a spiking network, compare it with its original, and gate on the drop."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from ..kernels.rounding import MAX_STEPS, ROUNDINGS
from .common import EXIT_CODES, INCONCLUSIVE, Command, Steps, check_outputs, console, judging, note, on_grid, say, write_json

GATE_FAILED = 99


@click.command(cls=Command, epilog=EXIT_CODES, context_settings={"max_content_width": 100})
@click.argument("network", metavar="SNN.npz", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--data",
    required=True,
    metavar="NAME|PATH",
    help="mnist, fashion-mnist, cifar10 or cifar100 (test images); an .npz with x and, for accuracy, y, or a usual pair of "
    "other names (images and labels, x_test and y_test, ...), or an array per input; or a folder of images per class.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, exists=True),
    help="Where raw data sets are looked for first; then $TTFS_DATA, the user cache, the official source.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Use the first N samples only; of a folder, N spread over its classes.")
@click.option("--batch", type=click.IntRange(min=1), default=64, show_default=True, help="Samples at a time; changes no figure but time.")
@click.option("--steps", type=Steps(), help="Time steps per window instead of the network's own, or continuous time.")
@click.option("--input-steps", type=click.IntRange(1, MAX_STEPS), metavar="N", help="Time steps of the input's window instead of its own.")
@click.option("--rounding", type=click.Choice(ROUNDINGS), help="Rounding instead of the network's own.")
@click.option(
    "--engine",
    type=click.Choice(["exact", "clock", "event"]),
    default="exact",
    show_default=True,
    help="exact: spike times in closed form. clock: every step simulated. event: every spike in order of arrival, in continuous "
    "time. The last two are slow, and held against the first.",
)
@click.option(
    "--threshold",
    type=click.Choice(["dynamic", "fixed"]),
    default="dynamic",
    show_default=True,
    help="fixed: 1 at all times, as in the paper's ablation; needs engine clock or event, and slope fan_in or reference.",
)
@click.option("--histogram", is_flag=True, help="Also show when each layer spikes; a fixed threshold always does.")
@click.option(
    "--quantised",
    is_flag=True,
    help="Also run, under ONNX Runtime, the original with its activations rounded to as many levels as there are spike times.",
)
@click.option("--spikes", "spike_file", metavar="FILE", help="Write all spike times and potentials as an .npz; bound it with --limit.")
@click.option(
    "--plot",
    "folder",
    metavar="DIR",
    help="Draw, as PNG and SVG, per layer: pre-activations, activations beside decoded spike times, spike times. Axes of "
    "pre-activations are the same for every network; histograms.npz holds the counts. Needs the extra plot.",
)
@click.option(
    "--sweep",
    "sweeps",
    multiple=True,
    metavar="KIND[=V1,V2,...]",
    help="Instead of one run: accuracy under jitter (of spike times, in steps), drop (share of spikes lost), weight-noise, "
    "weight-bits, threshold (mismatch), steps or rounding, at the values named or at usual ones; all for every kind. "
    "Repeatable.",
)
@click.option("--repeats", type=click.IntRange(min=1), help="Of --sweep: runs of every noisy point.  [default: 3]")
@click.option("--seed", type=click.IntRange(min=0), help="Of --sweep: of all noise.  [default: 0]")
@click.option("--resume", "log", metavar="FILE", help="Of --sweep: keep finished runs here and go on where an earlier sweep stopped.")
@click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    metavar="PP",
    help="Gate: exit 99 when the accuracy certainly drops by more than PP percentage points (the whole 95 % interval), 5 when "
    "the sample cannot decide.",
)
@judging
@click.option("--onnx", "onnx_file", type=click.Path(exists=True, dir_okay=False), help="The original model, where none is embedded.")
@click.option("--json", "json_file", metavar="FILE", help="Also write the report as JSON; - for standard output alone.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads of both engines; all cores by default.")
@click.version_option(package_name="ttfs-convert")
def main(
    network,
    data,
    data_dir,
    limit,
    batch,
    steps,
    input_steps,
    rounding,
    engine,
    threshold,
    histogram,
    quantised,
    spike_file,
    folder,
    sweeps,
    repeats,
    seed,
    log,
    max_drop,
    output,
    decision_threshold,
    onnx_file,
    json_file,
    threads,
):
    """Run a spiking network on data and report what the conversion cost.

    Accuracy beside the original's under ONNX Runtime, drift with a paired 95 % interval, the error of every layer, spikes, latency
    and operations.
    """
    from ..data import load_dataset
    from ..errors import UsageError
    from ..figures.figure_folder import check_plots
    from ..network.store import load
    from ..studies.evaluation import evaluate
    from ..studies.picture_size import picture_size
    from ..tables.report_tables import energy_table, layers_table, spike_times_table, summary

    check_outputs(json=json_file, spikes=spike_file)
    if folder is not None:
        check_plots(folder)
    loaded = on_grid(load(network), steps, rounding, input_steps)
    dataset = load_dataset(data, data_dir=None if data_dir is None else Path(data_dir), limit=limit, size=picture_size(loaded))
    judged = {"output": output, "decision_threshold": decision_threshold}
    if sweeps:
        if (engine, threshold, histogram, quantised, spike_file, folder, max_drop) != ("exact", "dynamic", False, False, None, None, None):
            raise UsageError(
                "--sweep",
                "an option for single runs beside it",
                "neither --engine, --threshold, --histogram, --quantised, --spikes, --plot nor --max-drop",
            )
        _sweep(
            loaded,
            dataset,
            sweeps,
            json_file,
            {**judged, **dict(repeats=repeats or 3, seed=seed or 0, log=log, onnx_file=onnx_file, batch=batch, threads=threads)},
        )
        return
    if (repeats, seed, log) != (None, None, None):
        raise UsageError("--repeats, --seed, --resume", "no --sweep", "a sweep to belong to", "add --sweep all")
    if max_drop is not None and dataset.y is None:
        raise UsageError("--max-drop", f"{dataset.name} has no labels", "labelled data", "add y to the .npz")
    with _progress("running", len(dataset.x)) as progress:
        evaluation = evaluate(
            loaded,
            dataset,
            onnx_file=onnx_file,
            batch=batch,
            threads=threads,
            engine=engine,
            threshold=threshold,
            histogram=histogram,
            quantised=quantised,
            spikes=spike_file,
            plot=folder,
            labels_needed=max_drop is not None,
            progress=progress,
            **judged,
        )
    if json_file != "-":
        timing = [spike_times_table(evaluation.report)] if histogram or threshold == "fixed" else []
        for part in (layers_table(evaluation.report), *timing, energy_table(evaluation.report, loaded.slope), summary(evaluation)):
            console().print(part)
    if json_file:
        write_json(evaluation.report.model_dump(mode="json"), json_file)
    for text in (*evaluation.notes, *_subset(dataset)):
        note(text)
    if max_drop is not None:
        sys.exit(_gate(evaluation, max_drop))


def _subset(dataset) -> list[str]:
    return [f"--limit: a subset, {len(dataset.x):,} of {dataset.total:,} samples"] if len(dataset.x) < dataset.total else []


def _sweep(network, dataset, sweeps: tuple[str, ...], json_file: str | None, options: dict) -> None:
    """Run all points named, print their table, write their JSON."""
    from ..studies.sweep import sweep
    from ..studies.sweep_kinds import parsed_points
    from ..tables.sweep_table import sweep_table

    points = [point for text in sweeps for point in parsed_points(text)]
    with _progress("sweeping", 1) as progress:
        found = sweep(network, dataset, points, progress=progress, **options)
    if json_file != "-":
        console().print(sweep_table(found))
    if json_file:
        write_json(found.as_json(), json_file)
    for text in (*found.notes, *_subset(dataset)):
        note(text)


def _gate(evaluation, max_drop: float) -> int:
    """Say whether the drop is within `max_drop` percentage points, and what this sample can decide; return the exit code."""
    from ..measurement.drift import Verdict, newcombe_interval, samples_needed, smallest_gate, verdict

    outcomes = evaluation.outcomes
    decided = verdict(newcombe_interval(outcomes), max_drop / 100)
    say(f"gate {max_drop:g} pp: {decided.value}")
    text = (
        f"with {100 * (1 - evaluation.report.drift.agreement):.2f} % disagreement and no true drift, {outcomes.samples:,} samples decide "
        f"gates from {100 * smallest_gate(outcomes):.2f} pp"
    )
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
def _progress(what: str, total: int):
    """A function (done, of) that moves a bar on a terminal and does nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda done, of: None
        return
    from rich.progress import Progress

    with Progress(console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, of: bar.update(task, completed=done, total=of)
