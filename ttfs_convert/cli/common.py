"""What the commands share: errors as one line and an exit code, consoles, the `--steps` type, files to write."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import click

from .streams import is_closed, sturdy_streams, undelivered

INCONCLUSIVE = 5  # exit code
PIPE_WIDTH = 132  # columns where nobody has a window: wide enough that no table is cut

EXIT_CODES = """\b
Exit codes: 0 good; 1 internal error, or output that cannot be written;
2 usage; 3 model invalid or unsupported; 4 data missing or broken;
5 inconclusive (the interval straddles the gate); 99 a gate failed."""


class Command(click.Command):
    """A command whose errors are one line on standard error and an exit code, and which no console can break."""

    def main(self, *args, **kwargs):
        with sturdy_streams():
            try:
                return super().main(*args, **kwargs)
            except SystemExit as end:
                if not undelivered():
                    raise
                say(f"error: standard output: cannot be written ({undelivered()})")
                raise SystemExit(end.code or 1) from None

    def invoke(self, context: click.Context):
        from ..errors import TtfsError

        try:
            return super().invoke(context)
        except TtfsError as error:
            _say_error(error)
            sys.exit(error.exit_code)
        except OSError as error:  # of a file that no part of the program has a better sentence for
            say(f"error: {error.filename or 'a file'}: {error.strerror or error}")
            sys.exit(1)


def _say_error(error) -> None:
    """One line, behind its table if it has one."""
    from ..tables.refusal_tables import details

    table = details(error)
    if table is not None:
        console(stderr=True).print(table)
    say(f"error: {error}")


def console(stderr: bool = False):
    """What tables are printed by. Names come from models: nothing in them is markup."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else PIPE_WIDTH, highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def judging(command: Callable) -> Callable:
    """Options that say which output labels judge, and how."""
    for option in (
        click.option(
            "--decision-threshold",
            type=float,
            metavar="X",
            help="A lone output means class 1 from X on; needed where its bounds do not say: 0.5 in [0, 1], 0 if it has none or symmetric ones.",
        ),
        click.option("--output", metavar="NAME", help="The model's output that labels judge; the first by default."),
    ):
        command = option(command)
    return command


def note(text: str) -> None:
    say(f"note: {text}")


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
        network = network.with_steps(steps or None, rounding)
    elif rounding is not None:
        network = network.model_copy(update={"rounding": rounding})
    return network if input_steps is None else network.with_input_steps(input_steps)


def check_outputs(**paths: str | None) -> None:
    """Raise UsageError before any work is done if a file could not be written to one of `paths`, given by option, or if two are one file.
    None stands for no file, - for standard output."""
    from ..errors import UsageError
    from ..files.atomic import check_target

    found: dict[Path, str] = {}
    for option, path in paths.items():
        if path == "-" and is_closed():
            raise UsageError(f"--{option} -", "standard output is closed", remedy="name a file")
        if path not in (None, "-"):
            other = found.setdefault(check_target(path), option)
            if other != option:
                raise UsageError(f"--{option}", f"the file of --{other}", "another file")


def write_json(content: dict, path: str) -> None:
    """Write `content` to `path`, whole or not at all; `-` is standard output. Raises TtfsError if it cannot be written."""
    from ..files.atomic import write_whole

    if path == "-":
        sys.stdout.write(json_text(content))
    else:
        write_whole(path, lambda file: file.write(json_text(content).encode()))


def json_text(content: dict) -> str:
    return json.dumps(content, indent=2) + "\n"
