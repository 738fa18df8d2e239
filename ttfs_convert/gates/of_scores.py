"""Gates on the drop of measures that no report holds, such as those of recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import UsageError
from ..report.schema import GatePart
from ..tasks.scores import Score
from .finding import Finding
from .gate_list import DROP, Gate
from .judge import described, outcome, part_of


def check_drops(gates: Sequence[Gate], measures: Sequence[str], task: str) -> None:
    """Raise UsageError for gates of another kind, or on measures that the task lacks."""
    for gate in gates:
        if gate.kind != DROP:
            raise UsageError(f"--{gate.kind}", f"given with --task {task}", "gates on the drop of its measures", "leave it out")
        if gate.measure not in ("", *measures):
            raise UsageError("--max-drop", f"measure {gate.measure!r}", f"one of task {task}: {', '.join(measures)}")


def judged_drops(scores: Mapping[str, Score], gates: Sequence[Gate]) -> tuple[GatePart, ...]:
    """The outcomes of `gates`, which `check_drops` has passed, in their order. scores: by measure, the task's first in front."""
    return tuple(_judged(scores[gate.measure or next(iter(scores))], gate) for gate in gates)


def _judged(score: Score, gate: Gate) -> GatePart:
    name, unit = score.measure.name, score.measure.drift_unit
    finding = Finding(score.drop, score.drop_interval, unit, name, lost=score.lost)
    if score.drop is None:
        finding = Finding(None, None, unit, name, f"no sample has a figure of {name} under both networks")
    return part_of(gate, finding, outcome(finding, gate.limit), described(finding))
