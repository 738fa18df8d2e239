"""Which values the spikes of a layer stand for: x = lo + (hi - lo) a, one lo and hi per channel.

1. An activation with two ends, such as ReLU1, ReLU6 or any Clip      -> its ends; but 1 in place of a larger one, unless mode is exact.
   With `fitted` ends, mode exact measures the upper one like rule 3.
2. Else what is known of the values, such as that an average of activations stays within their range -> that, cut by the activation.
3. A function of its own, such as a sigmoid -> its values between the ends of its potential, which may be infinite; else measured, within its bounds.
   With `fitted` ends both are measured.
4. Else, mode exact: the ends that calibration found; the other modes: 0 and 1, where values beyond are cut off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ...network.activations.threshold_shape import Activation, label
from ...network.populations import FUNCTIONS, Part
from ..values import Potential, same_index

UNIT = (0.0, 1.0)
NARROWEST = np.float32(1e-3)  # width of a channel's range, as a share of the layer's largest value: what float32 has no digits for is no signal
FARTHER = 0.1  # share of the width of the values that data shows, at either end
Ends = tuple[float, float]
Range = tuple[np.ndarray, np.ndarray]  # lo and hi, (channels,) float32


@dataclass(frozen=True)
class Unbounded:
    """A layer whose range has to be measured. tensor: the ONNX tensor with its values, seen through `index` (see `lowering/values.py`) in a
    population of `channels` channels. low, high: the ends that the activation gives it, infinite where it gives none. part: of these
    values, that its spikes carry."""

    layer: str
    tensor: str
    index: np.ndarray
    channels: int
    low: float
    high: float
    part: Part = "whole"
    activation: Activation | None = None  # of the parts that are FUNCTIONS

    @property
    def measured(self) -> str:
        """What is measured, in words: the tensor, or a part of its values."""
        return measured(self.tensor, self.part, self.activation)


class Ranges:
    """Ranges of layers in one mode. calibrated: by what was `measured`; `unbounded` collects what it lacks of layers, for which a range of
    width 1 stands in, `unseen` what it lacks of input populations, for which [0, 1] does. fitted: whether upper ends that activations have
    are measured too, because values may stay far below them. extremes: smallest and largest value, by tensor, of the factors of products;
    `factors` collects these tensors. measures: whether there is data; then `loose` tensors, of which bounds say little, are measured too.
    """

    def __init__(
        self,
        mode: str,
        calibrated: Mapping[str, Range],
        fitted: bool = False,
        extremes: Mapping[str, Ends] = MappingProxyType({}),
        measures: bool = False,
    ):
        self.mode, self.calibrated, self.fitted, self.extremes, self.measures = mode, calibrated, fitted, extremes, measures
        self.loose: set[str] = set()
        self._shown: dict[str, np.ndarray] = {}  # by what is measured, how the first population that needs it shows the tensor
        self.factors: tuple[str, ...] = ()
        self.unbounded: dict[str, Unbounded] = {}
        self.unseen: dict[str, Unbounded] = {}

    def of_input(self, tensor: str, index: np.ndarray, channels: int) -> Range:
        """Of a population that encodes the ONNX tensor `tensor`, seen through `index`, whose range data shows."""
        if tensor not in self.calibrated:
            self.unseen[tensor] = Unbounded(tensor, tensor, index, channels, -math.inf, math.inf)
        return self.calibrated.get(tensor, (np.zeros(channels, np.float32), np.ones(channels, np.float32)))

    def span(self, potential: Potential, tensor: str) -> Ends | None:
        """Between which values `potential`, the ONNX tensor `tensor`, lies: as far as is known, else as data shows, and a little farther. None where
        data has yet to show it: then it is asked to."""
        known = float(potential.bounds[0].min()), float(potential.bounds[1].max())
        if np.isfinite(known).all():
            return known
        if tensor in self.extremes:
            lowest, highest = self.extremes[tensor]
            beyond = FARTHER * (highest - lowest)
            return max(lowest - beyond, known[0]), min(highest + beyond, known[1])
        self.factors = (*self.factors, tensor)
        return None

    def of_analog(self, layer: str, tensor: str, index: np.ndarray, channels: int, ends: Ends) -> Range:
        """Of the population `layer`, which encodes what an analog part gives: measured where there is data. ends: between which the values lie."""
        lo, hi = (np.full(channels, end, np.float32) for end in ends)
        if self.measures or not np.isfinite(ends).all():
            if tensor not in self.calibrated:
                self.unbounded[tensor] = Unbounded(layer, tensor, index, channels, -math.inf, math.inf)
            lowest, highest = self.calibrated.get(tensor, (np.zeros(channels), np.ones(channels)))
            lo, hi = np.clip(lowest, lo, hi), np.clip(highest, lo, hi)
        return self._wide_enough(lo, hi, np.asarray(ends, np.float32))

    def of(self, potential: Potential, tensor: str, low: float, high: float, part: Part = "whole") -> Range:
        """Of neurons for `potential` behind an activation that clamps to [low, high]. tensor: the ONNX tensor with their values, or
        with values of which they carry a part."""
        channels = potential.shape[-1]
        lowest, highest = (np.broadcast_to(end.reshape(-1, end.shape[-1]), (end.size // end.shape[-1], channels)) for end in potential.bounds)
        lo, hi = np.clip(lowest.min(0), low, high), np.clip(highest.max(0), low, high)
        if math.isfinite(low) and math.isfinite(high):
            end = UNIT[1] if self.mode != "exact" and low < UNIT[1] < high else high  # the paper's neurons end at 1
            lo, hi = np.full(channels, low), np.full(channels, end)
            if self.fitted and self.mode == "exact":
                key = self._wanted(potential, tensor, low, math.inf, part)
                hi = np.clip(self.calibrated.get(key, (lo, hi))[1], None, end)
        elif self.mode != "exact":
            lo, hi = np.where(np.isfinite(lo), lo, UNIT[0] if high > UNIT[0] else high - 1), np.where(np.isfinite(hi), hi, UNIT[1])
        elif not (np.isfinite(lo).all() and np.isfinite(hi).all()) or self._is_loose(potential, tensor, part):
            key = self._wanted(potential, tensor, low, high, part)
            down = 1 if part == "negative" else 0
            found = self.calibrated.get(key, tuple(np.full(channels, end - down) for end in UNIT))
            lo, hi = np.clip(found[0], lo, hi), np.clip(found[1], lo, hi)
        lo, hi = np.asarray(lo, np.float32), np.asarray(hi, np.float32)
        narrowest = NARROWEST * max(np.abs(lo).max(), np.abs(hi).max(), np.float32(1e-30))
        hi = np.maximum(hi, np.minimum(lo + narrowest, np.float32(high)))  # not beyond where the activation clamps
        return np.where(hi - lo < narrowest / 2, hi - narrowest, lo), hi

    def of_function(self, potential: Potential, tensor: str, activation: Activation, part: Part) -> Range:
        """Of neurons for f(potential), f the `activation`. tensor: the ONNX tensor with these values (part `whole`), or with the potential, or
        minus it."""
        bounds = np.asarray(activation.bounds, np.float32)
        known = [
            np.broadcast_to(activation.value(end.reshape(-1, end.shape[-1])), (end.size // end.shape[-1], potential.shape[-1]))
            for end in potential.bounds
        ]
        lo, hi = np.maximum(known[0].min(0), bounds[0]), np.minimum(known[1].max(0), bounds[1])
        if self.fitted or not (np.isfinite(lo).all() and np.isfinite(hi).all()) or self._is_loose(potential, tensor, part, activation):
            ends = (-math.inf, math.inf) if self.fitted else (float(bounds[0]), float(bounds[1]))
            if part != "whole" and activation.bounds[0] == 0:
                ends = 0.0, ends[1]  # half of a valley is silent at its lower end
            key = self._wanted(potential, tensor, *ends, part, activation if part != "whole" else None)
            low = max(bounds[0], min(0.0, bounds[1] - 1))
            lowest, highest = self.calibrated.get(key, (np.full(len(lo), low), np.full(len(lo), min(low + 1, bounds[1]))))
            lo, hi = np.maximum(lowest, lo), np.minimum(highest, hi)
        return self._wide_enough(lo, hi, bounds)

    @staticmethod
    def _wide_enough(lo: np.ndarray, hi: np.ndarray, bounds: np.ndarray) -> Range:
        """The same with the narrowest width that float32 has digits for, within bounds."""
        lo, hi = np.clip(lo, *bounds).astype(np.float32), np.clip(hi, *bounds).astype(np.float32)
        narrowest = NARROWEST * max(np.abs(lo).max(), np.abs(hi).max(), np.float32(1e-30))
        hi = np.minimum(np.maximum(hi, lo + narrowest), bounds[1])
        return np.where(hi - lo < narrowest / 2, hi - narrowest, lo), hi

    def _is_loose(self, potential: Potential, tensor: str, part: Part, activation: Activation | None = None) -> bool:
        """Whether the range that bounds give is to be measured all the same: not of a second population that shows the tensor otherwise."""
        if not self.measures or tensor not in self.loose:
            return False
        key = measured(tensor, part, activation if part != "whole" else None)
        return same_index(self._shown.setdefault(key, potential.index), potential.index)

    def _wanted(self, potential: Potential, tensor: str, low: float, high: float, part: Part, activation: Activation | None = None) -> str:
        """What is to be measured for a range whose ends are not all known, in words."""
        key = measured(tensor, part, activation)
        self._shown.setdefault(key, potential.index)
        if key not in self.calibrated:
            self.unbounded[key] = Unbounded(potential.name, tensor, potential.index, potential.shape[-1], low, high, part, activation)
        return key


def measured(tensor: str, part: Part, activation: Activation | None = None) -> str:
    """What is measured to find the range of neurons that carry `part` of the values of `tensor`, in words."""
    if activation is not None and part in FUNCTIONS:
        return f"{label(activation)} of {'-' if part == 'mirrored' else ''}{tensor}"
    return tensor if part == "whole" else f"{part} part of {tensor}"
