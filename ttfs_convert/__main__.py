"""The commands where their scripts are not on the path:  python -m ttfs_convert run SNN.npz --data mnist"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .cli.command_list import COMMANDS
from .cli.streams import sturdy_streams

PROGRAM = "python -m ttfs_convert"
HELP = ("-h", "--help")


def usage() -> str:
    """What the commands are, one line each."""
    names = {name.removeprefix("ttfs-"): command for name, command in COMMANDS.items()}
    rows = [f"  {name:<8}  {command.get_short_help_str(limit=100)}" for name, command in names.items()]
    return "\n".join(
        [
            f"Usage: {PROGRAM} COMMAND [OPTIONS]",
            "",
            "Commands, which are installed as ttfs-COMMAND too:",
            "",
            *rows,
            "",
            f"{PROGRAM} COMMAND -h says more.",
        ]
    )


def main(arguments: Sequence[str]) -> None:
    """Pass on to the command that the first argument names; without one say which there are."""
    name, *others = arguments or ("-h",)
    command = COMMANDS.get(f"ttfs-{name.removeprefix('ttfs-')}")
    if command is not None:
        command.main(others, prog_name=f"{PROGRAM} {name}")
    with sturdy_streams():
        if name in HELP:
            print(usage())
        else:
            print(f"{usage()}\n\nError: no command {name!r}", file=sys.stderr)
    if name not in HELP:
        sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
