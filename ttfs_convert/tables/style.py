"""How tables look."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD

from ..shown import shown_text
from .fitting_table import FittingTable


def table(title: str, *columns: str, left: tuple[str, ...] = ()) -> FittingTable:
    """An empty table, the most important columns first; numbers to the right, the columns named in `left`, which are texts, to the left."""
    result = FittingTable(title=shown_text(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for column in columns:
        result.add_column(column, justify="left" if column in left else "right", overflow="fold")
    return result


def two_columns(title: str) -> FittingTable:
    """An empty table of what is named on the left and said on the right, without a head."""
    result = table(title, "", " ", left=("", " "))
    result.columns[0].no_wrap, result.show_header = True, False
    return result
