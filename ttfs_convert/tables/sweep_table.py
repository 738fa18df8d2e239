"""The table of a robustness sweep."""

from __future__ import annotations

from rich.table import Table

from ..studies.sweep import Sweep
from ..studies.sweep_kinds import SWEEP_KINDS
from .style import table


def sweep_table(sweep: Sweep) -> Table:
    """One row per point, one section per kind."""
    ann = "" if sweep.ann_accuracy is None else f"; ANN {100 * sweep.ann_accuracy:.2f} %"
    result = table(
        f"Robustness: {sweep.network} on {sweep.data}, {sweep.samples:,} samples, seed {sweep.seed}{ann}; {sweep.rule}",
        "what",
        "value",
        "accuracy",
        "accuracy lost",
        "agreement",
        "lowest",
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
            _share(point.accuracy, point.accuracy_spread),
            "-" if point.drop_pp is None else f"{point.drop_pp:+.2f} pp",
            _share(point.agreement, point.agreement_spread),
            _share(point.lowest),
            str(point.repeats),
            unit if first else "",
        )
        kind = point.kind
    return result


def _share(value: float | None, spread: float | None = None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.2f} %" + ("" if spread is None else f" ± {100 * spread:.2f}")
