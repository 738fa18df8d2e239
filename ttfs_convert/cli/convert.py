"""`ttfs-convert`: ONNX in, spiking network out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from ..kernels.rounding import MAX_STEPS, ROUNDINGS
from ..network.choices import EXACT_SLOPES, FEWEST_BITS, MODES, MOST_BITS, POOLINGS
from .console import note, say, show
from .input_range_option import RangePart, WithRanges, input_range_of
from .output_files import check_outputs, json_text, write_json
from .progress_lines import hearing
from .shared_options import Steps, bounded, sandboxed, skipping
from .streams import undelivered

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from ..kernels.rounding import Rounding
    from ..network.choices import Mode, Pooling, Slope
    from ..network.network import Network
    from ..sandbox.trial import Trial


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
@skipping
@click.option("--data-dir", type=click.Path(file_okay=False, exists=True), help="Where the raw data set to calibrate on is looked for first.")
@click.option(
    "--compensate",
    is_flag=True,
    help="Fit weights and biases anew, layer by layer and without training, to the rounding of N steps, on the samples of "
    "--calibrate; labels are not used. In mode exact value ranges are fitted too.",
)
@click.option(
    "--weight-bits",
    type=click.IntRange(FEWEST_BITS, MOST_BITS),
    metavar="8|6|4|...",
    help="Round trained weights to integers of so many bits times one scale per neuron: with --compensate in the same fit, else to the "
    "nearest. Mode strict keeps weight sums of 1. Biases stay float32.",
)
@click.option(
    "--allow-analog",
    is_flag=True,
    help="Mode exact: let ONNX Runtime compute what has no spiking form in the middle of the network (recurrent cells, TopK, Loop and "
    "the like), between two windows; it is named, with its share of the multiply-accumulates.",
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
@sandboxed
@bounded
@click.version_option(package_name="ttfs-convert")
def main(**options):
    """Convert a trained network to a spiking one with time-to-first-spike coding (LC-TTFS).

    Every neuron fires at most once per inference, the earlier the larger its activation. Nothing is written unless the whole model
    converts.
    """
    chosen = Options(**options)
    chosen.check()
    with hearing(), _trial(chosen) as trial:
        network = _network(chosen, trial)
    _show(network, chosen)
    if undelivered():
        sys.exit(1)  # Command says why
    _write(network, chosen)


class Options(NamedTuple):
    """The command's, by the names that click gives them."""

    model: str
    out: str
    mode: Mode
    slope: Slope | None
    steps: int
    input_steps: int | None
    rounding: Rounding
    pooling: Pooling
    tolerance: float
    calibrate: str | None
    calibration_limit: int
    skip_broken: bool
    data_dir: str | None
    compensate: bool
    weight_bits: int | None
    allow_analog: bool
    method: str | None
    margin: float
    input_ranges: tuple
    shapes: tuple[str, ...]
    direct_input: bool
    no_embed: bool
    no_sandbox: bool
    json_file: str | None

    def check(self) -> None:
        """Raise UsageError for options that do not fit together, or for files that cannot be written."""
        from ..errors import UsageError
        from ..onnx_model.external_data import external_files
        from ..onnx_model.read import parsed

        inputs: dict[str, str | None] = {"MODEL.onnx": self.model, "--calibrate": self.calibrate}
        if any(target is not None and Path(target).exists() for target in (self.out, self.json_file)):
            inputs |= {f"MODEL.onnx ({file.name})": str(file) for file in external_files(parsed(self.model), Path(self.model).parent)}
        check_outputs(inputs, out=self.out, json=self.json_file)
        given = input_range_of(self.input_ranges)
        from_data = "data" in (given.values() if isinstance(given, dict) else [given])
        for option, value in (("--slope", self.slope), ("--calibrate", None if from_data else self.calibrate)):
            if value is not None and self.mode != "exact" and not (self.compensate and option == "--calibrate"):
                raise UsageError(option, f"given with mode {self.mode}", "mode exact", "add --mode exact, or leave it out")
        if self.allow_analog and self.mode != "exact":
            raise UsageError(
                "--allow-analog",
                f"given with mode {self.mode}",
                "mode exact: in the paper's networks all layers spike",
                "add --mode exact, or leave it out",
            )
        if self.direct_input and self.input_ranges:
            raise UsageError("--direct-input", "given with --input-range", "one of them")


