"""`ttfs-tune`: the fewest time steps that keep the accuracy."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .common import EXIT_CODES, INCONCLUSIVE, Command, check_outputs, console, judging, note, say, write_json


@click.command(cls=Command, epilog=EXIT_CODES, context_settings={"max_content_width": 100})
@click.argument("network", metavar="SNN.npz", type=click.Path(exists=True, dir_okay=False))
@click.option("--data", required=True, metavar="NAME|PATH", help="Labelled data, as for ttfs-run.")
@click.option("--data-dir", type=click.Path(file_okay=False, exists=True), help="Where raw data sets are looked for first.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Use N samples only.")
@click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    default=0.1,
    show_default=True,
    metavar="PP",
    help="Budget: percentage points of accuracy below the original's, on the part of the data that chooses.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="Share of the data that chooses; the rest judges.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the split.")
@click.option(
    "--out", metavar="TUNED.npz", help="Write the network of least latency that keeps the budget on the samples that had no say; exit 5 if none does."
)
@judging
@click.option("--onnx", "onnx_file", type=click.Path(exists=True, dir_okay=False), help="The original model, where none is embedded.")
@click.option("--batch", type=click.IntRange(min=1), default=64, show_default=True, help="Samples at a time; changes no figure.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="All cores by default.")
@click.option("--json", "json_file", metavar="FILE", help="Also write the result as JSON; - for standard output alone.")
@click.version_option(package_name="ttfs-convert")
def main(network, data, data_dir, limit, max_drop, share, seed, out, output, decision_threshold, onnx_file, batch, threads, json_file):
    """Find the smallest numbers of time steps, uniform and then per layer, that keep the accuracy.

    One part of the data chooses, another judges: the table's accuracies are of samples that had no say.
    """
    from ..data import load_dataset
    from ..network.store import load, save
    from ..studies.picture_size import picture_size
    from ..studies.tuning import tune
    from ..tables.tuning_table import as_json, tuning_table

    check_outputs(json=json_file, out=out)
    loaded = load(network)
    dataset = load_dataset(data, data_dir=None if data_dir is None else Path(data_dir), limit=limit, size=picture_size(loaded))
    found = tune(
        loaded,
        dataset,
        max_drop,
        share=share,
        seed=seed,
        onnx_file=onnx_file,
        batch=batch,
        threads=threads,
        output=output,
        decision_threshold=decision_threshold,
        progress=say,
    )
    if json_file != "-":
        console().print(tuning_table(found))
    if json_file:
        write_json(as_json(found, dataset, max_drop, seed), json_file)
    note(
        f"steps chosen on {found.chosen_on:,} samples in {found.runs} runs, for a drop of at most {max_drop:g} pp; all figures are of the other "
        f"{found.judged_on:,}"
    )
    for text in found.notes:
        note(text)
    if len(dataset) < dataset.total:
        note(f"--limit: a subset, {len(dataset):,} of {dataset.total:,} samples")
    if found.kept is None:
        note(
            f"no variant stays within {max_drop:g} pp on the samples that had no say"
            + ("" if out is None else f"; {out} is not written")
            + ": name more data, or allow a larger drop"
        )
        sys.exit(INCONCLUSIVE)
    if out is not None:
        save(found.network, out)
        say(f"Wrote {out}: the variant {found.kept}.")
