"""Tables in windows of any width: no number and no name is cut, and no line is longer than the window."""

import io

import pytest
from rich.console import Console

from ttfs_convert.tables.fitting_table import Name
from ttfs_convert.tables.histogram import Histogram
from ttfs_convert.tables.style import table, two_columns

NAME = "/features/features.0/block/Conv_with_a_name"


def printed(part, width):
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False, markup=False, emoji=False).print(part)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def numbers():
    result = table("Layers", "layer", "mean error", "neurons", "what it is", "window", left=("layer", "what it is"))
    result.add_row(Name(NAME), "1.25e-03", "1,234,567,890", "a population that fires after all the others have", "7")
    return result


@pytest.mark.parametrize("width", range(30, 140, 5))
def test_nothing_is_cut_at_any_width(width):
    lines = printed(numbers(), width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    shown = [header for header in ("mean error", "neurons", "what it is", "window") if header.split()[0] in text.split("No room")[0]]
    for header, number in (("mean error", "1.25e-03"), ("neurons", "1,234,567,890")):
        assert (number in text) == (header in shown)
    missing = [header for header in ("mean error", "neurons", "what it is", "window") if header not in shown]
    assert (f"No room in {width} columns for: {', '.join(missing)}." in " ".join(lines)) == bool(missing)


def test_columns_leave_from_the_right_and_come_back():
    assert "No room" not in "\n".join(printed(numbers(), 132))
    assert "No room in 70 columns for: window." in printed(numbers(), 70)


@pytest.mark.parametrize("width", (26, 40, 60))
def test_a_name_is_folded_behind_separators(width):
    lines = [line.strip() for line in printed(Name(NAME), width)]
    assert "".join(lines) == NAME and max(map(len, lines)) <= width
    assert all(line[-1] in "/._" for line in lines[:-1])


@pytest.mark.parametrize("name", ("", "x", "层/层", "//", "[bold]x[/bold]"))
def test_short_names_are_printed_as_they_are(name):
    assert "".join(printed(Name(name), 30)) == name


def test_texts_fold_at_blanks():
    summary = two_columns("Summary")
    summary.add_row("first layer out of tolerance", "none at all of the many layers that there are in this network")
    lines = printed(summary, 60)
    assert max(map(len, lines)) <= 60 and sum("tolerance" in line for line in lines) == 1
    words = " ".join(line.replace("first layer out of tolerance", "") for line in lines[2:]).split()
    assert " ".join(words).endswith("none at all of the many layers that there are in this network")


def test_the_room_goes_to_all_that_want_it():
    result = table("", "a", "b", left=("a", "b"))
    result.add_row("w " * 60, "v " * 60)
    line = next(line for line in printed(result, 83) if "w" in line)
    assert abs(line.count("w") - line.count("v")) <= 1 and line.count("v") > 15


@pytest.mark.parametrize("room, bars", ((80, "▁▂▃▄▅▆▇█▁ |        ██"), (12, "▂▄▆█▁|    █"), (5, "▆█| ▆"), (3, "█▄")))
def test_bars_are_joined_until_they_fit(room, bars):
    counts = (1, 2, 3, 4, 5, 6, 7, 8, 1, 0, *[0] * 8, 8, 8)
    assert printed(Histogram(counts, 10, 2), room) == [bars]
