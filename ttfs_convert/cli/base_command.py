"""What every command is: errors as one line on standard error, and an exit code."""

from __future__ import annotations

import shlex
import sys

import click

from ..shown import shown, shown_text
from ..tables import widths
from .console import say, show
from .interruption import INTERRUPTED, Stopped, check_stopped, stoppable
from .numba_environment import check_numba_environment
from .streams import sturdy_streams, undelivered

INCONCLUSIVE = 5  # exit code
GATE_FAILED = 99  # exit code
COMMAND_LINE = "ttfs_convert.command_line"

EXIT_CODES = """\b
Exit codes: 0 good; 1 internal error, or output that cannot be written;
2 usage; 3 model invalid or unsupported; 4 data missing or broken;
5 inconclusive (the interval straddles the gate); 99 a gate failed;
130 interrupted (Ctrl-C); 143 terminated (SIGTERM)."""


class Command(click.Command):
    """A command whose errors are one line on standard error and an exit code, and which no console can break."""

    def __init__(self, *args, **kwargs):
        context = {"max_content_width": widths.HELP, "help_option_names": ["-h", "--help"]}
        super().__init__(*args, **{"epilog": EXIT_CODES, "context_settings": context, **kwargs})

    def main(self, *args, **kwargs):
        """As click's, on streams that nothing can break; exits with 1 where output was lost, and as a signal asks."""
        with sturdy_streams():
            try:
                with stoppable():
                    return super().main(*args, **kwargs)
            except Stopped as stopped:
                say(stopped.word)
                raise SystemExit(stopped.exit_code) from None
            except SystemExit as end:
                if not undelivered():
                    raise
                say(f"error: standard output: cannot be written ({undelivered()})")
                raise SystemExit(end.code or 1) from None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's; keeps the command line, as a shell would take it."""
        ctx.meta[COMMAND_LINE] = shlex.join([ctx.info_name or "", *args])
        return super().parse_args(ctx, args)

    def make_context(self, *args, **kwargs) -> click.Context:
        """As click's; file names in its messages are data."""
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as error:
            raise click.UsageError(shown_text(error.format_message()), error.ctx) from None

    def invoke(self, ctx: click.Context):
        """As click's, with errors as one line and an exit code."""
        from ..errors import ModelError, TtfsError
        from ..files.temporary import scratch

        try:
            check_numba_environment()
            with scratch():
                return super().invoke(ctx)
        except TtfsError as error:
            check_stopped()
            _say_error(error)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            say("interrupted")
            sys.exit(INTERRUPTED)
        except MemoryError as error:
            say(f"error: there is not enough memory ({shown(str(error)) or 'an array could not be made'})")
            sys.exit(ModelError.exit_code)
        except OSError as error:  # of a file that no part of the program has a better sentence for
            say(f"error: {shown(str(error.filename or 'a file'))}: {error.strerror or error}")
            sys.exit(1)


def _say_error(error) -> None:
    """One line, behind its table if it has one."""
    from ..tables.refusal_tables import details

    table = details(error)
    if table is not None:
        show(table, stderr=True)
    say(f"error: {error}")
