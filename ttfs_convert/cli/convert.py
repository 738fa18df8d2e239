"""`ttfs-convert`: ONNX in, spiking network out."""

from __future__ import annotations

import click

from .common import EXIT_CODES, Steps, check_output, console, note, reporting_errors, write_json


@click.command(epilog=EXIT_CODES, context_settings={"max_content_width": 100})
@click.argument("model", metavar="MODEL.onnx", type=click.Path(exists=True, dir_okay=False))
@click.option("--out", required=True, metavar="SNN.npz", type=click.Path(dir_okay=False), help="File to write the spiking network to.")
@click.option("--mode", type=click.Choice(["strict", "exact", "unchecked"]), default="strict", show_default=True,
              help="strict: the paper; demand ReLU1 and unity weight sums, or exit 3 with a table of offenders. exact: any ReLU network, with "
                   "a value range per channel. unchecked: for ablations; clamp any ReLU at 1, keep any weight sum, list the violations.")
@click.option("--slope", type=click.Choice(["gated", "reference"]),
              help="Mode exact: what makes every ramp rise by 1 per window. gated (default): currents stop when the window opens, silent "
                   "neurons send nothing. reference: one more spike per layer, which evens out the weight sums.")
@click.option("--steps", type=Steps(), default=50, show_default=True, help="Time steps per window, or continuous time.")
@click.option("--input-steps", type=click.IntRange(1, 65535), metavar="N",
              help="Time steps of the input's window, if not those of the layers: 255 for pictures of 8 bits.")
@click.option("--rounding", type=click.Choice(["nearest", "ceil"]), default="nearest", show_default=True,
              help="Which step a neuron fires at that is due between two: the nearest, or the first one after (biased by half a step).")
@click.option("--pooling", type=click.Choice(["synaptic", "spiking"]), default="synaptic", show_default=True,
              help="Average pools as part of the next layer's synapses, or as neurons with a window of their own.")
@click.option("--tolerance", type=click.FloatRange(min=0), default=1e-4, show_default=True,
              help="How far a weight sum may be from 1.")
@click.option("--calibrate", metavar="NAME|PATH",
              help="Mode exact: data that shows how large unbounded activations get; of a named data set, training images. As ttfs-run's "
                   "--data. With --compensate, in any mode, also what is fitted to.")
@click.option("--calibration-limit", type=click.IntRange(min=1), default=1000, show_default=True, metavar="N",
              help="Calibrate on the first N samples.")
@click.option("--data-dir", type=click.Path(file_okay=False, exists=True), help="Where the raw data set to calibrate on is looked for first.")
@click.option("--compensate", is_flag=True,
              help="Fit weights and biases anew, layer by layer and without training, to the rounding of N steps, on the samples of "
                   "--calibrate; labels are not used. In mode exact value ranges are fitted too.")
@click.option("--method", metavar="maximum|mse|P",
              help="Ends of a calibrated range: the extremes plus --margin; the least squared error of clipping and rounding; or the P-th "
                   "percentile, which suits rate codes better than this one.  [default: maximum; with --compensate mse]")
@click.option("--margin", type=click.FloatRange(min=0), default=0.1, show_default=True,
              help="By what share of its width a range from the maximum is widened at each calibrated end.")
@click.option("--input-range", type=float, nargs=2, metavar="LO HI", help="Smallest and largest input value.  [default: 0 1]")
@click.option("--direct-input", is_flag=True, help="Inputs without bounds: they enter as analog current, without a window of their own.")
@click.option("--no-embed", is_flag=True, help="Leave the original model out of the file; ttfs-run then needs --onnx.")
@click.option("--json", "json_file", metavar="FILE", help="Also write the table of layers as JSON; - for standard output alone.")
@click.version_option(package_name="ttfs-convert")
@reporting_errors
def main(model, out, mode, slope, steps, input_steps, rounding, pooling, tolerance, calibrate, calibration_limit, data_dir, compensate, method,
         margin, input_range, direct_input, no_embed, json_file):
    """Convert a trained network to a spiking one with time-to-first-spike coding (LC-TTFS).

    Every neuron fires at most once per inference, the earlier the larger its activation. Nothing is written unless the whole model
    converts.
    """
    from pathlib import Path

    from ..atomic import check_target
    from ..conversion import convert
    from ..datasets import load_dataset
    from ..errors import UsageError
    from ..store import save
    from .network_tables import coarse_input, compensation_table, grid, network_json, network_table, violations_table

    check_target(out)
    check_output(json_file)
    if any(target not in (None, "-") and Path(target).resolve() == Path(model).resolve() for target in (out, json_file)):
        raise UsageError("--out", "the model itself", "another file")
    for option, value in (("--slope", slope), ("--calibrate", calibrate)):
        if value is not None and mode != "exact" and not (compensate and option == "--calibrate"):
            raise UsageError(option, f"given with mode {mode}", "mode exact", "add --mode exact, or leave it out")
    if direct_input and input_range:
        raise UsageError("--direct-input", "given with --input-range", "one of them")
    data = calibrate and load_dataset(calibrate, data_dir=data_dir and Path(data_dir), limit=calibration_limit, split="train")
    network = convert(model, mode=mode, slope=slope or "gated", steps=steps or None, rounding=rounding, pooling=pooling,
                      tolerance=tolerance, input_range=None if direct_input else input_range or (0.0, 1.0), calibrate=data, method=method,
                      margin=margin, embed=not no_embed, input_steps=input_steps, compensate=compensate)
    save(network, out)
    if json_file:
        write_json(network_json(network), json_file)
    if json_file == "-":
        return
    screen = console()
    screen.print(network_table(network))
    if network.violations:
        screen.print(violations_table(network.violations))
        note("mode unchecked let these pass: expect the accuracy to fall")
    for text in dict.fromkeys(text for part in (network.calibration, network.compensation) if part for text in part.notes):
        note(f"calibration: {text}")
    if compensate:
        screen.print(compensation_table(network.compensation))
    if coarse_input(network):
        note(f"the input has {network.steps} steps like the layers, pictures of 8 bits have 255: --input-steps 255 takes "
             f"{255 - network.steps} steps more per inference and often keeps more accuracy than as many steps anywhere else")
    if network.precision != "float32":
        note(f"the model's weights are {network.precision}; all is computed in float32")
    click.echo(f"Wrote {out}: {network.windows} windows, {grid(network)}.")