def _trial(options: Options) -> Trial:
    """Of the model, which has begun."""
    from ..sandbox.trial import MODEL, Trial

    trial = Trial(MODEL, options.model, wanted=not options.no_sandbox)
    if options.calibrate is None:
        trial.ask(shapes=options.shapes)
    return trial


def _network(options: Options, trial: Trial) -> Network:
    """What the model converts to."""
    from ..conversion.pipeline import convert
    from ..data.given import dataset_of
    from ..onnx_model.given_model import declared_shapes
    from ..onnx_model.input_sizes import parsed_sizes, sizes_texts

    data = options.calibrate and dataset_of(
        options.calibrate,
        declared_shapes(options.model),
        limit=options.calibration_limit,
        data_dir=options.data_dir,
        split="train",
        skip_broken=options.skip_broken,
    )
    if data:
        trial.ask(shapes=sizes_texts(options.model, options.shapes, data))
    trial.passes()
    return convert(
        options.model,
        mode=options.mode,
        slope=options.slope or "gated",
        steps=options.steps or None,
        rounding=options.rounding,
        pooling=options.pooling,
        tolerance=options.tolerance,
        input_range=None if options.direct_input else input_range_of(options.input_ranges),
        input_shape=parsed_sizes(options.shapes),
        calibrate=data,
        method=options.method,
        margin=options.margin,
        embed=not options.no_embed,
        input_steps=options.input_steps,
        compensate=options.compensate,
        allow_analog=options.allow_analog,
        weight_bits=options.weight_bits,
    )


def _show(network: Network, options: Options) -> None:
    """Its tables, or JSON alone, on standard output."""
    from ..tables.network_json import network_json
    from ..tables.network_tables import analog_tables, compensation_table, network_table
    from ..tables.refusal_tables import violations_table

    if options.json_file == "-":
        write_json(network_json(network), options.json_file)
        return
    show(network_table(network), *analog_tables(network))
    if network.violations:
        show(violations_table(network.violations))
    if network.compensation is not None:
        show(compensation_table(network.compensation))


def _write(network: Network, options: Options) -> None:
    """Its files, all or none, and what a user of it must know."""
    from ..files.atomic import write_all
    from ..measurement.weight_memory import weight_bytes
    from ..network.store import archive_of
    from ..sandbox.trial import trust
    from ..tables.network_json import network_json
    from ..tables.network_tables import grid
    from ..tables.sizes import weights_text

    files: dict[str | Path, Callable[[IO[bytes]], object]] = {options.out: archive_of(network)}
    if options.json_file is not None and options.json_file != "-":
        files[options.json_file] = lambda file: file.write(json_text(network_json(network)).encode())
    write_all(files)
    trust(options.out)
    if options.json_file == "-":
        return
    for text in _notes(network):
        note(text)
    if options.json_file is not None:
        say(f"Wrote {options.json_file}.")
    grid_of = network.weight_grid
    weights = "" if grid_of is None else f"; weights are {weights_text(grid_of.bits, weight_bytes(network))}"
    click.echo(f"Wrote {options.out}: {network.windows} windows, {grid(network)}{weights}.")


def _notes(network: Network) -> list[str]:
    """What a user of the network must know."""
    from ..tables.network_tables import coarse_input

    found = ["mode unchecked let these pass: expect the accuracy to fall"] if network.violations else []
    found += network.notes
    found += dict.fromkeys(f"calibration: {text}" for part in (network.calibration, network.compensation) if part for text in part.notes)
    if network.steps is not None and coarse_input(network):
        found.append(
            f"the input has {network.steps} steps like the layers, pictures of 8 bits have 255: --input-steps 255 takes "
            f"{255 - network.steps} steps more per inference and often keeps more accuracy than as many steps anywhere else"
        )
    if network.precision != "float32":
        found.append(f"the model's weights are {network.precision}; all is computed in float32")
    return found
