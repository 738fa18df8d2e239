"""Files that a command is asked to write."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .console import say
from .streams import is_closed


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
    """Write `content` to `path`, whole or not at all, and say so; `-` is standard output. Raises TtfsError if it cannot be written."""
    from ..files.atomic import write_whole

    if path == "-":
        sys.stdout.write(json_text(content))
    else:
        write_whole(path, lambda file: file.write(json_text(content).encode()))
        say(f"Wrote {path}.")


def json_text(content: dict) -> str:
    """JSON, indented, with an end of line."""
    return json.dumps(content, indent=2) + "\n"
