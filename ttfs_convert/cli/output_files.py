"""Files that a command is asked to write."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from .console import say
from .streams import is_closed


def check_outputs(inputs: Mapping[str, str | None], **paths: str | None) -> None:
    """Raise UsageError before any work is done if a file could not be written to one of `paths`, given by option, if two are one file, or if one is a
    file that the command reads. inputs: files and folders by what the user calls them; what is not there, such as the name of a data set, is none.
    None stands for no file, - for standard output."""
    from ..errors import UsageError
    from ..files.atomic import check_target

    found: dict[Path, str] = {}
    to_standard_output = [option for option, path in paths.items() if path == "-"]
    if len(to_standard_output) > 1:
        raise UsageError(" and ".join(f"--{option} -" for option in to_standard_output), "one standard output", remedy="name a file")
    for option, path in paths.items():
        if path == "-" and is_closed():
            raise UsageError(f"--{option} -", "standard output is closed", remedy="name a file")
        if path not in (None, "-"):
            other = found.setdefault(check_target(path), option)
            if other != option:
                raise UsageError(f"--{option}", f"the file of --{other}", "another file")
            read = next((name for name, given in inputs.items() if given is not None and _overwrites(path, given)), None)
            if read is not None:
                raise UsageError(f"--{option}", f"{path} is what {read} names, which would be written over", "another file")


def _overwrites(path: str, given: str) -> bool:
    """Whether the file `path` is there and is `given`, by whatever name or link, or lies in that folder."""
    try:
        if Path(given).is_dir():
            return Path(path).exists() and Path(path).resolve().is_relative_to(Path(given).resolve())
        return os.path.samefile(path, given)
    except (OSError, ValueError):
        return False


def write_json(content: dict, path: str) -> None:
    """Write `content` to `path`, whole or not at all, and say so; `-` is standard output. Raises TtfsError if it cannot be written."""
    write_text(json_text(content), path)


def write_text(text: str, path: str) -> None:
    """As `write_json`, of any text."""
    from ..files.atomic import write_whole

    if path == "-":
        sys.stdout.write(text)
    else:
        write_whole(path, lambda file: file.write(text.encode()))
        say(f"Wrote {path}.")


def plain(options: Mapping[str, object]) -> dict[str, object]:
    """Options as JSON has them: tuples as lists."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


def json_text(content: dict) -> str:
    """JSON, indented, with an end of line."""
    return json.dumps(content, indent=2) + "\n"
