"""Rows of the few-steps table: kept as they are done, and printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# Setting, steps, input_steps ("own" or a number as text), fit ("no", "bias", "yes"), weight_bits ("none" or a number as text), and figures
Row = dict[str, Any]
KEY = ("steps", "input_steps", "fit", "weight_bits")
FIRST = ("steps", "input's", "fit", "bits")
LAST = ("latency", "P_proxy event", "weights, kB", "seconds to convert")
LABELS = (*FIRST, "ANN", "SNN", "drift, pp [95 %]", "agreement", *LAST)
VALUES = (*FIRST, "PSNR to ANN, dB", "mean error", "MSE of ANN", "MSE of SNN", *LAST)


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

    def get(self, key: tuple) -> Row | None:
        """None where it has not been computed. key: values of `KEY`."""
        return self._rows.get(key)

    def add(self, key: tuple, figures: Row) -> Row:
        """Keep a row, and give it back."""
        row = {**self._setting, **dict(zip(KEY, key)), **figures}
        self._rows[key] = row
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
    first = (str(row["steps"]), str(row["steps"]) if row["input_steps"] == "own" else row["input_steps"], row["fit"], row["weight_bits"])
    middle = _labelled(row) if of_labels(row) else _valued(row)
    last = (str(row["latency_steps"]), f"{row['event_p_proxy'] / 1e6:.2f}M", f"{row['weight_bytes'] / 1e3:,.1f}", f"{row['seconds']:.0f}")
    return f"| {' | '.join((*first, *middle, *last))} |"


def _labelled(row: Row) -> tuple[str, ...]:
    low, high = row["ci95_pp"]
    drift = f"{row['drift_pp']:+.2f} [{low:+.2f}, {high:+.2f}]"
    return f"{100 * row['ann_accuracy']:.2f} %", f"{100 * row['snn_accuracy']:.2f} %", drift, f"{100 * row['agreement']:.2f} %"


def _valued(row: Row) -> tuple[str, ...]:
    psnr = "exact" if row["psnr"] is None else f"{row['psnr']:.2f}"
    errors = (row["mean_error"], row["ann_mean_squared_error"], row["snn_mean_squared_error"])
    return psnr, *("-" if error is None else f"{error:.3g}" for error in errors)
