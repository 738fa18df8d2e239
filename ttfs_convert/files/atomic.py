"""Write files whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from ..errors import TtfsError, UsageError
from .temporary import remove_abandoned, temporary_file, temporary_folder


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


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to that is put at `path`, whole, when it is left without an error. Raises as `write_all`."""
    target = check_target(path)
    remove_abandoned(target.parent)
    with contextlib.ExitStack() as stack:
        with writing(path):
            file = stack.enter_context(temporary_file(target.parent, target.name))
        yield file
        with writing(path):
            os.replace(_on_the_disk(file), target)


def write_all(files: Mapping[str | Path, Callable[[IO[bytes]], object]]) -> None:
    """Have every file filled by its function, then, when all are on the disk, put all at their paths, or none.

    Whatever happens, power that fails included, a path holds its old file or the whole new one. Raises UsageError where no file can stand, TtfsError
    if one cannot be written; all paths are then as they were, but for disks without hard links, where those before the one at fault may be new.
    """
    targets = {path: check_target(path) for path in files}
    for folder in {target.parent for target in targets.values()}:
        remove_abandoned(folder)
    with contextlib.ExitStack() as stack:
        made: dict[str | Path, str] = {}
        for path, write in files.items():
            with writing(path):
                file = stack.enter_context(temporary_file(targets[path].parent, targets[path].name))
                write(file)
                made[path] = _on_the_disk(file)
        undo = stack.enter_context(contextlib.ExitStack())
        for path, temporary in made.items():
            with writing(path):
                if len(made) > 1:
                    undo.push(_restoring(targets[path], undo))
                os.replace(temporary, targets[path])
    for folder in {target.parent for target in targets.values()}:
        _sync_folder(folder)


def _on_the_disk(file: IO[bytes]) -> str:
    """The name of a temporary file, whose content is then on the disk, and which others may read as any other file."""
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(file.name, 0o666 & ~umask)
    file.flush()
    os.fsync(file.fileno())
    if os.name == "nt":
        file.close()  # no open file can be put elsewhere
    return file.name


def _restoring(target: Path, stack: contextlib.ExitStack) -> Callable[..., None]:
    """What puts the file of now back if it is left with an error."""
    kept = None
    if target.exists():
        with contextlib.suppress(OSError):
            beside = stack.enter_context(temporary_folder(target.parent, target.name)) / "before"
            os.link(target, beside)
            kept = beside
        if kept is None:
            return lambda *error: None

    def restore(kind, error, trace) -> None:
        with contextlib.suppress(OSError):  # the first error says more
            if kind is not None and kept is not None:
                os.replace(kept, target)
            elif kind is not None:
                target.unlink(missing_ok=True)

    return restore


def _sync_folder(folder: Path) -> None:
    """Have the names in it on the disk, too, where systems know of that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
