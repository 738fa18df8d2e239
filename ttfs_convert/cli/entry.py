"""What the installed commands start with: signals end them in one line from here on, while their modules are still being read."""

from __future__ import annotations

import importlib
import signal
import sys

from .console import say
from .interruption import WORDS, Stopped, stoppable


def _start(module: str) -> None:
    """Run the command of that module; exits as it does."""
    try:
        with stoppable():
            importlib.import_module(f".{module}", __package__).main()
    except Stopped as stopped:
        say(stopped.word)
        sys.exit(stopped.exit_code)
    finally:
        for number in WORDS:
            signal.signal(number, signal.SIG_IGN)  # all is done, but for temporary files that are removed as Python ends


def ttfs_check() -> None:
    """`ttfs-check`."""
    _start("check")


def ttfs_convert() -> None:
    """`ttfs-convert`."""
    _start("convert")


def ttfs_inspect() -> None:
    """`ttfs-inspect`."""
    _start("inspect")


def ttfs_plot() -> None:
    """`ttfs-plot`."""
    _start("plot")


def ttfs_run() -> None:
    """`ttfs-run`."""
    _start("run")


def ttfs_tune() -> None:
    """`ttfs-tune`."""
    _start("tune")
