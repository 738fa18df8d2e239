"""Rows of the few-steps table: kept as they are done, and printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]  # setting, steps, input_steps ("own" or a number as text), fit ("no", "bias", "yes"), and figures
KEY = ("steps", "input_steps", "fit")
LABELS = ("steps", "input's", "fit", "ANN", "SNN", "drift, pp [95 %]", "agreement", "latency", "P_proxy event", "seconds to convert")
VALUES = ("steps", "input's", "fit", "PSNR to ANN, dB", "mean error", "MSE of ANN", "MSE of SNN", "latency", "P_proxy event", "seconds to convert")


class Rows:
    """Rows of one setting. path: of a file with one JSON object per line, also of other settings; None: they are kept nowhere. A last line that
    was cut off is overwritten."""

    def __init__(self, path: str | None, setting: dict[str, object]):
        self._path, self._setting = None if path is None else Path(path), setting
        self._rows: dict[tuple, Row] = {}
        if self._path is None or not self._path.exists():
            return
        whole, _, cut_off = self._path.read_text().rpartition("\n")
        if cut_off:
            self._path.write_text(whole + "\n" * bool(whole))
        for row in map(json.loads, whole.splitlines()):
            if all(row.get(name) == value for name, value in setting.items()):
                self._rows[tuple(row[name] for name in KEY)] = row

    def get(self, steps: int, input_steps: str, fit: str) -> Row | None:
        """None where it has not been computed."""
        return self._rows.get((steps, input_steps, fit))

    def add(self, steps: int, input_steps: str, fit: str, figures: Row) -> Row:
        """Keep a row, and give it back."""
        row = {**self._setting, **dict(zip(KEY, (steps, input_steps, fit))), **figures}
        self._rows[steps, input_steps, fit] = row
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(row) + "\n")
        return row

    def all(self) -> list[Row]:
        """In the order of latency."""
        return sorted(self._rows.values(), key=lambda row: row["latency_steps"])


def of_labels(row: Row) -> bool:
    """Whether the network's output is judged by labels; else by its values."""
    return row["snn_accuracy"] is not None


def head(row: Row) -> str:
    """Of a table with rows like `row`."""
    names = LABELS if of_labels(row) else VALUES
    return f"| {' | '.join(names)} |\n{'|---' * len(names)}|"


def line(row: Row) -> str:
    """One row of the table."""
    first = (str(row["steps"]), str(row["steps"]) if row["input_steps"] == "own" else row["input_steps"], row["fit"])
    middle = _labelled(row) if of_labels(row) else _valued(row)
    last = (str(row["latency_steps"]), f"{row['event_p_proxy'] / 1e6:.2f}M", f"{row['seconds']:.0f}")
    return f"| {' | '.join((*first, *middle, *last))} |"


def _labelled(row: Row) -> tuple[str, ...]:
    low, high = row["ci95_pp"]
    drift = f"{row['drift_pp']:+.2f} [{low:+.2f}, {high:+.2f}]"
    return f"{100 * row['ann_accuracy']:.2f} %", f"{100 * row['snn_accuracy']:.2f} %", drift, f"{100 * row['agreement']:.2f} %"


def _valued(row: Row) -> tuple[str, ...]:
    psnr = "exact" if row["psnr"] is None else f"{row['psnr']:.2f}"
    errors = (row["mean_error"], row["ann_mean_squared_error"], row["snn_mean_squared_error"])
    return psnr, *("-" if error is None else f"{error:.3g}" for error in errors)
