"""The one judge: gates on a report, whether it was just made or saved long ago."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..measurement.accuracy_drift import Verdict
from ..report.schema import GatePart, Report
from .baseline import regression
from .finding import Finding, agreement, drop, latency, layer_error, p_proxy
from .gate_list import AGREEMENT, DROP, LATENCY, LAYER_ERROR, P_PROXY, REGRESSION, Gate
from .gate_text import figure
from .samples_needed_text import decidable

WITHOUT_CHOICE = {AGREEMENT: agreement, LAYER_ERROR: layer_error, P_PROXY: p_proxy, LATENCY: latency}


def judged(report: Report, gates: Sequence[Gate], baseline: Report | None = None) -> Report:
    """`report` with the outcomes of `gates`, in their order. baseline: the earlier report that regressions are held against."""
    return report.model_copy(update={"gates": tuple(_judged(report, gate, baseline) for gate in gates)})


def worst(gates: Sequence[GatePart]) -> Verdict:
    """Failed if one is; else inconclusive if one is."""
    outcomes = {gate.outcome for gate in gates}
    return next((each for each in (Verdict.FAILED, Verdict.INCONCLUSIVE) if each.value in outcomes), Verdict.PASSED)


def outcome(finding: Finding, limit: float, at_least: bool = False) -> Verdict:
    """Decided only if the whole interval lies on one side of the limit, which itself is good; a value that is missing or no number fails."""
    if finding.value is None or not math.isfinite(finding.value):
        return Verdict.FAILED
    if finding.interval is None:
        return Verdict.INCONCLUSIVE
    low, high = finding.interval
    good, bad = (low >= limit, high < limit) if at_least else (high <= limit, low > limit)
    if bad:
        return Verdict.FAILED
    return Verdict.PASSED if good and not finding.lost else Verdict.INCONCLUSIVE


def _judged(report: Report, gate: Gate, baseline: Report | None) -> GatePart:
    finding = _finding(report, gate, baseline)
    if report.partial:
        detail = f"the run was interrupted after {report.data.samples:,} of {report.data.wanted or 0:,} samples: {described(finding)}"
        return part_of(gate, finding, Verdict.INCONCLUSIVE, detail)
    found = outcome(finding, gate.limit, at_least=gate.kind == AGREEMENT)
    detail = decidable(report, gate, finding, found) if gate.kind == DROP and finding.value is not None else described(finding)
    return part_of(gate, finding, found, detail)


def part_of(gate: Gate, finding: Finding, found: Verdict, detail: str) -> GatePart:
    """What a report says of a gate."""
    return GatePart(
        gate=gate.kind,
        measure=finding.about,
        limit=gate.limit,
        unit=finding.unit,
        value=finding.value,
        ci95=finding.interval,
        outcome=found.value,
        detail=detail,
    )


def _finding(report: Report, gate: Gate, baseline: Report | None) -> Finding:
    if gate.kind == REGRESSION:
        return regression(report, baseline, gate.measure)
    return drop(report, gate.measure) if gate.kind == DROP else WITHOUT_CHOICE[gate.kind](report)


def described(finding: Finding) -> str:
    """The value and its interval in words, or why there is none."""
    if finding.value is None:
        return finding.why
    value = " ".join(part for part in (figure(finding.value), finding.unit) if part)
    if finding.about is not None and "baseline" in finding.why:
        value += " worse"
    text = " ".join(part for part in (value, finding.why) if part)
    if finding.interval is None:
        return f"{text}; too few samples, or too little known of them, for an interval"
    low, high = finding.interval
    lost = f"; {finding.lost} samples have no figure under the spiking network alone" if finding.lost else ""
    return (text if low == high else f"{text}; 95 % interval [{figure(low)}, {figure(high)}]") + lost
