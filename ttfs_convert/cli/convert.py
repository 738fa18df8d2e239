"""`ttfs-convert`: ONNX in, spiking network out."""

from __future__ import annotations

import click

from .common import EXIT_CODES, Steps, check_json_target, console, note, reporting_errors, write_json


@click.command(epilog=EXIT_CODES, context_settings={"max_content_width": 100})
@click.argument("model", metavar="MODEL.onnx", type=click.Path(exists=True, dir_okay=False))
@click.option("--out", required=True, metavar="SNN.npz", type=click.Path(dir_okay=False), help="File to write the spiking network to.")
@click.option("--mode", type=click.Choice(["strict", "unchecked"]), default="strict", show_default=True,
              help="strict: demand ReLU1 and unity weight sums, or exit 3 with a table of offenders. unchecked: for ablations; clamp any "
                   "ReLU at 1, keep any weight sum, list the violations.")
@click.option("--steps", type=Steps(), default=50, show_default=True, help="Time steps per window, or continuous time.")
@click.option("--rounding", type=click.Choice(["nearest", "ceil"]), default="nearest", show_default=True,
              help="Which step a neuron fires at that is due between two: the nearest, or the first one after (biased by half a step).")
@click.option("--pooling", type=click.Choice(["synaptic", "spiking"]), default="synaptic", show_default=True,
              help="Average pools as part of the next layer's synapses, or as neurons with a window of their own.")
@click.option("--tolerance", type=click.FloatRange(min=0), default=1e-4, show_default=True,
              help="How far a weight sum may be from 1.")
@click.option("--no-embed", is_flag=True, help="Leave the original model out of the file; ttfs-run then needs --onnx.")
@click.option("--json", "json_file", metavar="FILE", help="Also write the table of layers as JSON; - for standard output alone.")
@click.version_option(package_name="ttfs-convert")
@reporting_errors
def main(model, out, mode, steps, rounding, pooling, tolerance, no_embed, json_file):
    """Convert a trained network to a spiking one with time-to-first-spike coding (LC-TTFS).

    Every neuron fires once per inference, the earlier the larger its activation. Nothing is written unless the whole model converts.
    """
    from ..atomic import check_target
    from ..conversion import convert
    from ..store import save
    from .network_tables import network_json, network_table, violations_table

    check_target(out)
    check_json_target(json_file)
    network = convert(model, mode=mode, steps=steps or None, rounding=rounding, pooling=pooling, tolerance=tolerance,
                      embed=not no_embed)
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
    time = "continuous time" if network.steps is None else f"{network.steps} steps per window, rounding {network.rounding}"
    screen.print(f"Wrote {out}: {network.windows} windows, {time}.")
