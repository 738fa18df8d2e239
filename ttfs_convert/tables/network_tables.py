"""Tables of a converted network."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from rich.table import Table

from ..measurement.operation_counts import layer_connections, paper, spiking_mac_share, synaptic
from ..measurement.weight_memory import weight_bytes
from ..network.network import Network, step_counts
from ..network.populations import Coded, Input, Layer, Readout, Spiking, label, neurons, weight_sum_deviation
from ..network.provenance import Compensation
from .fitting_table import Name
from .listed import many, nodes_listed
from .sizes import weights_text
from .style import table, two_columns


def network_table(network: Network) -> Table:
    """Layers; their numbers of steps where they differ."""
    steps = network.steps_per_layer()
    return layers_table(network.layers, steps=steps if len(set(steps.values()) - {None}) > 1 else {})


def layers_table(
    layers: Sequence[Layer], title: str = "Layers", unmeasured: Collection[str] = (), steps: Mapping[str, int | None] = MappingProxyType({})
) -> Table:
    """unmeasured: names of layers whose range only calibration will tell. steps: N per layer, shown if there are any."""
    result = table(
        title,
        "layer",
        "range",
        "shape",
        *(["steps"] if steps else []),
        "neurons",
        "synapses",
        "window",
        "kind",
        "slope",
        "worst |weight sum - 1|",
        left=("layer", "kind"),
    )
    for layer in layers:
        kind = f"{label(layer)}, readout" if isinstance(layer, Readout) else label(layer)
        deviation = weight_sum_deviation(layer)
        exempt = isinstance(layer, Readout) or (isinstance(layer, Spiking) and layer.slope != "fan_in")
        worst = "-" if deviation is None else f"{deviation:.1e}" + " (exempt)" * exempt
        result.add_row(
            Name(layer.name),
            "to calibrate" if layer.name in unmeasured else _range(layer),
            "x".join(map(str, layer.shape)),
            *([str(steps[layer.name] or "-")] if steps else []),
            f"{neurons(layer):,}",
            f"{layer_connections(layers, layer)[0]:,}",
            str(layer.window) if layer.window >= 0 else "-",
            kind,
            layer.slope if isinstance(layer, Spiking) else "-",
            worst,
        )
    return result


def _range(layer: Layer) -> str:
    """Smallest lo and largest hi of its channels."""
    if isinstance(layer, Input) and layer.coding == "direct":
        return "direct"
    return f"{layer.lo.min():.3g} .. {layer.hi.max():.3g}" if isinstance(layer, Coded) else "-"


def grid(network: Network) -> str:
    """The time grid in words."""
    return "continuous time" if network.steps is None else f"{step_counts(network.grid())} steps per window, rounding {network.rounding}"


def _grid_of(compensation: Compensation) -> str:
    return f"{step_counts(compensation.steps)} steps, {compensation.rounding},"


COARSE = 32  # steps of an input that loses more of a picture of 8 bits than layers lose of their activations


def coarse_input(network: Network) -> bool:
    """Whether some input spikes on the layers' own grid, and that is a coarse one."""
    return network.steps is not None and any(layer.coding == "spikes" and not layer.steps and network.steps <= COARSE for layer in network.inputs)


def compensation_table(compensation: Compensation) -> Table:
    """What the fit gained in each layer."""
    result = table(
        f"Fitted to {compensation.samples:,} samples of {compensation.data}, {compensation.unseen:,} of them only to judge",
        "layer",
        "gain",
        "error before",
        "error after",
        "weights changed by",
        "ridge",
        "fitted",
        left=("layer", "fitted"),
    )
    for layer in compensation.layers:
        gain = 1 - layer.error_after / layer.error_before if layer.error_before else 0.0
        result.add_row(
            Name(layer.layer),
            f"{100 * gain:.1f} %",
            f"{layer.error_before:.4g}",
            f"{layer.error_after:.4g}",
            f"{100 * layer.weight_change:.2g} %",
            "-" if layer.strength is None else f"{layer.strength:g}",
            layer.fitted,
        )
    return result


def analog_tables(network: Network) -> list[Table]:
    """What of the original ONNX Runtime computes between two windows; none where all in the middle spikes."""
    if not network.analog:
        return []
    columns = ("part", "before window", "nodes", "which", "MACs", "of all MACs")
    result = table("Analog parts: ONNX Runtime computes these nodes", *columns, left=("part", "which"))
    for part in network.analog:
        share = "-" if not network.ann_macs else f"{100 * part.macs / network.ann_macs:.1f} %"
        which = nodes_listed([(node.name, node.operator) for node in part.nodes], len(part.nodes))
        result.add_row(part.name, str(part.window), str(len(part.nodes)), which, f"{part.macs:,}", share)
    return [result]


def _analog_line(network: Network) -> str:
    """How much of the network is analog, in words."""
    nodes, macs = sum(len(part.nodes) for part in network.analog), sum(part.macs for part in network.analog)
    if not nodes:
        return "none"
    share = f"{100 * macs / network.ann_macs:.1f} % of the MACs" if network.ann_macs else "no MACs"
    return f"{many(nodes, 'node')} in {many(len(network.analog), 'part')}, {share}, run by ONNX Runtime"


def counts_table(network: Network) -> Table:
    """The counts that need no data."""
    result = table("Operations per inference", "count", "P_proxy", "SynOPs", "NeuronOPs", left=("count",))
    for name, operations in (("paper", paper(network)), ("synaptic", synaptic(network))):
        values = (operations.p_proxy, operations.synops, operations.neuronops)
        result.add_row(name, *("-" if value is None else f"{value:,.0f}" for value in values))
    if network.analog:
        result.caption = f"without {sum(part.macs for part in network.analog):,} multiply-accumulates of analog parts"
    return result


def contents_table(network: Network, path: str) -> Table:
    """What the file holds and where it is from."""
    result = two_columns(network.name)
    calibration = network.calibration
    rows = {
        "file": f"{path}, {os.path.getsize(path):,} bytes, format {network.format_version}",
        "original": f"SHA-256 {network.onnx_sha256}, " + ("embedded" if network.onnx is not None else "not embedded"),
        "conversion": f"mode {network.mode}, slope {network.slope}, pooling {network.pooling}",
        "calibration": "none"
        if calibration is None
        else f"{calibration.samples:,} samples of {calibration.data}, {calibration.method}"
        + (f" + {100 * calibration.margin:g} %" if calibration.method == "maximum" else ""),
        "compensation": "none"
        if network.compensation is None
        else f"fitted to the rounding of {_grid_of(network.compensation)} on {network.compensation.samples:,} samples of {network.compensation.data}",
        "weights": weights_text(network.weight_grid and network.weight_grid.bits, weight_bytes(network)),
        "time": grid(network) if network.steps is None else f"{grid(network)}; latency {network.latency_steps} steps",
        "windows": f"{network.windows}",
        "neurons": f"{sum(map(neurons, network.layers)):,}",
        "spiking share of MACs": f"{100 * spiking_mac_share(network):.1f} %",
        "analog in the middle": _analog_line(network),
        "tail": "none" if network.tail is None else "run by ONNX Runtime behind the readout",
    }
    for row in rows.items():
        result.add_row(*row)
    return result
