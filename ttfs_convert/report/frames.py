"""Figures as pandas frames, for those who have pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    import pandas


def frame(rows: Sequence[Mapping[str, object]]) -> pandas.DataFrame:
    """One row per mapping, one column per key. Raises UsageError where pandas is not installed."""
    try:
        import pandas
    except ImportError as error:
        raise UsageError("to_frame", "pandas is not installed", remedy="pip install 'ttfs-convert[frames]'") from error
    return pandas.DataFrame(list(rows))


def flat(figures: Mapping[str, object], before: str = "") -> dict[str, object]:
    """Figures of all levels side by side, named as `drift.accuracy_pp`; lists and what is in them are left out, but pairs become `.low` and
    `.high`."""
    found: dict[str, object] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{name}.")
        elif isinstance(value, (list, tuple)):
            if len(value) == 2 and all(isinstance(end, (int, float)) for end in value):
                found |= {f"{before}{name}.low": value[0], f"{before}{name}.high": value[1]}
        else:
            found[f"{before}{name}"] = value
    return found
