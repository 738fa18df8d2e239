"""Columns across the network's depth: errors, silent and saturated shares, energy."""

from __future__ import annotations

from collections.abc import Sequence

from ..report.schema import LayerPart, Report
from .profile_chart import Column, ProfileChart, profile_chart


def error_profile(layers: Sequence[LayerPart], on_grid: bool) -> ProfileChart | None:
    """Mean errors with their intervals, in units of the range. on_grid: then a mean error has the tolerance as its limit."""
    columns = [
        Column(index, [(layer.mean_error, "")], _error(layer), layer.mean_error_ci95, layer.tolerance if on_grid else None)
        for index, layer in enumerate(layers)
        if layer.range is not None and layer.mean_error is not None
    ]
    about = "Mean error of each layer in units of its range, with its 95 % interval."
    return profile_chart(columns, "mean error", about, (("", "mean error, with its 95 % interval"),))


def share_profile(layers: Sequence[LayerPart]) -> ProfileChart | None:
    """Silent neurons, and values that a range cuts off."""
    columns = [
        Column(
            index,
            [(100 * layer.silent, "silent"), (100 * (layer.saturated or 0.0), "saturated")],
            f"{layer.name}: {100 * layer.silent:.2f} % silent, {100 * (layer.saturated or 0.0):.3g} % of values cut off",
        )
        for index, layer in enumerate(layers)
        if layer.silent is not None and layer.range is not None
    ]
    about = "Silent neurons of each layer, and on top of them values that its range cuts off, in percent."
    return profile_chart(columns, "%", about, (("silent", "silent"), ("saturated", "saturated: cut off by the range")))


def energy_profiles(report: Report) -> list[tuple[str, ProfileChart]]:
    """By cost table: what the operations and spikes of each layer take, count `event`."""
    found = []
    for table in report.energy.costs:
        values = [(index, layer, layer.joules.get(table.table)) for index, layer in enumerate(report.layers)]
        columns = [
            Column(index, [(1e6 * value, "")], f"{layer.name}: {1e6 * value:.3g} µJ, {layer.synops:,.0f} SynOPs")
            for index, layer, value in values
            if value
        ]
        about = f"Energy of each layer in microjoules per inference under the cost table {table.table}."
        chart = profile_chart(columns, "µJ", about, (("", "energy per inference"),))
        if chart is not None:
            found.append((table.table, chart))
    return found


def _error(layer: LayerPart) -> str:
    ends = layer.mean_error_ci95
    interval = "" if ends is None else f", 95 % {ends[0]:.2e} to {ends[1]:.2e}"
    return f"{layer.name}: mean error {layer.mean_error:.2e}{interval}; largest {layer.max_error:.2e}"
