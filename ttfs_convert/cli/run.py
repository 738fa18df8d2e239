"""`ttfs-run`: simulate a spiking network, compare it with its original, and gate on the drop."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from ..kernels.rounding import MAX_STEPS, ROUNDINGS
from .base_command import GATE_FAILED, INCONCLUSIVE, Command
from .console import note, note_subset, say, show
from .output_files import check_outputs, write_json
from .progress_lines import patience, progress
from .shared_options import Steps, judging, on_grid

if TYPE_CHECKING:
    from ..data import Dataset
    from ..measurement.accuracy_drift import PairedOutcomes
    from ..network.network import Network
    from ..studies.evaluation import Evaluation
    from ..studies.setting import StudyOptions


COMPILING = "preparing the first batch: kernels are compiled once, in about 20 seconds, and kept"


@click.command(cls=Command)
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
@click.option("--html", "html_file", metavar="FILE", help="Also write the report as one HTML page that needs no network; extra html.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads of both engines; all cores by default.")
@click.version_option(package_name="ttfs-convert")
def main(**options):
    """Run a spiking network on data and report what the conversion cost.

    Accuracy beside the original's under ONNX Runtime, drift with a paired 95 % interval, the error of every layer, spikes, latency
    and operations.
    """
    _run(Options(**options))


class Options(NamedTuple):
    """The command's, by the names that click gives them."""

    network: str
    data: str
    data_dir: str | None
    limit: int | None
    batch: int
    steps: int | None
    input_steps: int | None
    rounding: str | None
    engine: str
    threshold: str
    histogram: bool
    quantised: bool
    spike_file: str | None
    folder: str | None
    sweeps: tuple[str, ...]
    repeats: int | None
    seed: int | None
    log: str | None
    max_drop: float | None
    output: str | None
    decision_threshold: float | None
    onnx_file: str | None
    json_file: str | None
    html_file: str | None
    threads: int | None

    @property
    def of_study(self) -> StudyOptions:
        """Those that evaluations and sweeps share."""
        return {
            "onnx_file": self.onnx_file,
            "batch": self.batch,
            "threads": self.threads,
            "output": self.output,
            "decision_threshold": self.decision_threshold,
        }

    def check(self) -> None:
        """Raise UsageError for options that do not fit together, or for files that cannot be written."""
        from ..errors import UsageError
        from ..figures.figure_folder import check_plots

        check_outputs(json=self.json_file, html=self.html_file, spikes=self.spike_file)
        if self.folder is not None:
            check_plots(self.folder)
        single = (self.engine, self.threshold, self.histogram, self.quantised, self.spike_file, self.folder, self.html_file, self.max_drop)
        if self.sweeps and single != ("exact", "dynamic", False, False, None, None, None, None):
            raise UsageError(
                "--sweep",
                "an option for single runs beside it",
                "neither --engine, --threshold, --histogram, --quantised, --spikes, --plot, --html nor --max-drop",
            )
        if not self.sweeps and (self.repeats, self.seed, self.log) != (None, None, None):
            raise UsageError("--repeats, --seed, --resume", "no --sweep", "a sweep to belong to", "add --sweep all")


def _run(options: Options) -> None:
    from ..data.given import dataset_of
    from ..network.store import load

    options.check()
    network = on_grid(load(options.network), options.steps, options.rounding, options.input_steps)
    dataset = dataset_of(options.data, network.input_shapes, limit=options.limit, data_dir=options.data_dir)
    if options.sweeps:
        _sweep(network, dataset, options)
    else:
        _evaluate(network, dataset, options)


def _evaluate(network: Network, dataset: Dataset, options: Options) -> None:
    """One run: its tables, JSON and figures, and the gate."""
    from ..errors import UsageError
    from ..studies.evaluation import evaluate

    gated = options.max_drop is not None
    if gated and dataset.y is None:
        raise UsageError("--max-drop", f"{dataset.name} has no labels", "labelled data", "add y to the .npz")
    with progress("running, samples") as tell, patience(COMPILING) as begun:

        def tell_of_samples(done: int, of: int) -> None:
            begun()
            tell(done, of)

        evaluation = evaluate(
            network,
            dataset,
            engine=options.engine,
            threshold=options.threshold,
            histogram=options.histogram,
            quantised=options.quantised,
            distributions=options.folder is not None,
            spikes=options.spike_file,
            labels_needed=gated,
            progress=tell_of_samples,
            **options.of_study,
        )
    if options.folder is not None:
        from ..figures.run_figures import write_run

        write_run(evaluation, options.folder)
        say(f"Wrote the figures to {options.folder}.")
    if options.html_file is not None:
        from ..figures.report_page import report_page
        from ..files.atomic import write_whole

        page = report_page(evaluation.report).encode()
        write_whole(options.html_file, lambda file: file.write(page))
        say(f"Wrote {options.html_file}.")
    if options.spike_file is not None:
        say(f"Wrote {options.spike_file}.")
    _show(evaluation, options)
    note_subset(dataset)
    if options.max_drop is not None and evaluation.outcomes is not None:
        sys.exit(_gate(evaluation.outcomes, evaluation.report.drift.agreement or 0, options.max_drop))


def _show(evaluation: Evaluation, options: Options) -> None:
    """Tables, JSON and notes of a run."""
    from ..tables.report_tables import energy_table, layers_table, spike_times_table, summary

    report = evaluation.report
    if options.json_file != "-":
        timing = [spike_times_table(report)] if options.histogram or options.threshold == "fixed" else []
        show(layers_table(report), *timing, energy_table(report, evaluation.slope), summary(evaluation))
    if options.json_file:
        write_json(report.model_dump(mode="json"), options.json_file)
    for text in evaluation.notes:
        note(text)


def _sweep(network: Network, dataset: Dataset, options: Options) -> None:
    """Run all points named, print their table, write their JSON."""
    from ..studies.sweep import sweep
    from ..studies.sweep_kinds import parsed_points
    from ..tables.sweep_table import sweep_table

    points = [point for text in options.sweeps for point in parsed_points(text)]
    with progress("sweeping, runs") as tell:
        found = sweep(
            network, dataset, points, repeats=options.repeats or 3, seed=options.seed or 0, log=options.log, progress=tell, **options.of_study
        )
    if options.json_file != "-":
        show(sweep_table(found))
    if options.json_file:
        write_json(found.as_json(), options.json_file)
    for text in found.notes:
        note(text)
    note_subset(dataset)


def _gate(outcomes: PairedOutcomes, agreement: float, max_drop: float) -> int:
    """Say whether the drop is within `max_drop` percentage points, and what this sample can decide; return the exit code."""
    from ..measurement.accuracy_drift import Verdict, newcombe_interval, samples_needed, smallest_gate, verdict

    decided = verdict(newcombe_interval(outcomes), max_drop / 100)
    say(f"gate {max_drop:g} pp: {decided.value}")
    text = (
        f"with {100 * (1 - agreement):.2f} % disagreement and no true drift, {outcomes.samples:,} samples decide "
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
