"""Names in a cell of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SHOWN = 3  # names of one kind


def listed(names: Sequence[str], most: int = SHOWN) -> str:
    """The first of `names`, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def nodes_listed(nodes: Iterable[tuple[str, str]], most: int = SHOWN) -> str:
    """Nodes by operator, of each the first. nodes: their names and operators."""
    found: dict[str, list[str]] = {}
    for name, operator in nodes:
        found.setdefault(operator, []).append(name)
    return "; ".join(f"{operator} {listed(names, most)}" for operator, names in found.items())


def many(count: int, noun: str) -> str:
    """So many of them, in words."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
