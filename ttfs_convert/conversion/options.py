"""How to convert: every option of `convert`, what it means, its default, and the values that it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypedDict

from ..errors import UsageError
from ..kernels.rounding import MAX_STEPS, ROUNDINGS, Rounding
from ..lowering.builder import Builder
from ..lowering.ranges.calibration import Rule
from ..lowering.ranges.of_inputs import InputRange, OneRange, check_input_range
from ..lowering.ranges.of_layers import Ends, Range, Ranges
from ..network.choices import EXACT_SLOPES, FEWEST_BITS, MODES, MOST_BITS, POOLINGS, Mode, Pooling, Slope
from ..network.provenance import Conversion, OneInputRange
from ..onnx_model.input_sizes import Sizes

CHOICES = {"mode": MODES, "slope": EXACT_SLOPES, "rounding": ROUNDINGS, "pooling": POOLINGS}


@dataclass(frozen=True)
class ConversionOptions:
    """Of one conversion. Raises UsageError for values out of range.

    mode: `strict` demands ReLU1 and unity weight sums (LC-TTFS, section III) and refuses other networks; `exact` takes any ReLU network, with a
    value range per channel; `unchecked` clamps any ReLU at 1, keeps whatever weight sums there are, and lists them in `network.violations`.
    slope: of mode exact, `gated` or `reference` (see `populations.Spiking`).
    steps: N per window, 1 to 65535, or None for continuous time.
    rounding: `nearest` or `ceil` (see `kernels/rounding.py`).
    pooling: average pools as `synaptic` weights of the next layer, or as `spiking` neurons.
    tolerance: on |weight sum - 1|.
    input_range: smallest and largest input value; None for inputs without bounds, which then enter as analog current; "data" for those that
    the calibration data shows, feature by feature (of two axes) or channel by channel, and `margin`; "auto": 0 to 255 where the model
    rescales pixels itself, else 0 to 1; or one of these by input name.
    input_shape: sizes, with or without the batch, of an input that leaves some open, or several by name; None: those of the calibration
    data's samples.
    method: how ranges follow from the calibration data, `maximum`, `mse` or a percentile such as "99.9" (see `calibration.Rule`); None:
    `maximum`, with `compensate` `mse`.
    margin: of `maximum`, as a share of the range's width, by which a calibrated end moves outward.
    embed: whether to keep the ONNX file inside the network.
    input_steps: N of the input's window, None for that of all others.
    compensate: whether to fit weights, biases and, in mode exact, ranges anew to the rounding of N steps (see `compensation`); "bias": biases
    and ranges alone.
    allow_analog: of mode exact, whether ONNX Runtime may compute nodes without a spiking form in the middle of the network (see
    `populations.Analog`).
    weight_bits: 2 to 8, of integers that trained weights are rounded to, times one scale per neuron (see `network/weight_grid.py`): with
    `compensate` in the same fit, else to the nearest; None: weights stay float32. Not of mode unchecked.
    """

    mode: Mode = "strict"
    slope: Slope = "gated"
    steps: int | None = 50
    rounding: Rounding = "nearest"
    pooling: Pooling = "synaptic"
    tolerance: float = 1e-4
    input_range: InputRange = "auto"
    input_shape: Sizes | Sequence[int] | None = None
    method: str | None = None
    margin: float = 0.1
    embed: bool = True
    input_steps: int | None = None
    compensate: bool | Literal["bias"] = False
    allow_analog: bool = False
    weight_bits: int | None = None

    def __post_init__(self):
        for option, allowed in CHOICES.items():
            if getattr(self, option) not in allowed:
                raise UsageError(option, f"{getattr(self, option)!r}", " or ".join(allowed))
        if self.steps is not None and not 1 <= self.steps <= MAX_STEPS:
            raise UsageError("steps", f"{self.steps}", f"1 to {MAX_STEPS}, or continuous")
        if self.input_steps is not None and not 1 <= self.input_steps <= MAX_STEPS:
            raise UsageError("input steps", f"{self.input_steps}", f"1 to {MAX_STEPS}")
        if self.compensate not in (False, True, "bias"):
            raise UsageError("compensate", f"{self.compensate!r}", "True, False or 'bias'")
        if self.allow_analog and self.mode != "exact":
            raise UsageError(
                "allow analog", f"mode {self.mode}", "mode exact: in the paper's networks all layers spike", "add --mode exact, or leave it out"
            )
        _check_bits(self.weight_bits, self.mode)
        if not self.tolerance >= 0:
            raise UsageError("tolerance", f"{self.tolerance}", "a number of at least 0")
        check_input_range(self.input_range)
        _ = self.rule

    @property
    def network_slope(self) -> Slope:
        """Of the layers: the paper's, but in mode exact."""
        return self.slope if self.mode == "exact" else "fan_in"

    @property
    def range_method(self) -> str:
        """`method`, or what stands for None."""
        return self.method or ("mse" if self.compensate else "maximum")

    @property
    def rule(self) -> Rule:
        """By which ranges follow from the calibration data."""
        method = self.range_method
        if method in ("maximum", "mse"):
            return Rule(method, None, self.margin, self.steps)
        try:
            percentile = float(method)
        except ValueError:
            raise UsageError("method", f"{method!r}", "maximum, mse, or a percentile such as 99.9") from None
        return Rule("percentile", percentile, self.margin, self.steps)

    def builder(self, calibrated: Mapping[str, Range], extremes: Mapping[str, Ends] = MappingProxyType({}), measures: bool = False) -> Builder:
        """For a network of these options. calibrated, extremes, measures: see `ranges.of_layers.Ranges`."""
        fitted = self.range_method == "mse" and self.steps is not None
        ranges = Ranges(self.mode, calibrated, fitted, extremes, measures)
        return Builder(self.pooling, self.network_slope, self.tolerance, ranges)

    @property
    def kept(self) -> Conversion:
        """What a network keeps of the options that it does not show."""
        given = self.input_range
        ends: OneInputRange | dict[str, OneInputRange] = _plain_by_name(given) if isinstance(given, Mapping) else _plain(given)
        return Conversion(
            tolerance=float(self.tolerance), input_range=ends, method=self.method, margin=float(self.margin), allow_analog=self.allow_analog
        )


def _check_bits(bits: int | None, mode: Mode) -> None:
    if bits is None:
        return
    if isinstance(bits, bool) or bits not in range(FEWEST_BITS, MOST_BITS + 1):
        raise UsageError("weight bits", f"{bits!r}", f"a whole number from {FEWEST_BITS} to {MOST_BITS}, or None")
    if mode == "unchecked":
        raise UsageError(
            "weight bits",
            "mode unchecked, whose neurons rise by weight sums of any size, which rounding would change",
            "mode exact or strict",
            "add --mode exact, or leave --weight-bits out",
        )


def _plain_by_name(given: Mapping[str, OneRange]) -> dict[str, OneInputRange]:
    return {name: _plain(ends) for name, ends in given.items()}


def _plain(ends: OneRange) -> OneInputRange:
    """As a file keeps it."""
    return ends if ends is None or isinstance(ends, str) else (float(ends[0]), float(ends[1]))


class Keywords(TypedDict, total=False):
    """The fields of `ConversionOptions` as keyword arguments, for type checkers and editors; a test holds the two together."""

    mode: Mode
    slope: Slope
    steps: int | None
    rounding: Rounding
    pooling: Pooling
    tolerance: float
    input_range: InputRange
    input_shape: Sizes | Sequence[int] | None
    method: str | None
    margin: float
    embed: bool
    input_steps: int | None
    compensate: bool | Literal["bias"]
    allow_analog: bool
    weight_bits: int | None
