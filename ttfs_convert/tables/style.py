"""How tables look."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table


def table(title: str, *columns: str, left: tuple[str, ...] = ()) -> Table:
    """An empty table; numbers to the right, the columns named in `left` to the left."""
    result = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        result.add_column(column, justify="left" if column in left else "right", overflow="fold")
    return result
