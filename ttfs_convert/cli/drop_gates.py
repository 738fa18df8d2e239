"""What gates on the drop of a measure say, and their exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .base_command import GATE_FAILED, INCONCLUSIVE
from .console import note, say

if TYPE_CHECKING:
    from ..measurement.accuracy_drift import PairedOutcomes
    from ..tasks.drop_limit import DropLimit
    from ..tasks.scores import Score


def gated(scores: Mapping[str, Score], limits: Sequence[DropLimit], outcomes: PairedOutcomes | None = None, agreement: float = 0.0) -> int:
    """Say of each limit whether the drop is within it, and what this sample can decide; return the exit code of the worst outcome. scores: by measure
    of the task. outcomes, agreement: of predicted labels, where there are some."""
    from ..measurement.accuracy_drift import Verdict

    verdicts = set()
    for limit in limits:
        score = scores[limit.measure or next(iter(scores))]
        decided = limit.verdict(score)
        verdicts.add(decided)
        named = "" if score.measure.name == "accuracy" else f" of {score.measure.title}"
        say(f"gate {limit.most:g} {score.measure.drift_unit}".rstrip() + f"{named}: {decided.value}")
        if outcomes is not None:
            note(_of_labels(outcomes, agreement, limit.most, decided is Verdict.INCONCLUSIVE))
        else:
            note(_of_values(score, limit, decided is Verdict.INCONCLUSIVE))
    if Verdict.FAILED in verdicts:
        return GATE_FAILED
    return INCONCLUSIVE if Verdict.INCONCLUSIVE in verdicts else 0


def _of_labels(outcomes: PairedOutcomes, agreement: float, max_drop: float, undecided: bool) -> str:
    """What this sample can decide about the accuracy. max_drop: percentage points."""
    from ..measurement.accuracy_drift import samples_needed, smallest_gate

    text = (
        f"with {100 * (1 - agreement):.2f} % disagreement and no true drift, {outcomes.samples:,} samples decide "
        f"gates from {100 * smallest_gate(outcomes):.2f} pp"
    )
    if undecided:
        observed, driftless = (samples_needed(each, max_drop / 100) for each in (outcomes, outcomes.without_drift()))
        if observed is not None:
            text += f"; with the drift seen here {max_drop:g} pp needs about {observed:,}"
        elif driftless is not None:
            text += f"; {max_drop:g} pp needs about {driftless:,} without drift, and the drift seen here lies on the gate"
        else:
            text += f"; {max_drop:g} pp is beyond any sample"
    return text


def _of_values(score: Score, limit: DropLimit, undecided: bool) -> str:
    """What this sample can decide about another measure, by the width of its interval, which falls with the root of the number of samples."""
    from ..tasks.paired_bootstrap import FEWEST

    measure = score.measure
    if score.drop is None or score.drop_interval is None:
        return f"{measure.title}: {score.samples} samples have a figure under both networks, and an interval needs {FEWEST}"
    width = score.drop_interval[1] - score.drop
    text = f"without true drift {score.samples:,} samples decide gates on {measure.title} from {measure.amount(width)}"
    if undecided and score.lost:
        return f"{text}; {score.lost} samples lose under the spiking network the figure that they have under the original"
    gap = abs(limit.most - score.drop)
    if undecided and gap > 0:
        return f"{text}; with the drift seen here {limit.most:g} needs about {score.samples * (width / gap) ** 2:,.0f}"
    return text
