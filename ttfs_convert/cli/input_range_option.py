"""The option `--input-range`: two numbers, or one word such as data or NAME:0:255."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .base_command import Command

if TYPE_CHECKING:
    from ..lowering.ranges.of_inputs import InputRange, OneRange

NAMES = ("--input-range",)


class WithRanges(Command):
    """Lets one word stand where click wants two values: it is given twice."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        spread: list[str] = []
        for arg in args:
            option, is_one, value = arg.partition("=")
            given = [option, value] if is_one and option in NAMES else [arg]
            spread += given
            if len(spread) > 1 and spread[-2] in NAMES and (spread[-1] == "data" or ":" in spread[-1]):
                spread.append(spread[-1])
        return super().parse_args(ctx, spread)


class RangePart(click.ParamType):
    """A number, or a word that stands for both ends."""

    name = "range"

    def convert(self, value, param, ctx) -> float | str:
        if isinstance(value, float) or value == "data" or ":" in value:
            return value
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor data nor NAME:LO:HI", param, ctx)


def input_range_of(given: tuple[tuple[float | str, float | str], ...]) -> InputRange:
    """What `convert` takes as input_range. Raises UsageError."""
    from ..errors import UsageError

    plain = [ends for ends in given if not (isinstance(ends[0], str) and ":" in ends[0])]
    if len(plain) > 1 or (plain and len(given) > 1):
        raise UsageError("--input-range", "several ranges", "one, or NAME:LO:HI for each input")
    if not given:
        return "auto"
    if plain:
        low, high = plain[0]
        return "data" if isinstance(low, str) or isinstance(high, str) else (low, high)
    return dict(_named(text) for text, _ in given if isinstance(text, str))


def _named(text: str) -> tuple[str, OneRange]:
    from ..errors import UsageError

    name, *ends = text.rsplit(":", 1) if text.endswith((":data", ":direct")) else text.rsplit(":", 2)
    if ends in (["data"], ["direct"]):
        return name, "data" if ends == ["data"] else None
    try:
        lo, hi = map(float, ends)
    except ValueError:
        raise UsageError("--input-range", f"{text!r}", "NAME:LO:HI, NAME:data or NAME:direct") from None
    return name, (lo, hi)
