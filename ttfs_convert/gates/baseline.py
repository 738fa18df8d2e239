"""By how much a report is worse than an earlier one of the same data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from ..errors import UsageError
from ..measurement.accuracy_drift import PairedOutcomes, newcombe_interval
from ..report.sample_bits import unpacked
from ..report.schema import Report
from .finding import Finding, agreement, drift_of, latency, layer_error, measure_of, no_measure, p_proxy

FIGURES: Mapping[str, tuple[Callable[[Report], Finding], int]] = {  # what is worse: more (1) or less (-1)
    "agreement": (agreement, -1),
    "layer-error": (layer_error, 1),
    "p-proxy": (p_proxy, 1),
    "latency": (latency, 1),
}


def regression(report: Report, baseline: Report | None, name: str) -> Finding:
    """By how much figure `name` is worse than in `baseline`: a measure of the task ("" for the first), or one of `FIGURES`, of which agreement
    counts in percentage points. A baseline of other data is none."""
    if baseline is None:
        return Finding.missing("no baseline was given", name or None)
    if report.data.sha256 != baseline.data.sha256:
        return Finding.missing(f"the baseline is of {_other_data(baseline, report.data.name, report.data.samples, report.data.sha256)}", name or None)
    if baseline.partial:
        return Finding.missing(f"the baseline's run was interrupted after {baseline.data.samples:,} samples", name or None)
    if name in FIGURES:
        read, worse = FIGURES[name]
        return _difference(read(report), read(baseline), worse, name)
    return _of_measure(report, baseline, name)


def check_data(baseline: Report, name: str, samples: int, sha256: str) -> None:
    """Raise UsageError, before anything is run, for a baseline of other data, or one that was interrupted, which no gate could pass."""
    if baseline.data.sha256 != sha256:
        raise UsageError("--baseline", f"a report of {_other_data(baseline, name, samples, sha256)}", "one of the same samples")
    if baseline.partial:
        raise UsageError("--baseline", f"a report of a run that was interrupted after {baseline.data.samples:,} samples", "one that is whole")


def _other_data(baseline: Report, name: str, samples: int, sha256: str) -> str:
    theirs = baseline.data
    return f"other data: {theirs.name} ({theirs.samples} samples, {theirs.sha256[:12]}), here {name} ({samples} samples, {sha256[:12]})"


def _of_measure(report: Report, baseline: Report, name: str) -> Finding:
    measure = measure_of(report, name)
    if measure is None:
        return no_measure(report, name)
    theirs = measure_of(baseline, measure.name)
    if theirs is None:
        return Finding.missing(f"the baseline has no measure {measure.name}", measure.name)
    if measure.name == "accuracy" and report.samples and baseline.samples:
        now, before = (unpacked(each.samples.snn_right, each.data.samples) for each in (report, baseline) if each.samples)
        outcomes = PairedOutcomes.of_right(before, now)
        low, high = newcombe_interval(outcomes)
        return Finding(0.0 - 100 * outcomes.drift, (0.0 - 100 * high, 0.0 - 100 * low), "pp", measure.name, "than the baseline's, paired by sample")
    ours, earlier = (getattr(each.snn, measure.name, None) for each in (report, baseline))
    if ours is None or earlier is None:
        return Finding.missing(f"{'the report' if ours is None else 'the baseline'} has no figure of {measure.name}", measure.name)
    sign = (-1 if measure.higher_is_better else 1) * (100 if measure.drift_unit == "pp" else 1)
    intervals = [drift_of(each, part) for each, part in ((report, measure), (baseline, theirs))]
    same_original = math.isclose(getattr(report.ann, measure.name), getattr(baseline.ann, measure.name), rel_tol=1e-6)
    interval = None
    if same_original and all(ends for _, ends in intervals):
        interval = _combined(
            *(_worsening(drift, ends, -1 if measure.higher_is_better else 1) for drift, ends in intervals if drift is not None and ends)
        )
    why = "than the baseline's, unpaired" if same_original else "than the baseline's, whose original is another: no interval follows"
    return Finding(sign * (ours - earlier) + 0.0, interval, measure.drift_unit, measure.name, why, measure.lost)


def _worsening(value: float, interval: tuple[float, float], worse: int) -> tuple[float, float, float]:
    low, high = sorted(worse * end for end in interval)
    return low, worse * value, high


def _difference(ours: Finding, theirs: Finding, worse: int, name: str) -> Finding:
    if ours.value is None or theirs.value is None:
        whose, which = ("the report", ours) if ours.value is None else ("the baseline", theirs)
        return Finding.missing(f"{whose}: {which.why}", name)
    interval = None
    if ours.interval and theirs.interval:
        interval = _combined(*(_worsening(each.value, each.interval, worse) for each in (ours, theirs) if each.value is not None and each.interval))
    unit = "pp" if ours.unit == "%" else ours.unit
    return Finding(
        worse * (ours.value - theirs.value) + 0.0, interval, unit, name, "than the baseline's" + ("" if _exact(interval) else ", unpaired")
    )


def _exact(interval: tuple[float, float] | None) -> bool:
    return interval is not None and interval[0] == interval[1]


def _combined(ours: tuple[float, float, float], theirs: tuple[float, float, float]) -> tuple[float, float]:
    """95 % interval of ours - theirs from each one's (low, value, high), by square and add (Newcombe 1998), as if they were independent: wider than
    a paired one where figures rise and fall together, as on the same samples."""
    (low, value, high), (least, other, most) = ours, theirs
    middle = value - other
    return middle - float(np.hypot(value - low, most - other)), middle + float(np.hypot(high - value, other - least))
