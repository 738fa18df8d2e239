"""The commands by the names that they are installed under."""

from __future__ import annotations

from . import check, convert, inspect, plot, run, tune

COMMANDS = {
    "ttfs-convert": convert.main,
    "ttfs-run": run.main,
    "ttfs-check": check.main,
    "ttfs-inspect": inspect.main,
    "ttfs-tune": tune.main,
    "ttfs-plot": plot.main,
}
