"""Write files whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from ..errors import TtfsError, UsageError

PREFIX = 40  # letters of a file's name that its temporary one begins with: names have a limit


def check_target(path: str | Path) -> Path:
    """The file that writing to `path` would replace, links followed. Raises UsageError if no regular file can stand there."""
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        raise UsageError(str(path), "cannot be written (it is there and no regular file)", remedy="name another file")
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        raise UsageError(str(path), f"cannot be written ({target.parent} is no writable folder)", remedy="name a folder that exists and is writable")
    return target


@contextlib.contextmanager
def writing(path: str | Path, remedy: str = "free some space, or name a file on another disk") -> Iterator[None]:
    """Inside, a write that fails, as on a full disk, raises TtfsError about `path`, or UsageError where it is not allowed."""
    try:
        yield
    except PermissionError as error:
        raise UsageError(str(path), f"cannot be written ({error.strerror or error})", remedy="name a file that is yours to write") from error
    except OSError as error:
        raise TtfsError(str(path), f"cannot be written ({error.strerror or error})", remedy=remedy) from error


def write_whole(path: str | Path, write: Callable[[IO[bytes]], object]) -> None:
    """Have `write` fill a temporary file, then put it at `path`. Raises as `write_all`."""
    write_all({path: write})


def write_all(files: Mapping[str | Path, Callable[[IO[bytes]], object]]) -> None:
    """Have every file filled by its function, then put all at their paths, or none.

    Raises UsageError where no file can stand, TtfsError if one cannot be written; all paths are then as they were.
    """
    targets = {path: check_target(path) for path in files}
    temporaries: dict[str | Path, str] = {}
    umask = os.umask(0)
    os.umask(umask)
    try:
        for path, write in files.items():
            with (
                writing(path),
                tempfile.NamedTemporaryFile("wb", dir=targets[path].parent, prefix=f".{targets[path].name[:PREFIX]}.", delete=False) as file,
            ):
                temporaries[path] = file.name
                write(file)
        for path, temporary in temporaries.items():
            with writing(path):
                os.chmod(temporary, 0o666 & ~umask)  # temporary files are private; a result should be as readable as any other file
                os.replace(temporary, targets[path])
    finally:
        for temporary in temporaries.values():
            Path(temporary).unlink(missing_ok=True)
