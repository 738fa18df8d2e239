"""A report as one self-contained HTML page: no network, no script but its own, numbers readable without it."""

from __future__ import annotations

from dataclasses import dataclass

from ..measurement.accuracy_drift import Verdict
from ..report.schema import GatePart, LayerPart, Report
from ..studies.details import SAMPLES, Details
from .changed_samples import changed_samples
from .html_template import rendered
from .layer_panels import layer_panels
from .layer_profiles import energy_profiles, error_profile, share_profile
from .network_diagram import network_diagram
from .raster import rasters
from .side_by_side import side_by_side
from .svg_chart import short

COUNTS = {
    "paper": "weights once, whatever positions share them: flatters convolutions",
    "synaptic": "every existing connection once; all neurons at all steps",
    "event": "what the network transmits on this data",
    "event_if_gated": "the same run if silent neurons sent nothing",
}
LARGEST = 2_000_000  # bytes of a page


@dataclass(frozen=True)
class _Room:
    """How much of what may be long a page shows. panels: of layers on their own, the worst first. samples: with their spikes. changed: pictures.
    rows: of tables, charts and the diagram, which is there only if all layers are."""

    panels: int
    samples: int
    changed: int
    rows: int


ROOMS = (
    _Room(10_000, SAMPLES, 24, 10_000),
    _Room(48, SAMPLES, 24, 10_000),
    _Room(24, 2, 24, 4_000),
    _Room(12, 1, 12, 2_000),
    _Room(4, 0, 6, 1_000),
    _Room(0, 0, 0, 200),
)


def report_page(report: Report, details: Details | None = None, extra: str = "") -> str:
    """The page's HTML, under 2 MB: of very large networks it shows less, and says what it leaves out.

    details: of the same run; without them, as of a report that was read back, there is no diagram and nothing of single samples. extra: HTML of a
    task's own section, a `markupsafe.Markup`; plain text is escaped, as names are. The content policy allows the inline style and script by their
    SHA-256 alone, and pictures that are part of the page. Raises UsageError where Jinja2 is not installed.
    """
    page = ""
    for room in ROOMS:
        page = rendered("report.html", **_shown(report, details, room), extra=extra)
        if len(page.encode()) < LARGEST:
            break
    return page


def _shown(report: Report, details: Details | None, room: _Room) -> dict[str, object]:
    """What the templates name."""
    layers = report.layers[: room.rows]
    whole = len(layers) == len(report.layers)
    panels = [] if details is None else layer_panels(report.layers, details.distributions)
    panels = sorted(sorted(panels, key=lambda panel: -(panel.layer.mean_error or 0.0))[: room.panels], key=lambda panel: panel.index)
    kept = [] if details is None or details.changed is None else details.changed.samples
    changed = [] if details is None or details.changed is None else changed_samples(details.changed, room.changed)
    shown = [] if details is None else rasters(details, room.samples)
    return {
        "report": report,
        "details": details,
        "verdict": verdict_of(report),
        "worst": worst_layer(report),
        "compared": side_by_side(report),
        "measures": [each for each in report.task.measures if each.name != "accuracy"] if report.task else [],
        "layers": layers,
        "diagram": network_diagram(details.network) if details is not None and whole else None,
        "errors": error_profile(layers, report.model.steps is not None),
        "shares": share_profile(layers),
        "energies": energy_profiles(report) if whole else [],
        "panels": panels,
        "paneled": {panel.index for panel in panels},
        "rasters": shown,
        "changed": changed,
        "left_out": _left_out(report, details, room, len(panels), len(kept)),
        "counts": [(name, getattr(report.energy, name), meaning) for name, meaning in COUNTS.items()],
        "figure": lambda value: "–" if value is None else f"{value:.4g}",
        "gate_title": gate_title,
        "short": short,
    }


def verdict_of(report: Report) -> str:
    """One word on top: interrupted, or the worst of the gates' outcomes; without gates measured."""
    if report.partial:
        return "interrupted"
    outcomes = {gate.outcome for gate in report.gates}
    worst = next((each.value for each in (Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.PASSED) if each.value in outcomes), None)
    return worst or "measured"


def gate_title(gate: GatePart) -> str:
    """Its kind, limit and measure: max-drop 0.5 pp of accuracy."""
    return f"{gate.gate} {gate.limit:g} {gate.unit}".rstrip() + (f" of {gate.measure}" if gate.measure else "")


def worst_layer(report: Report) -> LayerPart | None:
    """The layer of the largest mean error in units of its range; None where no layer that spikes has a tensor to be compared with."""
    compared = [layer for layer in report.layers if layer.mean_error is not None and layer.range is not None]
    return max(compared, key=lambda layer: layer.mean_error or 0.0, default=None)


def _left_out(report: Report, details: Details | None, room: _Room, panels: int, kept: int) -> list[str]:
    """What there was no room for, one phrase each."""
    found = []
    if len(report.layers) > room.rows:
        found.append(f"all layers behind the first {room.rows:,} of {len(report.layers):,}, the diagram and the energy of each layer")
    if room.panels < len(report.layers) and details is not None:
        found.append(f"all layers but the {panels} of the largest errors among those shown on their own")
    if details is not None and len(details.spikes) > room.samples:
        found.append(f"the spikes of {len(details.spikes) - room.samples} samples")
    if details is not None and details.changed is not None and details.changed.count > min(kept, room.changed):
        found.append(f"{details.changed.count - min(kept, room.changed):,} of the samples whose label changed")
    return found
