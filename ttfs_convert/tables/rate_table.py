"""The table of the rate-coded baseline."""

from __future__ import annotations

from rich.table import Table

from ..report.rate_schema import RateCodedPart
from ..report.schema import Report
from .hardware_tables import microjoules
from .style import table


def rate_table(report: Report, rate: RateCodedPart) -> Table:
    """The original, the spiking network and the same network rate-coded, side by side; one row per figure."""
    shown = rate.chosen or rate.points[-1]
    result = table(
        f"First spikes beside rates: {report.model.name} on {report.data.name}, {report.data.samples:,} samples",
        "per inference",
        "rate-coded",
        "first spikes",
        "ANN",
        left=("per inference",),
    )
    energy, latency = report.energy, report.latency
    gated = energy.event_if_gated
    result.add_row("accuracy", _percent(shown.accuracy), _percent(report.snn.accuracy), _percent(report.ann.accuracy))
    result.add_row("agreement with the ANN", _percent(shown.agreement), _percent(report.drift.agreement), "-")
    result.add_row("latency, steps", f"{shown.steps:,}", _count(report.snn.latency_steps), "-")
    result.add_row("first decision, steps", "-", "-" if latency is None else _tenths(latency.first_decision_mean_steps), "-")
    result.add_row("a new sample every, steps", f"{shown.steps:,}", "-" if latency is None else _count(latency.interval_steps), "-")
    spikes = None if energy.traffic is None else energy.traffic["event"].spikes
    result.add_row("spikes", _count(shown.spikes), _count(spikes), "-")
    result.add_row("SynOPs (ANN: MACs)", _count(shown.synops), _count(energy.event.synops), _count(energy.ann_macs))
    result.add_row("NeuronOPs", _count(shown.neuronops), _count(energy.event.neuronops), "-")
    result.add_row("P_proxy", _count(shown.synops + shown.neuronops), _count(energy.event.p_proxy), "-")
    if report.model.slope != "gated":
        result.add_row("P_proxy, event_if_gated", _count(shown.synops + shown.neuronops), _count(gated.p_proxy), "-")
    for cost in energy.costs:
        ours, theirs = cost.joules["event"], cost.joules["ann"]
        result.add_row(
            f"energy, {cost.table}, uJ",
            microjoules(shown.joules.get(cost.table)),
            microjoules(ours and ours.total),
            microjoules(theirs and theirs.total),
        )
    return result


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"


def _tenths(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
