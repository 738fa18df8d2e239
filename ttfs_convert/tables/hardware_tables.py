"""Tables of what an inference costs hardware: latency, traffic, energy under each cost table."""

from __future__ import annotations

from rich.table import Table

from ..report.hardware_schema import CostPart, JoulesPart, LatencyPart, NeuroBenchPart, TrafficPart
from ..report.schema import Report
from .sizes import size
from .style import table, two_columns

COUNTS = {"event": "event", "event_if_gated": "event_if_gated", "ann": "ANN"}
NOTHING = JoulesPart(total=None, synapses=None, neurons=None, spikes=None, memory=None)


def joules_table(report: Report) -> Table:
    """One row per cost table and count: what is sent, what would be if silent neurons sent nothing, the original."""
    parts = ("total", "synapses", "neurons", "memory", "spikes")
    result = table("Energy per inference, uJ", "costs", "count", *parts, left=("costs", "count"))
    for cost in report.energy.costs:
        for position, (name, title) in enumerate(COUNTS.items()):
            joules = cost.joules[name] or NOTHING
            result.add_row(cost.table if not position else "", title, *(microjoules(getattr(joules, part)) for part in parts))
    return result


def hardware_summary(report: Report) -> Table:
    """Latency, bytes, proxies, and what each cost table leaves out."""
    result = two_columns("Hardware")
    if report.latency is not None:
        result.add_row("first decision", first_decision(report.latency))
        latency = report.latency
        result.add_row("a new sample every", f"{latency.interval_steps} steps; with one potential per neuron {latency.interval_steps_one_potential}")
    for cost in report.energy.costs:
        if cost.step_seconds is not None:
            result.add_row(f"time, {cost.table}", _times(cost))
    for name, traffic in (report.energy.traffic or {}).items():
        if name in COUNTS:
            result.add_row(f"moved, {COUNTS[name]}", _moved(traffic))
    if report.energy.ndns is not None:
        ndns = report.energy.ndns
        result.add_row("N-DNS power proxy", f"{ndns.power_proxy_per_step:,.0f} a step; times latency {ndns.latency_product:,.0f}")
    if report.energy.neurobench is not None:
        result.add_row("NeuroBench", _neurobench(report.energy.neurobench))
    for cost in report.energy.costs:
        result.add_row(f"{cost.table} leaves out", cost.leaves_out)
    return result


def first_decision(latency: LatencyPart) -> str:
    """When the winner is certain, in words."""
    if latency.first_decision_mean_steps is None:
        return "not measured: it takes one vector of potentials whose winner is the label, on at most 16 million weights"
    return (
        f"{latency.first_decision_mean_steps:.1f} of {latency.steps} steps on average, {latency.first_decision_earliest_steps} at the earliest, "
        f"before the end for {100 * (latency.first_decision_early_share or 0):.1f} %"
    )


def microjoules(joules: float | None) -> str:
    """Of an energy, to three digits; a dash for none."""
    if joules is None:
        return "-"
    value = 1e6 * joules
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _times(cost: CostPart) -> str:
    parts = [("latency", cost.latency_seconds), ("first decision", cost.first_decision_seconds), ("a new sample every", cost.interval_seconds)]
    return ", ".join(f"{name} {_seconds(value)}" for name, value in parts if value is not None) + f" ({_seconds(cost.step_seconds or 0)} a step)"


def _seconds(value: float) -> str:
    for unit, each in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= each:
            return f"{value / each:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def _moved(traffic: TrafficPart) -> str:
    state = "" if traffic.state_bytes is None else f", state {size(traffic.state_bytes)}"
    spikes = f", {traffic.spikes:,.0f} spikes {size(traffic.spike_bytes)}" if traffic.spikes else ""
    return f"weights {size(traffic.weight_bytes)}{state}{spikes}"


def _neurobench(part: NeuroBenchPart) -> str:
    macs = f", MACs {part.effective_macs:,.0f}" if part.effective_macs else ""
    return (
        f"effective ACs {part.effective_acs:,.0f}{macs} of {part.dense:,.0f}; sparsity: activation {part.activation_sparsity:.3f}, "
        f"connection {part.connection_sparsity:.3f}; footprint {size(part.footprint)}"
    )
