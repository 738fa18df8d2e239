"""Temporary files and folders: named so that they are known, locked while somebody writes them, and removed where their writer is dead.

They are called .NAME.MACHINE.RANDOM.ttfs-partial. The lock (flock) is the system's: it ends with the process, however that ends, and no number of a
process has to be trusted. What another machine wrote, in a folder that several share, what belongs to another user, what is locked, and anything on a
system or disk without such locks is left where it is.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

ENDING = ".ttfs-partial"
NAME = 40  # letters of a name that a temporary one begins with: names have a limit


def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _new_name(name: str) -> str:
    return f".{name[:NAME]}.{_machine()}.{secrets.token_hex(8)}{ENDING}"


@contextlib.contextmanager
def temporary_file(folder: Path, name: str) -> Iterator[IO[bytes]]:
    """A new file in `folder`, open to write, that this user alone may read; closed and removed in the end, if it still has its name. name: of the
    file that it is to become. Raises OSError."""
    while True:
        path = folder / _new_name(name)
        file = open(path, "xb", opener=lambda path, flags: os.open(path, flags, 0o600))  # noqa: SIM115 - below
        try:
            if _is_locked_here(file.fileno(), path):
                yield file
                return
        finally:
            with contextlib.suppress(OSError):  # what a full disk did not take is tried again
                file.close()
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_folder(folder: Path, name: str) -> Iterator[Path]:
    """A new folder in `folder`, as `temporary_file`; removed in the end with all that is in it. Raises OSError."""
    while True:
        path = folder / _new_name(name)
        path.mkdir(0o700)
        lock = None
        try:
            lock = None if fcntl is None else os.open(path, os.O_RDONLY)
            if lock is None or _is_locked_here(lock, path):
                yield path
                return
        finally:
            shutil.rmtree(path, ignore_errors=True)
            if lock is not None:
                os.close(lock)


def remove_abandoned(folder: Path) -> None:
    """Remove temporary files and folders in `folder` whose writers are dead. What cannot be removed stays."""
    if fcntl is None:
        return
    ours = re.compile(rf"\..*\.{_machine()}\.[0-9a-f]{{16}}{re.escape(ENDING)}", re.DOTALL)
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if ours.fullmatch(name):
                with contextlib.suppress(OSError):
                    _remove_if_abandoned(folder / name)


@contextlib.contextmanager
def scratch() -> Iterator[None]:
    """Inside, temporary folders are in one that this process has in the system's folder for them until it ends, so that the next one finds what is
    left of one that was killed."""
    before = tempfile.tempdir
    with contextlib.suppress(OSError):  # those who need one will say so
        tempfile.tempdir = str(_scratch_in(Path(tempfile.gettempdir()), os.getpid()))
    try:
        yield
    finally:
        tempfile.tempdir = before


@functools.cache
def _scratch_in(system: Path, process: int) -> Path:
    """The one of this process. Libraries remove what they have in it as it ends, which has to come first. Raises OSError."""
    remove_abandoned(system)
    stack = contextlib.ExitStack()
    folder = stack.enter_context(temporary_folder(system, "ttfs-convert"))
    atexit.register(stack.close)
    return folder


def _is_locked_here(descriptor: int, path: Path) -> bool:
    """Lock it; False where somebody who takes it for abandoned was faster. Where there are no locks, nobody takes it for that."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return _is_still(descriptor, path)


def _is_still(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _remove_if_abandoned(path: Path) -> None:
    found = os.lstat(path)
    is_folder = stat.S_ISDIR(found.st_mode)
    if fcntl is None or found.st_uid != os.geteuid() or not (is_folder or stat.S_ISREG(found.st_mode)):
        return
    descriptor = os.open(path, (os.O_RDONLY if is_folder else os.O_RDWR) | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_still(descriptor, path):
            return
        if is_folder:
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(descriptor)
