"""The table of a robustness sweep."""

from __future__ import annotations

from rich.table import Table

from ..studies.sweep import Point, Spread, Sweep
from ..studies.sweep_kinds import SWEEP_KINDS
from ..tasks.classification import ACCURACY
from ..tasks.measure import Measure
from .style import table


def sweep_table(sweep: Sweep) -> Table:
    """One row per point, one section per kind."""
    measures = sweep.measures or (ACCURACY,)
    original = ", ".join(f"{each.title} {each.text(value)}" for each in measures if (value := sweep.ann.get(each.name)) is not None)
    ann = f"; ANN {original.removeprefix('accuracy ')}" if original else ""
    result = table(
        f"Robustness: {sweep.network} on {sweep.data}, {sweep.samples:,} samples, seed {sweep.seed}{ann}; {sweep.rule}",
        "what",
        "value",
        *(column for each in measures for column in (each.title, f"{each.title} lost")),
        "agreement",
        "latency",
        "P_proxy",
        *(f"{name}, µJ" for name in sweep.points[0].joules),
        *("lowest" if each.higher_is_better else "highest" for each in measures),
        "runs",
        "unit",
        left=("what", "unit"),
    )
    kind = None
    for point in sweep.points:
        if point.kind != kind:
            result.add_section()
        first = point.kind != kind
        unit = SWEEP_KINDS[point.kind].unit if point.kind in SWEEP_KINDS else "undisturbed"
        result.add_row(
            point.kind if first else "",
            "-" if point.value is None else f"{point.value:g}" if not isinstance(point.value, str) else point.value,
            *(text for each in measures for text in _figures(each, _spread(point, each))),
            _share(point.agreement, point.agreement_spread),
            "-" if point.latency_steps is None else f"{point.latency_steps:,}",
            "-" if point.p_proxy is None else f"{point.p_proxy / 1e6:.3g} M" if point.p_proxy >= 1e6 else f"{point.p_proxy:,.0f}",
            *("-" if value is None else f"{1e6 * value:,.0f}" if value >= 1e-4 else f"{1e6 * value:.3g}" for value in point.joules.values()),
            *(each.text(_spread(point, each).worst) for each in measures),
            str(point.repeats),
            unit if first else "",
        )
        kind = point.kind
    return result


def _spread(point: Point, measure: Measure) -> Spread:
    if measure is ACCURACY:
        return Spread(point.accuracy, point.accuracy_spread, point.lowest, point.drop_pp)
    return point.measures[measure.name]


def _figures(measure: Measure, found: Spread) -> tuple[str, str]:
    """Mean and deviation, what is lost."""
    deviation = "" if found.spread is None else f" ± {measure.scale * found.spread:{measure.form}}"
    return measure.text(found.mean) + deviation, measure.drift_text(found.drop)


def _share(value: float | None, spread: float | None = None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.2f} %" + ("" if spread is None else f" ± {100 * spread:.2f}")
