"""Write a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from .errors import UsageError


def check_target(path: str | Path) -> Path:
    """The file that writing to `path` would replace, links followed. Raises UsageError if no regular file can stand there."""
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        raise UsageError(str(path), "cannot be written (it is there and no regular file)", remedy="name another file")
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        raise UsageError(str(path), f"cannot be written ({target.parent} is no writable folder)", remedy="name a folder that exists and is writable")
    return target


def write_whole(path: str | Path, write: Callable[[BinaryIO], None]) -> None:
    """Have `write` fill a temporary file, then put it at `path`. Raises UsageError if that fails; `path` is then as it was."""
    target = check_target(path)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile("wb", dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            temporary = file.name
            write(file)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # temporary files are private; a result should be as readable as any other file
        os.replace(temporary, target)
    except BaseException as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UsageError(str(path), f"cannot be written ({error.strerror})") from error
        raise
