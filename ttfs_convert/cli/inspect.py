"""`ttfs-inspect`: what a model would become, or what a network file holds. Writes nothing but the JSON and the figures asked for."""

from __future__ import annotations

import click

from .base_command import Command
from .console import note, say, show
from .output_files import check_outputs, write_json
from .shared_options import bounded, sandboxed


@click.command(cls=Command)
@click.argument("file", metavar="MODEL.onnx|SNN.npz", type=click.Path(exists=True, dir_okay=False))
@click.option("--json", "json_file", metavar="FILE", help="Also write it as JSON; - for standard output alone.")
@click.option(
    "--plot",
    "folder",
    metavar="DIR",
    help="Draw, as PNG and SVG, the weight sums of every layer's neurons and how far from 1 they are; of a model, as mode "
    "strict sees them. Needs the extra plot.",
)
@click.option(
    "--input-shape", "shapes", multiple=True, metavar="[NAME:]SIZES", help="Of a model that leaves sizes of an input open: these, such as 3x224x224."
)
@sandboxed
@bounded
@click.version_option(package_name="ttfs-convert")
def main(file, json_file, folder, shapes, no_sandbox):
    """Look into a model or a converted network.

    MODEL.onnx: what would happen: whether each mode converts it, its layers, all nodes that have no spiking form and what to do about
    them, constraints of the paper that it breaks, the share of its multiply-accumulates that can spike. SNN.npz: what is in it, where it
    is from, and its operation counts. Exits with 3 for a model that no mode converts.
    """
    from ..errors import ModelError
    from ..figures.figure_folder import check_plots

    check_outputs({"MODEL.onnx|SNN.npz": file}, json=json_file)
    if folder is not None:
        check_plots(folder)
    subject, content, tables, remedies = _network(file) if _is_zip(file) else _model(file, shapes, not no_sandbox)
    if folder is not None:
        from ..figures.weight_figures import write_weight_sums

        write_weight_sums(subject, folder)
        say(f"Wrote the figures to {folder}.")
    if json_file:
        write_json(content, json_file)
    if json_file != "-":
        show(*tables)
    for text in subject.notes:
        note(text)
    if remedies is not None:
        seen = [] if json_file == "-" else ["see the table of what cannot spike"]
        raise ModelError(file, "no mode converts it as it is", remedy=", or ".join([*seen, *remedies]))


def _is_zip(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"PK"


def _network(path: str):
    from ..network.store import load
    from ..tables.network_json import network_json
    from ..tables.network_tables import analog_tables, compensation_table, contents_table, counts_table, network_table

    network = load(path)
    fits = (compensation_table(network.compensation),) if network.compensation else ()
    tables = (network_table(network), *analog_tables(network), *fits, counts_table(network), contents_table(network, path))
    return network, network_json(network), tables, None


def _model(path: str, shapes: tuple[str, ...], sandbox: bool):
    from ..sandbox.trial import MODEL, Trial

    with Trial(MODEL, path, wanted=sandbox) as trial:
        trial.ask(shapes=shapes)
        from ..network.choices import MODES
        from ..onnx_model.input_sizes import parsed_sizes
        from ..studies.inspection import inspect_model
        from ..tables.inspection_tables import inspection_json, inspection_tables

        trial.passes()
    inspection = inspect_model(path, parsed_sizes(shapes))
    remedies = ["leave it to ONNX Runtime with --mode exact --allow-analog"] * inspection.converts_mixed
    return inspection, inspection_json(inspection), inspection_tables(inspection), None if any(map(inspection.converts, MODES)) else remedies
