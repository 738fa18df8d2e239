"""What a sample of this size can decide about a drop, and how many samples would decide what it cannot."""

from __future__ import annotations

from ..measurement.accuracy_drift import PairedOutcomes, Verdict, samples_needed, smallest_gate
from ..report.sample_bits import unpacked
from ..report.schema import Report
from ..tasks.paired_bootstrap import FEWEST
from .finding import Finding, measure_of
from .gate_list import Gate


def decidable(report: Report, gate: Gate, finding: Finding, found: Verdict) -> str:
    """About a drop that has a value."""
    undecided = found is Verdict.INCONCLUSIVE
    if report.samples is not None and finding.about == "accuracy":
        right = [unpacked(bits, report.data.samples) for bits in (report.samples.ann_right, report.samples.snn_right)]
        return _of_labels(PairedOutcomes.of_right(*right), report.drift.agreement or 0, gate.limit, undecided)
    return _of_values(report, gate, finding, undecided)


def _of_labels(outcomes: PairedOutcomes, agreement: float, max_drop: float, undecided: bool) -> str:
    """What this sample can decide about the accuracy. max_drop: percentage points."""
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


def _of_values(report: Report, gate: Gate, finding: Finding, undecided: bool) -> str:
    """What this sample can decide about another measure, by the width of its interval, which falls with the root of the number of samples."""
    measure = measure_of(report, finding.about or "")
    title, samples = (finding.about, report.data.samples) if measure is None else (measure.title or measure.name, measure.samples)
    if finding.value is None or finding.interval is None:
        return f"{title}: {samples} samples have a figure under both networks, and an interval needs {FEWEST}"
    width = finding.interval[1] - finding.value
    text = f"without true drift {samples:,} samples decide gates on {title} from {width:.3g} {finding.unit}".rstrip()
    if undecided and finding.lost:
        return f"{text}; {finding.lost} samples lose under the spiking network the figure that they have under the original"
    gap = abs(gate.limit - finding.value)
    if undecided and gap > 0:
        return f"{text}; with the drift seen here {gate.limit:g} needs about {samples * (width / gap) ** 2:,.0f}"
    return text
