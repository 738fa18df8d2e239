"""A figure as one file, whose ending says what it is."""

from __future__ import annotations

from pathlib import Path

from ..errors import UsageError
from ..files.atomic import check_target

METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}, "pdf": {"Creator": None, "Producer": None, "CreationDate": None}}
# what would differ from run to run, by ending


def suffix_of(path: str | Path, option: str = "figure") -> str:
    """png, svg or pdf. Raises UsageError, about `option`, for another ending."""
    found = Path(path).suffix.lower().removeprefix(".")
    if found not in METADATA:
        raise UsageError(f"{option} {path}", f"ending {Path(path).suffix or 'none'}", f"one of {', '.join(f'.{each}' for each in METADATA)}")
    return found


def check_figure_file(path: str | Path, option: str) -> None:
    """Raise UsageError before any work is done if no figure can be drawn, or written to `path`."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise UsageError(option, "matplotlib is not installed", remedy="pip install 'ttfs-convert[plot]'") from error
    suffix_of(path, option)
    check_target(path)
