"""Part of the report's JSON: the same network with rate-coded neurons."""

from __future__ import annotations

from pydantic import Field

from .part import Part


class RatePointPart(Part):
    """Read after so many steps. Counts are per inference."""

    steps: int
    accuracy: float  # fraction
    agreement: float  # with the original's predictions, a fraction
    spikes: float  # of all layers of neurons
    synops: float
    neuronops: float
    spike_bytes: float
    analog_macs: float  # of `synops`, those of the analog input
    joules: dict[str, float | None] = Field(default_factory=dict)  # by cost table; null where it cannot be priced


class RateCodedPart(Part):
    """The rate-coded baseline, see `studies.rate_baseline`."""

    start: float  # of every potential, as a share of its threshold
    within_pp: float  # of the original's accuracy, asked of `chosen`
    points: tuple[RatePointPart, ...]
    chosen: RatePointPart | None  # of the fewest steps that keep within; null where none does
