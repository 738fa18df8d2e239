"""The log of a sweep: finished runs, so that one that stopped can go on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from ..errors import DataError
from ..files.atomic import check_target, write_whole, writing
from ..measurement.hardware_work import HardwareWork

RunFigures = Mapping[str, float | None]  # of one run, by measure, its agreement, latency and work; None where there is none
RUN = ("kind", "value", "repeat")
COSTS = ("latency_steps", *(f"work_{field.name}" for field in fields(HardwareWork)))  # of a run: from these energy follows, under any table
ABOUT = ("network", "data", "samples", "seed", "task")  # what runs of one sweep have in common


class SweepLog:
    """Finished runs, one JSON object per line. Lines of other networks, data or seeds stay and are not read; a last line that was cut off
    is removed."""

    BEGIN = '{"network": "'

    def __init__(self, path: str | Path | None, setting: dict):
        self._path, self._setting = path, setting
        self._runs: dict[tuple, RunFigures] = {}
        if path is None or not check_target(path).exists():
            return
        try:
            whole, _, cut_off = Path(path).read_text().rpartition("\n")
            for line in whole.splitlines():
                entry = json.loads(line)
                run = entry["kind"], entry["value"], entry["repeat"]
                found = {key: value for key, value in entry.items() if key not in (*RUN, *ABOUT)}
                _ = [found[name] for name in COSTS]
                if {key: entry[key] for key in ABOUT if key in entry} == setting:
                    self._runs[run] = {"accuracy": found.pop("accuracy"), "agreement": found.pop("agreement"), **found}
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(str(path), f"cannot be read ({error})", "a log of an earlier sweep", "name another file") from error
        if cut_off and not cut_off.startswith(self.BEGIN[: len(cut_off)]):
            raise DataError(str(path), "cannot be read (its last line is no run of a sweep)", "a log of an earlier sweep", "name another file")
        if cut_off:
            write_whole(path, lambda file: file.write((whole + "\n" * bool(whole)).encode()))

    def get(self, run: tuple) -> RunFigures | None:
        """The figures of the run (kind, value, repeat); None if it has not finished."""
        return self._runs.get(run)

    def add(self, run: tuple, found: RunFigures) -> RunFigures:
        """Write what was `found` by a run, and give it back. Raises TtfsError if it cannot be written."""
        if self._path is not None:
            entry = {**self._setting, **dict(zip(RUN, run)), **found}
            with writing(self._path), open(self._path, "a") as file:
                file.write(json.dumps(entry) + "\n")
                file.flush()
                os.fsync(file.fileno())  # a power failure costs the run that is under way at most
        return found
