"""What the commands share: errors as one line and an exit code, consoles, the `--steps` type, JSON files."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable

import click

INCONCLUSIVE = 5  # exit code
PIPE_WIDTH = 132  # columns where nobody has a window: wide enough that no table is cut

EXIT_CODES = """\b
Exit codes: 0 good; 1 internal error; 2 usage; 3 model invalid or unsupported;
4 data missing or broken; 5 inconclusive (the interval straddles the gate);
99 a gate failed."""


def console(stderr: bool = False):
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else PIPE_WIDTH, highlight=False, soft_wrap=False)


def reporting_errors(command: Callable) -> Callable:
    """Turn a TtfsError into one line on standard error, with its table if it has one, and its exit code."""

    @functools.wraps(command)
    def wrapped(*args, **kwargs):
        from ..errors import TtfsError

        try:
            return command(*args, **kwargs)
        except TtfsError as error:
            from .network_tables import details

            table = details(error)
            if table is not None:
                console(stderr=True).print(table)
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)

    return wrapped


def note(text: str) -> None:
    click.echo(f"note: {text}", err=True)


class Steps(click.ParamType):
    """A whole number of steps, or `continuous`, which becomes 0."""

    name = "steps"

    def get_metavar(self, param, ctx=None) -> str:
        return "N|continuous"

    def convert(self, value, param, ctx) -> int:
        if value in ("continuous", 0):
            return 0
        try:
            steps = int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a whole number nor 'continuous'", param, ctx)
        if not 1 <= steps <= 65535:
            self.fail(f"{steps} is not between 1 and 65535", param, ctx)
        return steps


def on_grid(network, steps: int | None, rounding: str | None, input_steps: int | None = None):
    """`network` with the grid that `--steps` (None: its own; 0: continuous time), `--rounding` and `--input-steps` ask for."""
    if steps is not None:
        network = network.with_time(steps or None, rounding)
    elif rounding is not None:
        network = network.model_copy(update={"rounding": rounding})
    return network if input_steps is None else network.with_input_steps(input_steps)


def check_output(path: str | None) -> None:
    """Raise UsageError before any work is done if no file could be written to `path`; None and - stand for no file."""
    from ..atomic import check_target

    if path not in (None, "-"):
        check_target(path)


def write_json(content: dict, path: str) -> None:
    """Write `content` to `path`, whole or not at all; `-` is standard output. Raises UsageError if it cannot be written."""
    from ..atomic import write_whole

    text = json.dumps(content, indent=2) + "\n"
    if path == "-":
        click.echo(text, nl=False)
    else:
        write_whole(path, lambda file: file.write(text.encode()))
