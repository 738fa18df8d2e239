"""Tables and JSON of an inspected model."""

from __future__ import annotations

from rich.table import Table

from ..network.choices import MODES
from ..studies.inspection import ModelInspection, ModeVerdict
from .listed import many, nodes_listed
from .network_json import analog_json, layers_json
from .network_tables import layers_table
from .refusal_tables import Unsupported, unsupported_table, violations_table
from .style import two_columns


def inspection_tables(inspection: ModelInspection) -> list[Table]:
    """What converts, layer by layer; what does not; the verdict last, where the eye falls."""
    shown, strict = inspection.modes[inspection.shown], inspection.modes["strict"]
    result = [layers_table(shown.layers, f"Layers in mode {inspection.shown}", shown.unmeasured)]
    modes: dict[Unsupported, list[str]] = {}
    for mode in MODES:
        for node in inspection.modes[mode].unsupported:
            modes.setdefault(node, []).append(mode)
    if modes:
        result.append(unsupported_table(modes, {node: "all" if len(names) == len(MODES) else ", ".join(names) for node, names in modes.items()}))
    if strict.violations:
        result.append(violations_table(strict.violations))
    return [*result, _summary(inspection)]


def _summary(inspection: ModelInspection) -> Table:
    result = two_columns(inspection.name)
    for kind, values in (("input", inspection.inputs), ("output", inspection.outputs)):
        for name, shape in values.items():
            result.add_row(kind, f"{name}: {' x '.join(map(str, shape))}")
    result.add_row("operators", ", ".join(f"{count} {name}" for name, count in inspection.operators.items()))
    result.add_row(
        "MACs",
        f"{inspection.ann_macs:,}, {100 * inspection.spiking_mac_share:.1f} % of them in layers that can spike"
        + (" (up to the nodes that cannot)" if inspection.modes["exact"].unsupported else ""),
    )
    for mode in MODES:
        result.add_row(f"mode {mode}", verdict_line(inspection.modes[mode], mode))
        if mode == "exact" and inspection.mixed is not None:
            result.add_row("  with --allow-analog", mixed_line(inspection.mixed, inspection.ann_macs))
    return result


def mixed_line(verdict: ModeVerdict, ann_macs: int) -> str:
    """Of mode exact where nodes may be analog: yes or no, and which are."""
    line = verdict_line(verdict, "exact")
    if not line.startswith("yes"):
        return line
    parts = analog_json(verdict.layers, ann_macs)
    nodes, share = [(node["name"], node["operator"]) for part in parts for node in part["nodes"]], sum(part["mac_share"] for part in parts)
    return f"{line}; ONNX Runtime computes {many(len(nodes), 'node')}, {100 * share:.1f} % of the MACs: {nodes_listed(nodes)}"


def verdict_line(verdict: ModeVerdict, mode: str) -> str:
    """yes or no, and why or at what price."""
    if verdict.unsupported:
        return f"no: {many(len(verdict.unsupported), 'node')} without a spiking form"
    if verdict.error:
        return f"no: {verdict.error}"
    broken = len({violation.layer for violation in verdict.violations})
    if mode == "strict" and broken:
        return f"no: {many(broken, 'layer')} outside the paper's constraints"
    if mode == "unchecked" and broken:
        return f"yes, not lossless: {many(broken, 'layer')} outside the paper's constraints"
    if verdict.unbounded:
        return f"yes, with --calibrate DATA: the range of {many(len(verdict.unbounded), 'layer')} has to be measured"
    return "yes"


def inspection_json(inspection: ModelInspection) -> dict:
    """What `ttfs-inspect MODEL.onnx --json` writes."""
    shown = inspection.modes[inspection.shown]
    modes = {
        mode: {
            "converts": inspection.converts(mode),
            "verdict": verdict_line(verdict, mode),
            "unsupported": [dict(zip(("node", "operator", "why", "remedy"), node)) for node in verdict.unsupported],
            "violations": [violation.model_dump() for violation in verdict.violations],
            "calibrate": [layer.layer for layer in verdict.unbounded],
        }
        for mode, verdict in inspection.modes.items()
    }
    return {
        "name": inspection.name,
        "onnx_sha256": inspection.onnx_sha256,
        "opset": inspection.opset,
        "inputs": inspection.inputs,
        "outputs": inspection.outputs,
        "operators": inspection.operators,
        "ann_macs": inspection.ann_macs,
        "spiking_mac_share": inspection.spiking_mac_share,
        "modes": modes,
        "allow_analog": None
        if inspection.mixed is None
        else {
            "verdict": mixed_line(inspection.mixed, inspection.ann_macs),
            "analog": analog_json(inspection.mixed.layers, inspection.ann_macs),
            "calibrate": [layer.layer for layer in inspection.mixed.unbounded],
        },
        "layers_of_mode": inspection.shown,
        "layers": layers_json(shown.layers, shown.unmeasured),
        "notes": list(inspection.notes),
    }
