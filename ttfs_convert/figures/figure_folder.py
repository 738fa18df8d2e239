"""Where figures go: a folder, each figure as PNG and SVG, all of them or none."""

from __future__ import annotations

import contextlib
import functools
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ..errors import UsageError
from ..files.atomic import write_all, writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}  # and what of their metadata differs from run to run
DPI = 200


def check_plots(folder: str | Path) -> None:
    """Raise UsageError before any work is done if no figures can be drawn or put into `folder`, which may still have to be made."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise UsageError("--plot", "matplotlib is not installed", remedy="pip install 'ttfs-convert[plot]'") from error
    path = Path(folder).resolve()
    if path.exists() and not path.is_dir():
        raise UsageError(str(folder), "cannot hold figures (it is there and no folder)", remedy="name another folder")
    writable = path if path.exists() else path.parent
    if not writable.is_dir() or not os.access(writable, os.W_OK | os.X_OK):
        raise UsageError(
            str(folder),
            f"cannot hold figures ({writable} is no writable folder)",
            remedy="name a folder that is writable, or a new one in a folder that is",
        )


def write_figures(figures: Mapping[str, Figure], folder: str | Path, others: Mapping[str, bytes] | None = None) -> None:
    """Write each figure by its name as PNG (200 dpi) and SVG, and other files, or none if one cannot be written, which raises TtfsError."""
    from .page import style

    files = dict(others or {})
    with style():
        for name, figure in figures.items():
            for kind, metadata in FORMATS.items():
                buffer = io.BytesIO()
                figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
                figure.set_layout_engine("none")  # found once, by far the slowest part
                files[f"{name}.{kind}"] = buffer.getvalue()
    path = Path(folder)
    made = not path.exists()
    with writing(folder):
        path.mkdir(exist_ok=True)
    try:
        write_all({path / name: functools.partial(_write, content) for name, content in files.items()})
    except BaseException:
        if made:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def _write(content: bytes, file: IO[bytes]) -> None:
    file.write(content)
