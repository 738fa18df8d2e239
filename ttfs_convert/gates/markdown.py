"""A report as a short Markdown summary, for pull requests and job summaries."""

from __future__ import annotations

import re

from ..measurement.accuracy_drift import Verdict
from ..report.schema import MeasurePart, Report
from ..shown import shown_text
from .finding import drift_of, layer_error
from .gate_text import figure, title
from .judge import worst

MARKS = {"passed": "✅", "failed": "❌", "inconclusive": "❔"}


def markdown(report: Report) -> str:
    """The verdict on top, the gates, then the figures that decide, notes, and where all is from."""
    verdict = worst(report.gates)
    head = f"{MARKS[verdict.value]} {verdict.value}" if report.gates else "no gates"
    parts = [f"### TTFS conversion of {_escaped(report.model.name)}: {head}", ""]
    if verdict is Verdict.INCONCLUSIVE:
        parts += ["No gate failed, but this sample is too small to decide all of them.", ""]
    if report.gates:
        parts += ["| gate | outcome | found | 95 % interval | |", "|---|---|---:|---:|---|"]
        for gate in report.gates:
            found, ends = _number(gate.value, gate.unit), _ends(gate.ci95)
            parts.append(f"| {_escaped(title(gate))} | {MARKS[gate.outcome]} {gate.outcome} | {found} | {ends} | {_escaped(gate.detail)} |")
        parts.append("")
    parts += ["| | ANN | SNN | change | 95 % interval |", "|---|---:|---:|---:|---:|"]
    parts += [_measure_row(report, measure) for measure in (report.task.measures if report.task is not None else ())]
    agreement = report.drift.agreement
    layers = layer_error(report)
    parts += [
        f"| agreement | | {'-' if agreement is None else f'{100 * agreement:.2f} %'} | | |",
        f"| worst layer's mean error | | {_number(layers.value)} | | {_ends(layers.interval)} |",
        f"| latency | | {_number(report.snn.latency_steps, 'steps')} | | |",
        f"| P_proxy (event) | | {_number(report.energy.event.p_proxy)} | | {_ends(report.energy.event_p_proxy_ci95)} |",
        f"| multiply-accumulates | {report.energy.ann_macs:,} | | | |",
        "",
        *(f"- {_escaped(text)}" for text in report.notes),
        *([""] if report.notes else []),
        _origin(report),
    ]
    return "\n".join(parts) + "\n"


def _measure_row(report: Report, measure: MeasurePart) -> str:
    scale, unit = (100, "%") if measure.unit == "fraction" else (1, measure.unit)
    ann, snn = (getattr(part, measure.name, None) for part in (report.ann, report.snn))
    drift, interval = drift_of(report, measure)
    figures = (_number(None if value is None else scale * value, unit) for value in (ann, snn))
    change = "-" if drift is None else f"{drift:+.4g} {measure.drift_unit}".rstrip()
    return f"| {_escaped(measure.title or measure.name)} | {' | '.join(figures)} | {change} | {_ends(interval)} |"


def _origin(report: Report) -> str:
    model = report.model
    time = "continuous time" if model.steps is None else f"{model.steps} steps per window, rounding {model.rounding}"
    tool = f"; ttfs-convert {report.tool.version}" if report.tool is not None else ""
    of = ", ".join(part for part in (f"mode {model.mode}" if model.mode else "", f"slope {model.slope}" if model.slope else "", time) if part)
    data = f"{_escaped(report.data.name)}, {report.data.samples:,} samples, sha256 {report.data.sha256[:12]}"
    return f"{data}; model sha256 {model.onnx_sha256[:12]}; {of}{tool}"


def _number(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{figure(value)} {unit}".rstrip()


def _ends(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"{figure(interval[0])} .. {figure(interval[1])}"


def _escaped(text: str) -> str:
    """Names and notes are text: nothing in them is markup, nor ends a row."""
    return re.sub(r"([\\`*_{}\[\]<>#|!&~@])", r"\\\1", " ".join(shown_text(text).split()))
