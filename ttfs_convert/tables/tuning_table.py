"""What `ttfs-tune` prints and writes."""

from __future__ import annotations

import dataclasses

from rich.table import Table

from ..data import Dataset
from ..measurement.accuracy_drift import newcombe_interval
from ..studies.tuning import Tuning, Variant
from .style import table


def tuning_table(tuning: Tuning) -> Table:
    """One row per variant; operations also as a share of the first one's."""
    given = tuning.variants[0]
    result = table(
        f"Steps of {tuning.name}, judged on {tuning.judged_on:,} samples; {tuning.rule}",
        "variant",
        "latency",
        "drift, pp",
        "95 % interval",
        "agreement",
        "P_proxy event",
        "SNN",
        "ANN",
        "synaptic",
        "steps",
        left=("variant", "steps"),
    )
    for each in tuning.variants:
        low, high = _interval(each)
        result.add_row(
            each.name + (" (kept)" if each.name == tuning.kept else ""),
            f"{each.latency_steps:,}{_share(each.latency_steps, given.latency_steps)}",
            f"{100 * each.outcomes.drift:+.2f}",
            f"[{low:+.2f}, {high:+.2f}]",
            f"{100 * each.agreement:.2f} %",
            _millions(each.event_p_proxy, given.event_p_proxy),
            f"{100 * each.outcomes.snn_accuracy:.2f} %",
            f"{100 * each.outcomes.ann_accuracy:.2f} %",
            _millions(each.synaptic_p_proxy, given.synaptic_p_proxy),
            _steps(each),
        )
    return result


def as_json(tuning: Tuning, data: Dataset, seed: int) -> dict:
    """What `ttfs-tune --json` writes, schema version 1. data: all of it. seed: of the split."""
    return {
        "schema_version": 1,
        "network": tuning.name,
        "data": {"name": data.name, "sha256": data.sha256},
        "max_drop_pp": tuning.max_drop,
        "max_latency_steps": tuning.max_latency,
        "fitted_to": tuning.fitted_to and dataclasses.asdict(tuning.fitted_to),
        "seed": seed,
        "chosen_on": tuning.chosen_on,
        "judged_on": tuning.judged_on,
        "runs": tuning.runs,
        "rule": tuning.rule,
        "notes": list(tuning.notes),
        "kept": tuning.kept,
        "variants": [
            {
                "name": each.name,
                "steps": each.steps,
                "latency_steps": each.latency_steps,
                "p_proxy": {"event": each.event_p_proxy, "synaptic": each.synaptic_p_proxy},
                "ann_accuracy": each.outcomes.ann_accuracy,
                "snn_accuracy": each.outcomes.snn_accuracy,
                "drift": {"accuracy_pp": 100 * each.outcomes.drift, "ci95_pp": list(_interval(each)), "agreement": each.agreement},
            }
            for each in tuning.variants
        ],
    }


def _interval(variant: Variant) -> tuple[float, float]:
    low, high = newcombe_interval(variant.outcomes)
    return 100 * low, 100 * high


def _millions(value: float, of: float) -> str:
    return f"{value / 1e6:,.2f}M{_share(value, of)}"


def _share(value: float, of: float) -> str:
    return "" if value == of else f" ({100 * value / of:.0f} %)"


def _steps(variant: Variant) -> str:
    steps = list(variant.steps.values())
    return str(steps[0]) if len(set(steps)) == 1 else " ".join(map(str, steps))
