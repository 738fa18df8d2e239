"""Which values the spikes of a layer stand for: x = lo + (hi - lo) a, one lo and hi per channel.

1. An activation with two ends, such as ReLU1, ReLU6 or any Clip      -> its ends; but 1 in place of a larger one, unless mode is exact.
   With `fitted` ends, mode exact measures the upper one like rule 3.
2. Else what is known of the values, such as that an average of activations stays within their range -> that, cut by the activation.
3. Else, mode exact: the ends that calibration found; the other modes: 0 and 1, where values beyond are cut off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .values import Potential

UNIT = (0.0, 1.0)
NARROWEST = np.float32(1e-3)  # width of a channel's range, as a share of the layer's largest value: what float32 has no digits for is no signal
Range = tuple[np.ndarray, np.ndarray]  # lo and hi, (channels,) float32


@dataclass(frozen=True)
class Unbounded:
    """A layer whose range has to be measured. tensor: the ONNX tensor with its values, seen through `index` (see `values.py`) in a
    population of `channels` channels. low, high: the ends that the activation gives it, infinite where it gives none."""

    layer: str
    tensor: str
    index: np.ndarray
    channels: int
    low: float
    high: float


class Ranges:
    """Ranges of layers in one mode. calibrated: by tensor; `unbounded` collects what it lacks, for which [0, 1] stands in. fitted: whether
    upper ends that activations have are measured too, because values may stay far below them."""

    def __init__(self, mode: str, calibrated: Mapping[str, Range], fitted: bool = False):
        self.mode, self.calibrated, self.fitted = mode, calibrated, fitted
        self.unbounded: dict[str, Unbounded] = {}

    def of(self, potential: Potential, tensor: str, low: float, high: float) -> Range:
        """Of neurons for `potential` behind an activation that clamps to [low, high]. tensor: the ONNX tensor with their values."""
        channels = potential.shape[-1]
        lowest, highest = (np.broadcast_to(end.reshape(-1, end.shape[-1]), (end.size // end.shape[-1], channels))
                           for end in potential.bounds)
        lo, hi = np.clip(lowest.min(0), low, high), np.clip(highest.max(0), low, high)
        if math.isfinite(low) and math.isfinite(high):
            end = UNIT[1] if self.mode != "exact" and low < UNIT[1] < high else high  # the paper's neurons end at 1
            lo, hi = np.full(channels, low), np.full(channels, end)
            if self.fitted and self.mode == "exact":
                self._want(potential, tensor, low, math.inf)
                hi = np.clip(self.calibrated.get(tensor, (lo, hi))[1], None, end)
        elif self.mode != "exact":
            lo, hi = np.where(np.isfinite(lo), lo, UNIT[0]), np.where(np.isfinite(hi), hi, UNIT[1])
        elif not (np.isfinite(lo).all() and np.isfinite(hi).all()):
            self._want(potential, tensor, low, high)
            lo, hi = self.calibrated.get(tensor, (np.full(channels, UNIT[0]), np.full(channels, UNIT[1])))
        lo, hi = np.asarray(lo, np.float32), np.asarray(hi, np.float32)
        narrowest = NARROWEST * max(np.abs(lo).max(), np.abs(hi).max(), np.float32(1e-30))
        hi = np.maximum(hi, np.minimum(lo + narrowest, np.float32(high)))  # not beyond where the activation clamps
        return np.where(hi - lo < narrowest / 2, hi - narrowest, lo), hi

    def _want(self, potential: Potential, tensor: str, low: float, high: float) -> None:
        if tensor not in self.calibrated:
            self.unbounded[tensor] = Unbounded(potential.name, tensor, potential.index, potential.shape[-1], low, high)
