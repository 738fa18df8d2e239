"""Cost tables: what an operation, a spike and a byte take on some hardware, each figure with its source, as small TOML files.

    title = "..."                        what it is of
    leaves_out = "..."                   what its figures do not hold, which stands beside every energy
    [synop]                              any of mac, synop, neuronop, spike, weight_byte, state_byte, spike_byte
    pj = 0.9                             picojoules of one
    source = "..."                       where the figure is from
    [step]                               how long a time step lasts
    seconds = 1e-6
    source = "..."

What a table does not price costs nothing in it. Those in `cost_tables/` come with the package, by the names of their files.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import DataError, UsageError
from ..files.toml_file import read_toml

FOLDER = Path(__file__).parent / "cost_tables"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    source: str = Field(min_length=1)  # where the figure is from


class Cost(_Entry):
    """What one of its kind takes."""

    pj: float = Field(ge=0, allow_inf_nan=False)  # picojoules


class Duration(_Entry):
    """How long a time step lasts."""

    seconds: float = Field(gt=0, allow_inf_nan=False)


class CostTable(BaseModel):
    """Costs of one kind of hardware; None: the table has no figure."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    name: str = Field(min_length=1)  # of the file, without its ending
    title: str = Field(min_length=1)
    leaves_out: str = Field(min_length=1)
    mac: Cost | None = None  # a multiply-accumulate of the ANN, or of an analog input
    synop: Cost | None = None  # a synaptic operation
    neuronop: Cost | None = None  # an update of a neuron
    spike: Cost | None = None  # sending a spike
    weight_byte: Cost | None = None  # a byte of weights, read
    state_byte: Cost | None = None  # a byte of potentials, read or written; of the ANN's activations and partial sums
    spike_byte: Cost | None = None  # a byte of spikes, moved
    step: Duration | None = None


def built_in_names() -> list[str]:
    """Of the tables that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def cost_table(name: str | Path) -> CostTable:
    """The table that comes with the package under `name`, or that of a TOML file.

    Raises UsageError for a name that is neither, DataError for a file that cannot be read or is no cost table.
    """
    if name in built_in_names():
        return _read(FOLDER / f"{name}.toml")
    path = Path(name)
    if not path.is_file():
        near = difflib.get_close_matches(str(name), built_in_names(), 1)
        raise UsageError(
            "--costs",
            f"no file {str(name)!r}",
            f"a TOML file, or one of {', '.join(built_in_names())}",
            f"perhaps {near[0]} is meant" if near else "",
        )
    return _read(path)


def cost_tables(names: Sequence[str | Path] = ()) -> tuple[CostTable, ...]:
    """Those that come with the package, then those of `names`, each once; of two of one name the later. Raises as `cost_table`."""
    found = [cost_table(name) for name in (*built_in_names(), *names)]
    return tuple({table.name: table for table in found}.values())


def _read(path: Path) -> CostTable:
    expected = "a cost table, as docs/energy.md shows one"
    content = read_toml(path, expected)
    if "name" in content:
        raise DataError(str(path), "key 'name'", "none: a table is called as its file is")
    try:
        table = CostTable.model_validate({"name": path.stem, **_with_floats(content)})
    except ValidationError as error:
        first = error.errors()[0]
        where, unknown = ".".join(map(str, first["loc"])), first["type"] == "extra_forbidden"
        raise DataError(f"{path}: {where}", _problem(str(first["loc"][-1]), unknown, first["msg"]), expected) from error
    if not any(getattr(table, kind) for kind in COSTS):
        raise DataError(str(path), "no figure", f"at least one of {', '.join(f'[{kind}]' for kind in COSTS)}")
    return table


COSTS = tuple(name for name, field in CostTable.model_fields.items() if field.annotation == (Cost | None))


def _problem(key: str, unknown: bool, message: str) -> str:
    near = difflib.get_close_matches(key, [*CostTable.model_fields, *Cost.model_fields, *Duration.model_fields], 1) if unknown else []
    return ("a key that means nothing" if unknown else message[0].lower() + message[1:]) + (f" (perhaps {near[0]} is meant)" if near else "")


def _with_floats(content: dict) -> dict:
    """TOML's whole numbers of the figures as floats: 81 is as good as 81.0, true is no number."""
    return {
        key: {name: float(each) if type(each) is int else each for name, each in value.items()} if isinstance(value, dict) else value
        for key, value in content.items()
    }
