"""Tables of a converted network and of what kept it from converting."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ..conversion import ConstraintError
from ..errors import TtfsError
from ..ir import Network, Readout, Spiking, Violation, label, neurons, weight_sum_deviation
from ..lowering.graph import UnsupportedModel
from ..measure.counts import layer_connections


def table(title: str, *columns: str, left: tuple[str, ...] = ()) -> Table:
    """An empty table; numbers to the right, the columns named in `left` to the left."""
    result = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        result.add_column(column, justify="left" if column in left else "right", overflow="fold")
    return result


def details(error: TtfsError) -> Table | None:
    """The table behind an error's line: every offender, every unsupported node."""
    if isinstance(error, ConstraintError):
        return violations_table(error.violations)
    if isinstance(error, UnsupportedModel):
        columns = ("node", "operator", "why", "what to do")
        result = table("Unsupported nodes", *columns, left=columns)
        for node in error.nodes:
            result.add_row(*node)
        return result
    return None


def violations_table(violations: Iterable[Violation]) -> Table:
    result = table("Not lossless", "layer", "problem", "neurons", "worst deviation", "what to do", left=("layer", "problem", "what to do"))
    for violation in violations:
        worst = "-" if violation.worst is None else f"{violation.worst:.3g}"
        result.add_row(violation.layer, violation.problem, f"{violation.neurons:,}", worst, violation.remedy)
    return result


def network_table(network: Network) -> Table:
    result = table("Layers", "layer", "kind", "shape", "neurons", "synapses", "window", "slope", "worst |weight sum - 1|",
                   left=("layer", "kind"))
    for layer in network.layers:
        kind = f"{label(layer)}, readout" if isinstance(layer, Readout) else label(layer)
        deviation = weight_sum_deviation(layer)
        worst = "-" if deviation is None else f"{deviation:.1e}" + (" (exempt)" if isinstance(layer, Readout) else "")
        result.add_row(layer.name, kind, "x".join(map(str, layer.shape)), f"{neurons(layer):,}",
                       f"{layer_connections(network, layer)[0]:,}", str(layer.window),
                       layer.slope if isinstance(layer, Spiking) else "-", worst)
    return result


def network_json(network: Network) -> dict:
    """What `ttfs-convert --json` writes: the table of layers and the violations that were let pass."""
    return {"name": network.name, "onnx_sha256": network.onnx_sha256, "mode": network.mode, "steps": network.steps,
            "rounding": network.rounding, "pooling": network.pooling, "windows": network.windows,
            "layers": [{"name": layer.name, "kind": "readout" if isinstance(layer, Readout) else label(layer), "shape": list(layer.shape),
                        "neurons": neurons(layer), "synapses": layer_connections(network, layer)[0], "window": layer.window,
                        "slope": layer.slope if isinstance(layer, Spiking) else None,
                        "weight_sum_max_deviation": weight_sum_deviation(layer)} for layer in network.layers],
            "violations": [violation.model_dump() for violation in network.violations]}
