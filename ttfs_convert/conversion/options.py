"""How to convert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import UsageError
from ..lowering.builder import Builder
from ..lowering.ranges.of_inputs import InputRange, check_input_range
from ..lowering.ranges.of_layers import Range, Ranges
from ..network.populations import MAX_STEPS

SLOPES = ("gated", "reference")  # of mode exact


@dataclass(frozen=True)
class Options:
    """How to convert; see `convert`."""

    mode: str = "strict"
    slope: str = "gated"
    steps: int | None = 50
    rounding: str = "nearest"
    pooling: str = "synaptic"
    tolerance: float = 1e-4
    input_range: InputRange = "auto"
    input_steps: int | None = None
    compensate: bool = False

    def check(self) -> None:
        choices = {"mode": ("strict", "exact", "unchecked"), "slope": SLOPES, "rounding": ("nearest", "ceil"), "pooling": ("synaptic", "spiking")}
        for option, allowed in choices.items():
            if getattr(self, option) not in allowed:
                raise UsageError(option, f"{getattr(self, option)!r}", " or ".join(allowed))
        if self.steps is not None and not 1 <= self.steps <= MAX_STEPS:
            raise UsageError("steps", f"{self.steps}", f"1 to {MAX_STEPS}, or continuous")
        if self.input_steps is not None and not 1 <= self.input_steps <= MAX_STEPS:
            raise UsageError("input steps", f"{self.input_steps}", f"1 to {MAX_STEPS}")
        if not self.tolerance >= 0:
            raise UsageError("tolerance", f"{self.tolerance}", "a number of at least 0")
        check_input_range(self.input_range)

    @property
    def network_slope(self) -> str:
        return self.slope if self.mode == "exact" else "fan_in"

    def builder(self, calibrated: Mapping[str, Range]) -> Builder:
        return Builder(self.pooling, self.network_slope, self.tolerance, Ranges(self.mode, calibrated, self.compensate))
