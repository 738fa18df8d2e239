"""`ttfs-convert`: ONNX in, spiking network out."""

from __future__ import annotations

import sys

import click

from ..kernels.rounding import MAX_STEPS, ROUNDINGS
from ..network.choices import EXACT_SLOPES, MODES, POOLINGS
from .console import console, note
from .input_range_option import RangePart, WithRanges, input_range_of
from .output_files import check_outputs, json_text, write_json
from .shared_options import Steps
from .streams import undelivered


@click.command(cls=WithRanges)
@click.argument("model", metavar="MODEL.onnx", type=click.Path(exists=True, dir_okay=False))
@click.option("--out", required=True, metavar="SNN.npz", type=click.Path(dir_okay=False), help="File to write the spiking network to.")
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default="strict",
    show_default=True,
    help="strict: the paper; demand ReLU1 and unity weight sums, or exit 3 with a table of offenders. exact: any ReLU network, with "
    "a value range per channel. unchecked: for ablations; clamp any ReLU at 1, keep any weight sum, list the violations.",
)
@click.option(
    "--slope",
    type=click.Choice(EXACT_SLOPES),
    help="Mode exact: what makes every ramp rise by 1 per window. gated (default): currents stop when the window opens, silent "
    "neurons send nothing. reference: one more spike per layer, which evens out the weight sums.",
)
@click.option("--steps", type=Steps(), default=50, show_default=True, help="Time steps per window, or continuous time.")
@click.option(
    "--input-steps",
    type=click.IntRange(1, MAX_STEPS),
    metavar="N",
    help="Time steps of the input's window, if not those of the layers: 255 for pictures of 8 bits.",
)
@click.option(
    "--rounding",
    type=click.Choice(ROUNDINGS),
    default="nearest",
    show_default=True,
    help="Which step a neuron fires at that is due between two: the nearest, or the first one after (biased by half a step).",
)
@click.option(
    "--pooling",
    type=click.Choice(POOLINGS),
    default="synaptic",
    show_default=True,
    help="Average pools as part of the next layer's synapses, or as neurons with a window of their own.",
)
@click.option("--tolerance", type=click.FloatRange(min=0), default=1e-4, show_default=True, help="How far a weight sum may be from 1.")
@click.option(
    "--calibrate",
    metavar="NAME|PATH",
    help="Mode exact: data that shows how large unbounded activations get; of a named data set, training images. As ttfs-run's "
    "--data. With --compensate, in any mode, also what is fitted to.",
)
@click.option(
    "--calibration-limit", type=click.IntRange(min=1), default=1000, show_default=True, metavar="N", help="Calibrate on the first N samples."
)
@click.option("--data-dir", type=click.Path(file_okay=False, exists=True), help="Where the raw data set to calibrate on is looked for first.")
@click.option(
    "--compensate",
    is_flag=True,
    help="Fit weights and biases anew, layer by layer and without training, to the rounding of N steps, on the samples of "
    "--calibrate; labels are not used. In mode exact value ranges are fitted too.",
)
@click.option(
    "--method",
    metavar="maximum|mse|P",
    help="Ends of a calibrated range: the extremes plus --margin; the least squared error of clipping and rounding; or the P-th "
    "percentile, which suits rate codes better than this one.  [default: maximum; with --compensate mse]",
)
@click.option(
    "--margin",
    type=click.FloatRange(min=0),
    default=0.1,
    show_default=True,
    help="By what share of its width a range from the maximum is widened at each calibrated end.",
)
@click.option(
    "--input-range",
    "input_ranges",
    type=RangePart(),
    nargs=2,
    multiple=True,
    metavar="LO HI|data|NAME:LO:HI|NAME:data|NAME:direct",
    help="Smallest and largest input value; data: those that --calibrate shows, for each feature or channel its own; with NAME "
    "(repeatable) those of one of several inputs.  [default: 0 255 where the model rescales pixels itself, else 0 1]",
)
@click.option(
    "--input-shape",
    "shapes",
    multiple=True,
    metavar="[NAME:]SIZES",
    help="Sizes of an input that the model leaves open, such as 3x224x224; else they are those of --calibrate's samples.",
)
@click.option("--direct-input", is_flag=True, help="Inputs without bounds: they enter as analog current, without a window of their own.")
@click.option("--no-embed", is_flag=True, help="Leave the original model out of the file; ttfs-run then needs --onnx.")
@click.option("--json", "json_file", metavar="FILE", help="Also write the table of layers as JSON; - for standard output alone.")
@click.version_option(package_name="ttfs-convert")
def main(
    model,
    out,
    mode,
    slope,
    steps,
    input_steps,
    rounding,
    pooling,
    tolerance,
    calibrate,
    calibration_limit,
    data_dir,
    compensate,
    method,
    margin,
    input_ranges,
    shapes,
    direct_input,
    no_embed,
    json_file,
):
    """Convert a trained network to a spiking one with time-to-first-spike coding (LC-TTFS).

    Every neuron fires at most once per inference, the earlier the larger its activation. Nothing is written unless the whole model
    converts.
    """
    from pathlib import Path

    from ..conversion.pipeline import convert
    from ..data.given import dataset_of
    from ..errors import UsageError
    from ..files.atomic import write_all
    from ..network.store import archive_of
    from ..onnx_model.given_model import declared_shapes
    from ..onnx_model.input_sizes import parsed_sizes
    from ..tables.network_json import network_json
    from ..tables.network_tables import compensation_table, grid, network_table
    from ..tables.refusal_tables import violations_table

    check_outputs(out=out, json=json_file)
    if any(target not in (None, "-") and Path(target).resolve() == Path(model).resolve() for target in (out, json_file)):
        raise UsageError("--out", "the model itself", "another file")
    given = input_range_of(input_ranges)
    from_data = "data" in (given.values() if isinstance(given, dict) else [given])
    for option, value in (("--slope", slope), ("--calibrate", None if from_data else calibrate)):
        if value is not None and mode != "exact" and not (compensate and option == "--calibrate"):
            raise UsageError(option, f"given with mode {mode}", "mode exact", "add --mode exact, or leave it out")
    if direct_input and input_ranges:
        raise UsageError("--direct-input", "given with --input-range", "one of them")
    data = calibrate and dataset_of(calibrate, declared_shapes(model), limit=calibration_limit, data_dir=data_dir, split="train")
    network = convert(
        model,
        mode=mode,
        slope=slope or "gated",
        steps=steps or None,
        rounding=rounding,
        pooling=pooling,
        tolerance=tolerance,
        input_range=None if direct_input else given,
        input_shape=parsed_sizes(shapes),
        calibrate=data,
        method=method,
        margin=margin,
        embed=not no_embed,
        input_steps=input_steps,
        compensate=compensate,
    )
    if json_file == "-":
        write_json(network_json(network), json_file)
    else:
        screen = console()
        screen.print(network_table(network))
        if network.violations:
            screen.print(violations_table(network.violations))
        if compensate:
            screen.print(compensation_table(network.compensation))
    if undelivered():
        sys.exit(1)  # Command says why
    files = {out: archive_of(network)}
    if json_file not in (None, "-"):
        files[json_file] = lambda file: file.write(json_text(network_json(network)).encode())
    write_all(files)
    if json_file == "-":
        return
    for text in _notes(network):
        note(text)
    click.echo(f"Wrote {out}: {network.windows} windows, {grid(network)}.")


def _notes(network) -> list[str]:
    """What a user of the network must know."""
    from ..tables.network_tables import coarse_input

    found = ["mode unchecked let these pass: expect the accuracy to fall"] if network.violations else []
    found += network.notes
    found += dict.fromkeys(f"calibration: {text}" for part in (network.calibration, network.compensation) if part for text in part.notes)
    if coarse_input(network):
        found.append(
            f"the input has {network.steps} steps like the layers, pictures of 8 bits have 255: --input-steps 255 takes "
            f"{255 - network.steps} steps more per inference and often keeps more accuracy than as many steps anywhere else"
        )
    if network.precision != "float32":
        found.append(f"the model's weights are {network.precision}; all is computed in float32")
    return found
