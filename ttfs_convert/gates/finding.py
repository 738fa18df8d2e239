"""What a report says about one gate: a value with its interval, or why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..report.schema import MeasurePart, Report


@dataclass(frozen=True)
class Finding:
    """value: in `unit`, None where the report lacks it. interval: 95 %, None where there are too few samples. about: the measure, if there is a
    choice. why: what the value is of, or why it is missing. lost: samples that are worse by an unknown amount, so that nothing passes."""

    value: float | None
    interval: tuple[float, float] | None
    unit: str = ""
    about: str | None = None
    why: str = ""
    lost: int = 0

    @classmethod
    def missing(cls, why: str, about: str | None = None) -> Finding:
        """Nothing to judge by."""
        return cls(None, None, about=about, why=why)

    @classmethod
    def exact(cls, value: float, unit: str = "", about: str | None = None, why: str = "") -> Finding:
        """A value that is no estimate."""
        return cls(value, (value, value), unit, about, why)


def measure_of(report: Report, name: str) -> MeasurePart | None:
    """The task's measure of this name; the first for ""; None where there is none."""
    measures = report.task.measures if report.task is not None else ()
    return next((each for each in measures if name in ("", each.name)), None)


def no_measure(report: Report, name: str) -> Finding:
    """Why the report has no figure of this measure."""
    measures = report.task.measures if report.task is not None else ()
    if not measures:
        return Finding.missing(f"{report.data.name} has no labels and no targets to judge by", name or None)
    return Finding.missing(f"the report has no measure {name!r}, only {', '.join(each.name for each in measures)}", name)


def drop(report: Report, name: str) -> Finding:
    """By how much the spiking network is worse than the original."""
    measure = measure_of(report, name)
    if measure is None:
        return no_measure(report, name)
    value, interval = drift_of(report, measure)
    if value is None:
        return Finding.missing(f"no sample has a figure of {measure.name} under both networks", measure.name)
    if measure.higher_is_better:
        value, interval = 0.0 - value, None if interval is None else (0.0 - interval[1], 0.0 - interval[0])
    return Finding(value, interval, measure.drift_unit, measure.name, lost=measure.lost)


def drift_of(report: Report, measure: MeasurePart) -> tuple[float | None, tuple[float, float] | None]:
    """SNN - ANN and its 95 % interval, in the unit of differences."""
    unit, figures = measure.drift_unit.lower(), report.drift.model_dump()
    value, ends = (figures.get("_".join(filter(None, parts))) for parts in ((measure.name, unit), (measure.name, "ci95", unit)))
    if measure.name == "accuracy":
        ends = report.drift.ci95_pp
    return value, None if ends is None else (ends[0], ends[1])


def agreement(report: Report) -> Finding:
    """Percent of equal predictions."""
    found, ends = report.drift.agreement, report.drift.agreement_ci95
    if found is None:
        return Finding.missing("no predictions follow from the judged output, so that none agree")
    return Finding(100 * found, None if ends is None else (100 * ends[0], 100 * ends[1]), "%", why="of predictions agree")


def layer_error(report: Report) -> Finding:
    """The worst layer's mean error, in units of its range. The ends of its interval are the largest of all layers' ends: below the limit only if
    every layer's whole interval is, above it if one layer's is."""
    errors = {layer.name: (layer.mean_error, layer.mean_error_ci95) for layer in report.layers if layer.range and layer.mean_error is not None}
    if not errors:
        unseen = report.compared_samples == 0
        return Finding.missing("no layer was compared with the original" if unseen else "no layer has a tensor in the original to compare with")
    worst = max(errors, key=lambda name: math.inf if math.isnan(errors[name][0]) else errors[name][0])
    ends = [interval for _, interval in errors.values() if interval is not None]
    interval = (max(low for low, _ in ends), max(high for _, high in ends)) if len(ends) == len(errors) else None
    others = [layer.name for layer in report.layers if layer.range and layer.neurons and layer.mean_error is None]
    unknown = f"; nothing to compare with: {', '.join(others[:3])}{', ...' * (len(others) > 3)}" if others else ""
    return Finding(errors[worst][0], interval, why=f"of its range, in layer {worst}, the worst of {len(errors)} that are compared{unknown}")


def p_proxy(report: Report) -> Finding:
    """SynOPs + NeuronOPs per inference, count `event`."""
    found = report.energy.event.p_proxy
    if found is None:
        return Finding.missing("continuous time has no steps, and therefore no P_proxy")
    return Finding(found, report.energy.event_p_proxy_ci95, why="operations per inference, count event")


def latency(report: Report) -> Finding:
    """Steps until the output can be read."""
    steps = report.snn.latency_steps
    if steps is None:
        return Finding.missing("continuous time has no steps, and therefore no latency in steps")
    return Finding.exact(steps, "steps")
