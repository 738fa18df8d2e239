"""What accuracy costs: points of latency, operations and energy, from a sweep of time steps or from saved reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DataError
from .sweep import Sweep

CURVE = "steps"  # kind of a sweep whose points make a curve


@dataclass(frozen=True)
class CostedPoint:
    """A network on one grid. value: of the measure, accuracies in percent. Costs are None, or missing, where there are none."""

    value: float
    latency_steps: int | None
    p_proxy: float | None
    joules: Mapping[str, float | None]


@dataclass(frozen=True)
class Curve:
    """points: on several grids, by latency. own: on the network's own. ann: the original's value. measure: in words, with its unit."""

    name: str
    measure: str
    points: tuple[CostedPoint, ...]
    own: CostedPoint | None
    ann: float | None
    tables: tuple[str, ...] = field(default=())  # cost tables that have a figure for every point


def curve_of(path: str | Path) -> Curve:
    """Of what `ttfs-run --json` wrote: a sweep, or a report, which is one point. Raises DataError for anything else."""
    try:
        content = json.loads(Path(path).read_bytes())
        return _of_sweep(content) if "points" in content else _of_report(content)
    except OSError as error:
        raise DataError(str(path), f"cannot be read ({error.strerror or error})", "a report") from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise DataError(
            str(path), "no report of a sweep or a run", "what ttfs-run --sweep steps --json FILE or ttfs-run --json FILE writes"
        ) from error


def curve_of_sweep(sweep: Sweep) -> Curve:
    """Raises DataError for a sweep whose points have no figure."""
    return _of_sweep(sweep.as_json())


def _of_sweep(content: Mapping[str, Any]) -> Curve:
    measures = content["measures"]
    name = measures[0]["name"] if measures else "agreement"
    points = [(point["kind"], _point(point, _figure(point, name), name)) for point in content["points"]]
    curve = sorted((point for kind, point in points if kind == CURVE and point), key=lambda point: point.latency_steps or 0)
    own = next((point for kind, point in points if kind == "none"), None)
    if not curve and own is None:
        raise DataError(content["network"], f"no point of {name}", "a sweep with figures")
    ann = content["ann"].get(name)
    return _curve(content["network"], name, curve, own, None if ann is None else _scaled(name, ann))


def _figure(point: Mapping[str, Any], name: str) -> float | None:
    return point[name] if name in ("accuracy", "agreement") else point["measures"][name]["mean"]


def _point(point: Mapping[str, Any], value: float | None, name: str) -> CostedPoint | None:
    return None if value is None else CostedPoint(_scaled(name, value), point["latency_steps"], point["p_proxy"], point["joules"])


def _of_report(content: Mapping[str, Any]) -> Curve:
    measures = content["task"]["measures"] if content["task"] else []
    name = measures[0]["name"] if measures else "agreement"
    value = content["snn"][name] if measures else content["drift"]["agreement"]
    energy, ann = content["energy"], content["ann"][name] if measures else None
    joules = {cost["table"]: cost["joules"]["event"] and cost["joules"]["event"]["total"] for cost in energy["costs"]}
    own = CostedPoint(_scaled(name, value), content["snn"]["latency_steps"], energy["event"]["p_proxy"], joules)
    return _curve(content["model"]["name"], name, [], own, None if ann is None else _scaled(name, ann))


def _curve(name: str, measure: str, points: list[CostedPoint], own: CostedPoint | None, ann: float | None) -> Curve:
    every = [*points, *([] if own is None else [own])]
    tables = tuple(table for table in every[0].joules if all(each.joules.get(table) is not None for each in every))
    return Curve(name, f"{measure}, %" if measure in SHARES else measure, tuple(points), own, ann, tables)


SHARES = ("accuracy", "agreement", "mean_iou", "pixel_accuracy")


def _scaled(name: str, value: float) -> float:
    return 100 * value if name in SHARES else value
