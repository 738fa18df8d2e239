"""Which gates there are, and how they are given: as options, as a mapping, as `[tool.ttfs]` of a TOML file."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, UsageError
from ..files.toml_file import read_toml

DROP, AGREEMENT, LAYER_ERROR, P_PROXY, LATENCY, REGRESSION = KINDS = (
    "max-drop",
    "min-agreement",
    "max-layer-error",
    "max-p-proxy",
    "max-latency",
    "max-regression",
)
OF_A_MEASURE = (DROP, REGRESSION)  # one limit each


@dataclass(frozen=True)
class Gate:
    """A limit. kind: one of `KINDS`. measure: by name, "" for the task's first; always "" of kinds without a choice."""

    kind: str
    limit: float
    measure: str = ""

    def __post_init__(self):
        if not 0 <= self.limit < math.inf or (self.kind == AGREEMENT and self.limit > 100):
            raise UsageError(self.kind, f"{self.limit:g}", "0 to 100, in percent" if self.kind == AGREEMENT else "a number from 0 up")

    @property
    def key(self) -> tuple[str, str]:
        """What there is one limit for."""
        return self.kind, self.measure


def parsed_gate(kind: str, text: str) -> Gate:
    """Of "0.5" or "psnr=0.1". Raises UsageError for anything else."""
    name, given, number = text.rpartition("=")
    try:
        limit = float(number)
    except ValueError:
        limit = math.nan
    if not 0 <= limit < math.inf or (given and not name):
        raise UsageError(f"--{kind}", f"{text!r}", "a number from 0 up, or MEASURE=X such as psnr=0.1")
    return Gate(kind, limit, name)


def gates_of(content: Mapping[str, object], where: str = "gates") -> tuple[Gate, ...]:
    """Of a mapping from kinds to limits; of a drop or a regression also to a mapping from measures to limits. where: for errors. Raises UsageError
    for kinds that there are none of, and limits that are no numbers from 0 up."""
    found = []
    for kind, value in content.items():
        if kind not in KINDS:
            near = difflib.get_close_matches(kind, KINDS, 1)
            raise UsageError(where, f"key {kind!r}", f"one of {', '.join(KINDS)}", f"perhaps {near[0]} is meant" if near else "")
        limits = value if isinstance(value, Mapping) and kind in OF_A_MEASURE else {"": value}
        for measure, limit in limits.items():
            if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not isinstance(measure, str):
                also = ", or a table from measures to numbers" if kind in OF_A_MEASURE else ""
                raise UsageError(where, f"{kind} = {limit!r}", f"a number{also}")
            found.append(Gate(kind, float(limit), measure))
    return tuple(found)


def read_gates(path: str | Path) -> tuple[Gate, ...]:
    """Those of the table `[tool.ttfs]` in a TOML file, such as pyproject.toml. Raises DataError for a file that cannot be read or lacks it,
    UsageError as `gates_of`."""
    tool = read_toml(path, "a TOML file with gates").get("tool", {})
    table = tool.get("ttfs") if isinstance(tool, dict) else None
    if not isinstance(table, dict) or not table:
        raise DataError(str(path), "no table [tool.ttfs] with gates", "such as [tool.ttfs] with the line max-drop = 0.5")
    return gates_of(table, f"{path}, [tool.ttfs]")


def merged(first: Iterable[Gate], then: Iterable[Gate]) -> tuple[Gate, ...]:
    """All of both; of two for the same measure of a kind the later one, in the place of the earlier."""
    return tuple({gate.key: gate for gate in (*first, *then)}.values())
