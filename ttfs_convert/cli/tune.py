"""`ttfs-tune`: the fewest time steps that keep the accuracy."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from .base_command import INCONCLUSIVE, Command
from .console import note, note_subset, say, show
from .output_files import check_outputs, write_json
from .shared_options import batched, bounded, judging, sandboxed, skipping

if TYPE_CHECKING:
    from ..data import Dataset
    from ..network.network import Network
    from ..studies.tuning import Tuning


@click.command(cls=Command)
@click.argument("network", metavar="SNN.npz", type=click.Path(exists=True, dir_okay=False))
@click.option("--data", required=True, metavar="NAME|PATH", help="Data with labels or targets, as for ttfs-run.")
@click.option("--data-dir", type=click.Path(file_okay=False, exists=True), help="Where raw data sets are looked for first.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Use N samples only.")
@skipping
@click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    metavar="X",
    help="Budget: by how much the task's first measure may be worse than the original's, on the part of the data that chooses: percentage points "
    "of accuracy or mean IoU, dB of PSNR [default: 0.1], or of RMSE itself.",
)
@click.option(
    "--max-latency",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="Budget instead: time steps until the output can be read. Of the variants within it, the most accurate one on the part of the "
    "data that chooses.",
)
@click.option(
    "--compensate",
    is_flag=True,
    help="Convert the original again for every candidate, by the options that SNN.npz keeps, with ranges and weights fitted to the "
    "candidate's own steps on the samples of --calibrate; labels of these are not used. At most 17 fits, with --max-latency 3.",
)
@click.option(
    "--calibrate", metavar="NAME|PATH", help="With --compensate: data to fit to and to find ranges on; of a named data set, training images."
)
@click.option("--calibration-limit", type=click.IntRange(min=1), default=1000, show_default=True, metavar="N", help="Fit to the first N samples.")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="Share of the data that chooses; the rest judges.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the split.")
@click.option(
    "--out",
    metavar="TUNED.npz",
    help="Write the network of least latency that keeps the budget on the samples that had no say, exit 5 if none does; with "
    "--max-latency the most accurate on those that chose.",
)
@judging
@click.option("--onnx", "onnx_file", type=click.Path(exists=True, dir_okay=False), help="The original model, where none is embedded.")
@batched
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="All cores by default.")
@click.option("--json", "json_file", metavar="FILE", help="Also write the result as JSON; - for standard output alone.")
@sandboxed
@bounded
@click.version_option(package_name="ttfs-convert")
def main(**options):
    """Find the smallest numbers of time steps, uniform and then per layer, that keep the accuracy; or the best ones within a latency.

    One part of the data chooses, another judges: the table's accuracies are of samples that had no say.
    """
    _tune(Options(**options))


class Options(NamedTuple):
    """The command's, by the names that click gives them."""

    network: str
    data: str
    data_dir: str | None
    limit: int | None
    skip_broken: bool
    max_drop: float | None
    max_latency: int | None
    compensate: bool
    calibrate: str | None
    calibration_limit: int
    share: float
    seed: int
    out: str | None
    task: str | None
    output: str | None
    decision_threshold: float | None
    onnx_file: str | None
    batch: int | None
    threads: int | None
    json_file: str | None
    no_sandbox: bool


def _tune(options: Options) -> None:
    from ..sandbox.trial import NETWORK, Trial

    inputs = {"SNN.npz": options.network, "--data": options.data, "--calibrate": options.calibrate, "--onnx": options.onnx_file}
    check_outputs(inputs, json=options.json_file, out=options.out)
    with Trial(NETWORK, options.network, wanted=not options.no_sandbox) as trial:
        trial.ask(onnx=options.onnx_file)
        from ..data.given import dataset_of
        from ..network.store import load
        from ..studies.tuning import tune
        from ..tables.tuning_table import as_json, tuning_table

        network = load(options.network)
        trial.passes()
    dataset = dataset_of(options.data, network.input_shapes, limit=options.limit, data_dir=options.data_dir, skip_broken=options.skip_broken)
    found = tune(
        network,
        dataset,
        options.max_drop,
        max_latency=options.max_latency,
        compensate=options.compensate,
        calibrate=_to_fit_to(options, network),
        share=options.share,
        seed=options.seed,
        progress=say,
        onnx_file=options.onnx_file,
        batch=options.batch,
        threads=options.threads,
        output=options.output,
        decision_threshold=options.decision_threshold,
        task=options.task,
    )
    if options.json_file != "-":
        show(tuning_table(found))
    if options.json_file:
        write_json(as_json(found, dataset, options.seed), options.json_file)
    note(f"steps chosen on {found.chosen_on:,} samples in {found.runs} runs, for {_budget(found)}; all figures are of the other {found.judged_on:,}")
    if found.fitted_to is not None:
        fitted = found.fitted_to
        note(
            f"all but the network as given are fitted, each to its own steps, on {fitted.samples:,} samples of {fitted.data} "
            f"(SHA-256 {fitted.sha256[:16]}...) in {fitted.fits} fits"
        )
    for text in found.notes:
        note(text)
    note_subset(dataset)
    _write(found, options)


def _to_fit_to(options: Options, network: Network) -> Dataset | None:
    """The first samples of --calibrate."""
    from ..data.given import dataset_of

    if options.calibrate is None:
        return None
    return dataset_of(
        options.calibrate,
        network.input_shapes,
        limit=options.calibration_limit,
        data_dir=options.data_dir,
        split="train",
        skip_broken=options.skip_broken,
    )


def _budget(found: Tuning) -> str:
    if found.max_latency is None:
        return f"a drop of at most {found.max_drop:g} {found.measure.drift_unit}".rstrip()
    return f"the least drop within a latency of {found.max_latency:,} steps"


def _write(found: Tuning, options: Options) -> None:
    """The tuned network, if one keeps the budget; else exit."""
    from ..network.store import save
    from ..sandbox.trial import trust

    if found.network is None:
        unwritten = "" if options.out is None else f"; {options.out} is not written"
        budget = f"{found.max_drop:g} {found.measure.drift_unit}".rstrip()
        note(f"no variant stays within {budget} on the samples that had no say{unwritten}: name more data, or allow a larger drop")
        sys.exit(INCONCLUSIVE)
    if options.out is not None:
        save(found.network, options.out)
        trust(options.out)
        say(f"Wrote {options.out}: the variant {found.kept}.")
