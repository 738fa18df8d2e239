"""What `ttfs-tune` prints and writes."""

from __future__ import annotations

import dataclasses

from rich.table import Table

from ..data import Dataset
from ..studies.tuning import Tuning, Variant
from ..tasks.classification import ACCURACY
from ..tasks.scores import drift_fields
from .style import table


def tuning_table(tuning: Tuning) -> Table:
    """One row per variant; operations also as a share of the first one's."""
    given, measure = tuning.variants[0], tuning.measure
    about = "" if measure is ACCURACY else f"{measure.title}; "
    result = table(
        f"Steps of {tuning.name}, judged on {tuning.judged_on:,} samples; {about}{tuning.rule}",
        "variant",
        "latency",
        f"drift, {measure.drift_unit}" if measure.drift_unit else "drift",
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
        score = each.scores[measure.name]
        result.add_row(
            each.name + (" (kept)" if each.name == tuning.kept else ""),
            f"{each.latency_steps:,}{_share(each.latency_steps, given.latency_steps)}",
            "-" if score.drift is None else f"{score.drift:+{measure.form}}",
            "-" if score.interval is None else "[{}, {}]".format(*(f"{end:+{measure.form}}" for end in score.interval)),
            "-" if each.agreement is None else f"{100 * each.agreement:.2f} %",
            _millions(each.event_p_proxy, given.event_p_proxy),
            measure.text(score.snn),
            measure.text(score.ann),
            _millions(each.synaptic_p_proxy, given.synaptic_p_proxy),
            _steps(each),
        )
    return result


def as_json(tuning: Tuning, data: Dataset, seed: int) -> dict:
    """What `ttfs-tune --json` writes, schema version 1. data: all of it. seed: of the split."""
    return {
        "schema_version": 1,
        "network": tuning.name,
        "data": {"name": data.name, "sha256": data.sha256, "skipped": [dataclasses.asdict(each) for each in data.skipped]},
        "task": tuning.task,
        "measure": tuning.measure.name,
        tuning.measure.drift_key("max_drop").removeprefix("accuracy_"): tuning.max_drop,
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
                **{f"{network}_{name}": getattr(score, network) for name, score in each.scores.items() for network in ("ann", "snn")},
                "drift": {**_drifts(each), "agreement": each.agreement},
            }
            for each in tuning.variants
        ],
    }


def _drifts(variant: Variant) -> dict[str, object]:
    return {key: value for score in variant.scores.values() for key, value in drift_fields(score).items()}


def _millions(value: float, of: float) -> str:
    return f"{value / 1e6:,.2f}M{_share(value, of)}"


def _share(value: float, of: float) -> str:
    return "" if value == of else f" ({100 * value / of:.0f} %)"


def _steps(variant: Variant) -> str:
    steps = list(variant.steps.values())
    return str(steps[0]) if len(set(steps)) == 1 else " ".join(map(str, steps))
