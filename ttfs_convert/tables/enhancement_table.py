"""The table of enhanced speech."""

from __future__ import annotations

from rich.table import Table

from ..studies.enhancement import Enhancement
from .report_tables import drift_text
from .style import table, two_columns


def enhancement_tables(found: Enhancement) -> list[Table]:
    """The measures of noisy, ANN's and SNN's recordings, and what they are of."""
    measures = table("Speech beside the clean recordings", "measure", "noisy", "ANN", "SNN", "SNN - ANN", left=("measure", "SNN - ANN"))
    for name, score in found.scores.items():
        text = score.measure.text
        measures.add_row(score.measure.title, text(found.noisy[name]), text(score.ann), text(score.snn), drift_text(score))
    summary = two_columns("Summary")
    grid = "continuous time" if found.steps is None else f"{found.steps} steps per window; latency {found.latency_steps} steps"
    summary.add_row("data", f"{found.data.name}, {len(found.data):,} recordings, {found.seconds:,.0f} s")
    summary.add_row("time", grid)
    speeds = " ".join(f"{name} {seconds:.2f} ({found.seconds / seconds:.0f} x real time)" for name, seconds in _timing(found) if seconds)
    summary.add_row("seconds", speeds)
    return [measures, summary]


def _timing(found: Enhancement) -> tuple[tuple[str, float], ...]:
    return ("ANN", found.ann_seconds), ("SNN", found.snn_seconds)
