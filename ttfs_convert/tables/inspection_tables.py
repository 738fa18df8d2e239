"""Tables and JSON of an inspected model."""

from __future__ import annotations

from rich.table import Table

from ..network.choices import MODES
from ..studies.inspection import ModelInspection
from .network_json import layers_json
from .network_tables import layers_table
from .refusal_tables import unsupported_table, violations_table
from .style import two_columns


def inspection_tables(inspection: ModelInspection) -> list[Table]:
    """What converts, layer by layer; what does not; the verdict last, where the eye falls."""
    shown, strict = inspection.modes[inspection.shown], inspection.modes["strict"]
    result = [layers_table(shown.layers, f"Layers in mode {inspection.shown}", shown.unmeasured)]
    unsupported = {node[0]: node for mode in MODES for node in inspection.modes[mode].unsupported}
    if unsupported:
        result.append(unsupported_table(unsupported.values()))
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
        result.add_row(f"mode {mode}", verdict_line(inspection, mode))
    return result


def verdict_line(inspection: ModelInspection, mode: str) -> str:
    """yes or no, and why or at what price."""
    verdict = inspection.modes[mode]
    if verdict.unsupported:
        return f"no: {_many(len(verdict.unsupported), 'node')} without a spiking form"
    if verdict.error:
        return f"no: {verdict.error}"
    broken = len({violation.layer for violation in verdict.violations})
    if mode == "strict" and broken:
        return f"no: {_many(broken, 'layer')} outside the paper's constraints"
    if mode == "unchecked" and broken:
        return f"yes, not lossless: {_many(broken, 'layer')} outside the paper's constraints"
    if verdict.unbounded:
        return f"yes, with --calibrate DATA: the range of {_many(len(verdict.unbounded), 'layer')} has to be measured"
    return "yes"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def inspection_json(inspection: ModelInspection) -> dict:
    """What `ttfs-inspect MODEL.onnx --json` writes."""
    shown = inspection.modes[inspection.shown]
    modes = {
        mode: {
            "converts": inspection.converts(mode),
            "verdict": verdict_line(inspection, mode),
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
        "layers_of_mode": inspection.shown,
        "layers": layers_json(shown.layers, shown.unmeasured),
        "notes": list(inspection.notes),
    }
