"""What kept a model from converting, as tables."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from ..conversion.refusals import ConstraintError
from ..errors import TtfsError
from ..lowering.graph_walk import UnsupportedModel
from ..network.provenance import Violation
from .fitting_table import Name
from .style import table

SHOWN = 3  # names of nodes with one trouble


def details(error: TtfsError) -> Table | None:
    """The table behind an error's line: every offender, every unsupported node."""
    if isinstance(error, ConstraintError):
        return violations_table(error.violations)
    return unsupported_table(error.nodes) if isinstance(error, UnsupportedModel) else None


def unsupported_table(nodes: Iterable[tuple[str, str, str, str]]) -> Table:
    """One row per reason: how many nodes, and the first of them."""
    columns = ("operator", "why", "what to do", "nodes")
    result = table("Unsupported nodes", *columns, left=columns)
    groups: dict[tuple[str, str, str], list[str]] = {}
    for name, operator, why, remedy in nodes:
        groups.setdefault((operator, why, remedy), []).append(name)
    for (operator, why, remedy), names in groups.items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        result.add_row(operator, why, remedy, ", ".join(names[:SHOWN]) + more)
    return result


def violations_table(violations: Iterable[Violation]) -> Table:
    """One row per constraint of the paper that a layer breaks."""
    result = table("Not lossless", "layer", "worst deviation", "problem", "what to do", "neurons", left=("layer", "problem", "what to do"))
    for violation in violations:
        worst = "-" if violation.worst is None else f"{violation.worst:.3g}"
        result.add_row(Name(violation.layer), worst, violation.problem, violation.remedy, f"{violation.neurons:,}")
    return result
