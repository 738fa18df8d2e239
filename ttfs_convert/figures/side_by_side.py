"""Original beside spiking network: figures of both, and what an inference costs each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..report.schema import MeasurePart, Report
from .svg_chart import number


class Row(NamedTuple):
    """A figure of both, in words; a dash where one has none."""

    name: str
    ann: str
    snn: str
    difference: str


DASH = "–"


def side_by_side(report: Report) -> list[Row]:
    """The task's measures, then operations, bytes and energy of count `event`, then time."""
    return [*_measures(report), *_costs(report), *_times(report)]


def _measures(report: Report) -> Iterator[Row]:
    for measure in report.task.measures if report.task else ():
        yield _measure(report, measure)
    if report.drift.agreement is not None:
        yield Row("Equal predictions", "", f"{100 * report.drift.agreement:.2f} %", "")
    if report.quantised_ann is not None and report.quantised_ann.accuracy is not None:
        yield Row("Accuracy, original rounded to as many levels", f"{100 * report.quantised_ann.accuracy:.2f} %", "", "")
    chosen = report.rate_coded and report.rate_coded.chosen
    if chosen:
        yield Row(f"Accuracy, rate-coded, {chosen.steps} steps", "", f"{100 * chosen.accuracy:.2f} %", "")


def _measure(report: Report, measure: MeasurePart) -> Row:
    scale, unit, form = (100, "%", ".2f") if measure.unit == "fraction" else (1, measure.unit, ".4g")
    ann, snn = (getattr(part, measure.name, None) for part in (report.ann, report.snn))
    title = measure.title or measure.name
    difference = DASH if ann is None or snn is None else f"{scale * (snn - ann):+{form}} {measure.drift_unit}".rstrip()
    return Row(title[:1].upper() + title[1:], _figure(ann, scale, form, unit), _figure(snn, scale, form, unit), difference)


def _figure(value: float | None, scale: float, form: str, unit: str) -> str:
    return DASH if value is None else f"{scale * value:{form}} {unit}".rstrip()


def _costs(report: Report) -> Iterator[Row]:
    cost = report.energy
    yield _counts("Multiply-accumulates; synaptic operations", cost.ann_macs, cost.event.synops)
    yield Row("Updates of neurons", "", _count(cost.event.neuronops), "")
    if cost.traffic is not None:
        ours, theirs = cost.traffic["event"], cost.traffic["ann"]
        yield _counts("Bytes of weights read, without reuse", theirs.weight_bytes, ours.weight_bytes)
        if ours.state_bytes is not None and theirs.state_bytes is not None:
            yield _counts("Bytes of state read and written", theirs.state_bytes, ours.state_bytes)
        yield Row("Spikes sent", "", _count(ours.spikes), "")
    for table in cost.costs:
        ann, snn = (part and part.total for part in (table.joules["ann"], table.joules["event"]))
        yield Row(f"Energy, table {table.table}", _microjoules(ann), _microjoules(snn), _ratio(ann, snn))


def _times(report: Report) -> Iterator[Row]:
    if report.snn.latency_steps is not None:
        yield Row("Latency, time steps", "", f"{report.snn.latency_steps:,}", "")
    yield Row("Seconds on this machine", f"{report.timing.ann_seconds:.2f}", f"{report.timing.snn_seconds:.2f}", "")


def _counts(name: str, ann: float, snn: float) -> Row:
    return Row(name, _count(ann), _count(snn), _ratio(ann, snn))


def _count(value: float | None) -> str:
    return DASH if value is None else f"{value:,.0f}"


def _microjoules(value: float | None) -> str:
    return DASH if value is None else f"{number(1e6 * value)} µJ"


def _ratio(ann: float | None, snn: float | None) -> str:
    return DASH if ann is None or snn is None or not ann else f"× {snn / ann:.3g}"
