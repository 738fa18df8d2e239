"""A report as one self-contained HTML page: no network, no script but its own, numbers readable without it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from ..errors import UsageError
from ..report.schema import GatePart, LayerPart, Report
from ..shown import shown_text

COUNTS = ("paper", "synaptic", "event", "event_if_gated")
TEMPLATES = Path(__file__).parent / "templates"


def report_page(report: Report) -> str:
    """The page's HTML. Names are escaped; its content policy allows the inline style and script by their SHA-256 alone. Raises UsageError
    where Jinja2 is not installed."""
    try:
        import jinja2
    except ImportError as error:
        raise UsageError("--html", "no Jinja2", "the package that fills the page", "pip install 'ttfs-convert[html]'") from error
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: shown_text(value) if type(value) is str else value,  # not what is markup already
    )
    return environment.get_template("report.html").render(
        report=report,
        worst=worst_layer(report),
        measures=[each for each in report.task.measures if each.name != "accuracy"] if report.task else [],
        axis=[layer for layer in report.layers if layer.range is not None],
        counts=[(name, getattr(report.energy, name)) for name in COUNTS],
        figure=lambda value: "–" if value is None else f"{value:.4g}",
        gate_title=gate_title,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def gate_title(gate: GatePart) -> str:
    """Its kind, limit and measure: max-drop 0.5 pp of accuracy."""
    return f"{gate.gate} {gate.limit:g} {gate.unit}".rstrip() + (f" of {gate.measure}" if gate.measure else "")


def worst_layer(report: Report) -> LayerPart | None:
    """The layer of the largest mean error in units of its range; None where no layer that spikes has a tensor to be compared with."""
    compared = [layer for layer in report.layers if layer.mean_error is not None and layer.range is not None]
    return max(compared, key=lambda layer: layer.mean_error or 0.0, default=None)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
