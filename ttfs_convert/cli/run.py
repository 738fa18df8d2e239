"""`ttfs-run`: simulate a spiking network, compare it with its original, and gate on the drop."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from ..kernels.rounding import MAX_STEPS, ROUNDINGS
from .base_command import COMMAND_LINE, Command
from .console import note, note_subset, say, show
from .gate_options import GateOptions, finish, gating, write_outcomes
from .interruption import INTERRUPTED, interruptible
from .output_files import write_json
from .progress_lines import patient_progress, progress
from .run_options import Options
from .shared_options import Steps, batched, bounded, judging, on_grid, sandboxed, skipping

if TYPE_CHECKING:
    from ..data import Dataset
    from ..network.network import Network
    from ..report.schema import Report
    from ..studies.rate_baseline import RateBaseline
    from ..studies.tallies import Evaluation


COMPILING = "preparing the first batch: kernels are compiled once, in about 20 seconds, and kept"


@click.command(cls=Command)
@click.argument("network", metavar="SNN.npz", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--data",
    required=True,
    metavar="NAME|PATH",
    help="mnist, fashion-mnist, cifar10 or cifar100 (test images); an .npz with x and, for accuracy, y, or a usual pair of "
    "other names (images and labels, x_test and y_test, ...), or an array per input; or a folder of images per class, or of pairs of "
    "images in input/ and target/.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, exists=True),
    help="Where raw data sets are looked for first; then $TTFS_DATA, the user cache, the official source.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Use the first N samples only; of a folder, N spread over its classes.")
@skipping
@batched
@click.option("--steps", type=Steps(), help="Time steps per window instead of the network's own, or continuous time.")
@click.option("--input-steps", type=click.IntRange(1, MAX_STEPS), metavar="N", help="Time steps of the input's window instead of its own.")
@click.option("--rounding", type=click.Choice(ROUNDINGS), help="Rounding instead of the network's own.")
@click.option(
    "--engine",
    type=click.Choice(["exact", "clock", "event"]),
    default="exact",
    show_default=True,
    help="exact: spike times in closed form. clock: every step simulated. event: every spike in order of arrival, in continuous "
    "time. The last two take about ten times as long, and are held against the first.",
)
@click.option(
    "--threshold",
    type=click.Choice(["dynamic", "fixed"]),
    default="dynamic",
    show_default=True,
    help="fixed: 1 at all times, as in the paper's ablation; needs engine clock or event, and slope fan_in or reference.",
)
@click.option(
    "--verify",
    type=click.IntRange(min=0),
    metavar="N",
    help="Of engine exact: also simulate the first N samples step by step (in continuous time spike by spike), and count the neurons that fire "
    "otherwise.  [default: 16, or one in 64 samples where that is less]",
)
@click.option(
    "--layers",
    type=click.Choice(["all", "sample", "none"]),
    default="all",
    show_default=True,
    help="On how many samples to hold every layer against the original: all, one batch in 16, or none. Fewer take less time.",
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
    metavar="DIR|FILE",
    help="Draw into the folder DIR, as PNG and SVG, per layer: pre-activations, activations beside decoded spike times, spike times. Axes of "
    "pre-activations are the same for every network; histograms.npz holds the counts. Of --task enhancement: spectrograms of the first "
    "recordings. With --sweep steps, accuracy against latency and energy (--costs) as one FILE, .png, .svg or .pdf; ttfs-plot draws several. "
    "Needs the extra plot.",
)
@click.option("--no-titles", is_flag=True, help="Of --plot: figures without titles, as papers have them.")
@click.option(
    "--costs",
    multiple=True,
    metavar="FILE.toml",
    help="Also say what an inference takes under this cost table (docs/energy.md), beside those that come with ttfs-run; with --sweep "
    "the energy of every point under it, which may be one of these by name. Repeatable.",
)
@click.option(
    "--rate-coded",
    "rate_steps",
    type=click.IntRange(1, MAX_STEPS),
    metavar="STEPS",
    help="Also run the same network with rate-coded neurons for up to so many steps, until it is within 0.5 pp of the original's accuracy, and "
    "show both side by side. Needs labels.",
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
@click.option(
    "--resume",
    "log",
    metavar="FILE",
    help="Keep what was run here, now and then, and go on where an earlier run, or sweep, of the same kind stopped.",
)
@gating
@judging
@click.option("--enhanced", metavar="DIR", type=click.Path(file_okay=False), help="Of --task enhancement: write the spiking network's recordings.")
@click.option("--onnx", "onnx_file", type=click.Path(exists=True, dir_okay=False), help="The original model, where none is embedded.")
@click.option("--json", "json_file", metavar="FILE", help="Also write the report as JSON; - for standard output alone.")
@click.option(
    "--html",
    "html_file",
    metavar="FILE",
    help="Also write the report as one HTML page that needs no network; of --task enhancement with spectrograms and players. Extra html.",
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads of both engines; all cores by default.")
@sandboxed
@bounded
@click.version_option(package_name="ttfs-convert")
def main(**options):
    """Run a spiking network on data and report what the conversion cost.

    Accuracy beside the original's under ONNX Runtime, drift with a paired 95 % interval, the error of every layer, spikes, latency
    and operations.
    """
    gating = GateOptions.taken_from(options)
    _run(Options(**options, gating=gating))


def _run(options: Options) -> None:
    from ..errors import UsageError
    from ..sandbox.trial import NETWORK, Trial

    options.check()
    with Trial(NETWORK, options.network, wanted=not options.no_sandbox) as trial:
        trial.ask(onnx=options.onnx_file)
        from ..data.given import dataset_of
        from ..network.store import load
        from ..simulation.run_size import usual_batch
        from ..studies import evaluation, sweep  # noqa: F401 - loaded meanwhile

        network = on_grid(load(options.network, mapped=True), options.steps, options.rounding, options.input_steps)
        trial.passes()
    if options.batch is None:
        options = options._replace(batch=usual_batch(network))
    if options.task == "enhancement":
        from .enhancement_run import run_enhancement

        sys.exit(run_enhancement(network, options, COMPILING))
    if options.enhanced is not None:
        raise UsageError("--enhanced", "another task than enhancement", remedy="add --task enhancement")
    dataset = dataset_of(options.data, network.input_shapes, limit=options.limit, data_dir=options.data_dir, skip_broken=options.skip_broken)
    if options.sweeps:
        _sweep(network, dataset, options)
    else:
        _evaluate(network, dataset, options)


def _evaluate(network: Network, dataset: Dataset, options: Options) -> None:
    """One run: its tables, JSON and figures, and the gate."""
    from ..errors import UsageError
    from ..gates.baseline import check_data
    from ..gates.gate_list import DROP, LAYER_ERROR
    from ..gates.judge import judged
    from ..measurement.cost_table import cost_tables
    from ..studies.evaluation import evaluate
    from ..tasks.drop_limit import DropLimit

    gates, baseline = options.gating.gates(), options.gating.baseline()
    if baseline is not None:
        check_data(baseline, dataset.name, len(dataset), dataset.sha256)
    if options.layers == "none" and any(gate.kind == LAYER_ERROR for gate in gates):
        raise UsageError("--layers none", f"the gate {LAYER_ERROR}", "layers that it can judge", "set --layers all or sample")
    limits = [DropLimit(gate.measure) for gate in gates if gate.kind == DROP]
    rates = _rate_coded(network, dataset, options)
    with interruptible() as interruption, patient_progress("running, samples", COMPILING) as tell:
        evaluation = evaluate(
            network,
            dataset,
            engine=options.engine,
            threshold=options.threshold,
            histogram=options.histogram,
            quantised=options.quantised,
            distributions=options.folder is not None,
            details=options.html_file is not None,
            spikes=options.spike_file,
            limits=limits,
            costs=options.costs,
            verify=options.verify,
            layers=options.layers,
            log=options.log,
            stopped=lambda: interruption.asked,
            progress=interruption.heard(tell),
            **options.of_study,
        )
    if rates is not None:
        report = rates.beside(evaluation.report, cost_tables(options.costs))
        evaluation = replace(evaluation, report=report, notes=report.notes)
    report = judged(_with_options(evaluation.report, options), gates, baseline)
    evaluation = replace(evaluation, report=report)
    if options.folder is not None:
        from ..figures.run_figures import write_run

        write_run(evaluation, options.folder, titles=not options.no_titles)
        say(f"Wrote the figures to {options.folder}.")
    if options.html_file is not None:
        from ..figures.report_page import report_page
        from ..files.atomic import write_whole

        page = report_page(evaluation.report, evaluation.details).encode()
        write_whole(options.html_file, lambda file: file.write(page))
        say(f"Wrote {options.html_file}.")
    if options.spike_file is not None:
        say(f"Wrote {options.spike_file}.")
    _show(evaluation, options)
    note_subset(dataset)
    if report.partial:
        sys.exit(INTERRUPTED)
    finish(report)


def _rate_coded(network: Network, dataset: Dataset, options: Options) -> RateBaseline | None:
    """The baseline, if it is asked for."""
    from ..studies.rate_baseline import rate_baseline

    if options.rate_steps is None:
        return None
    with progress("rate-coded, samples") as tell:
        return rate_baseline(network, dataset, max_steps=options.rate_steps, progress=tell, **options.of_study)


def _with_options(report: Report, options: Options) -> Report:
    """`report`, which then says how it was asked for."""
    from ..report.schema import ToolPart

    command = click.get_current_context().meta[COMMAND_LINE]
    tool = (report.tool or ToolPart(version="")).model_copy(update={"options": options.said(), "command": command})
    return report.model_copy(update={"tool": tool})


def _show(evaluation: Evaluation, options: Options) -> None:
    """Tables, JSON and notes of a run."""
    from ..tables.hardware_tables import hardware_summary, joules_table
    from ..tables.rate_table import rate_table
    from ..tables.report_tables import energy_table, layers_table, spike_times_table, summary

    report = evaluation.report
    if "-" not in (options.json_file, options.gating.markdown_file):
        timing = [spike_times_table(report)] if options.histogram or options.threshold == "fixed" else []
        hardware = energy_table(report, evaluation.slope), joules_table(report), hardware_summary(report)
        rates = [] if report.rate_coded is None else [rate_table(report, report.rate_coded)]
        show(layers_table(report), *timing, *hardware, *rates, summary(evaluation))
    if options.json_file:
        write_json(report.model_dump(mode="json"), options.json_file)
    write_outcomes(report, options.gating)
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
            network,
            dataset,
            points,
            repeats=options.repeats or 3,
            seed=options.seed or 0,
            log=options.log,
            costs=options.costs,
            progress=tell,
            **options.of_study,
        )
    if options.folder is not None:
        from ..figures.trade_off_figure import write_trade_off
        from ..studies.trade_off import curve_of_sweep

        write_trade_off([curve_of_sweep(found)], options.folder, titles=not options.no_titles)
        say(f"Wrote {options.folder}.")
    if options.json_file != "-":
        show(sweep_table(found))
    if options.json_file:
        write_json(found.as_json(), options.json_file)
    for text in found.notes:
        note(text)
    note_subset(dataset)
