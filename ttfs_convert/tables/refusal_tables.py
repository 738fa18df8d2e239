"""What kept a model from converting, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from rich.table import Table

from ..conversion.refusals import ConstraintError
from ..errors import TtfsError
from ..lowering.graph_walk import UnsupportedModel
from ..network.provenance import Violation
from .fitting_table import Name
from .listed import listed
from .style import table

Unsupported = tuple[str, str, str, str]  # name, operator, why, what to do


def details(error: TtfsError) -> Table | None:
    """The table behind an error's line: every offender, every unsupported node."""
    if isinstance(error, ConstraintError):
        return violations_table(error.violations)
    return unsupported_table(error.nodes) if isinstance(error, UnsupportedModel) else None


def unsupported_table(nodes: Iterable[Unsupported], modes: Mapping[Unsupported, str] = MappingProxyType({})) -> Table:
    """One row per reason: how many nodes, and the first of them. modes: in which of them each is not supported, where there are several."""
    columns = (*(("mode",) if modes else ()), "operator", "why", "what to do", "nodes")
    result = table("Unsupported nodes", *columns, left=columns)
    groups: dict[tuple[str, ...], list[str]] = {}
    for node in nodes:
        name, operator, why, remedy = node
        groups.setdefault((*((modes[node],) if modes else ()), operator, why, remedy), []).append(name)
    for texts, names in groups.items():
        result.add_row(*texts, Name(listed(names)))
    return result


def violations_table(violations: Iterable[Violation]) -> Table:
    """One row per constraint of the paper that a layer breaks."""
    result = table("Not lossless", "layer", "worst deviation", "problem", "what to do", "neurons", left=("layer", "problem", "what to do"))
    for violation in violations:
        worst = "-" if violation.worst is None else f"{violation.worst:.3g}"
        result.add_row(Name(violation.layer), worst, violation.problem, violation.remedy, f"{violation.neurons:,}")
    return result
