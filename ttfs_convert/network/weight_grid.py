"""Weights of few bits: every trained weight is an integer times one scale of its output, as chips hold it.

w[..., o] = q[..., o] s[o] in float32,  q an integer from -(2^(bits - 1) - 1) to 2^(bits - 1) - 1
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from .choices import FEWEST_BITS, MOST_BITS
from .populations import Layer, trained_steps
from .records import FloatArray, Record


class LayerGrid(Record):
    """Of one layer."""

    layer: str
    scales: tuple[FloatArray, ...]  # s, (outputs,) float32, of each of its synapses with trained weights (`populations.trained_steps`)


class WeightGrid(Record):
    """Of all layers with trained weights. Biases, ranges' factors on identities (`Scale`) and pools are not on it."""

    bits: int = Field(ge=FEWEST_BITS, le=MOST_BITS)
    layers: tuple[LayerGrid, ...]

    @property
    def largest(self) -> int:
        """Of the integers."""
        return largest_integer(self.bits)


def largest_integer(bits: int) -> int:
    """2^(bits - 1) - 1: the grid is symmetric."""
    return 2 ** (bits - 1) - 1


def integers(weights: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """q, int8 of the shape of `weights`, which are on the grid. scales: (outputs,)."""
    return np.rint(weights.astype(np.float64) / scales).astype(np.int8)


def off_grid(grid: WeightGrid, layers: Sequence[Layer]) -> str | None:
    """What of `layers` is not on `grid`."""
    weighted = [layer for layer in layers if trained_steps(layer)]
    if [each.layer for each in grid.layers] != [layer.name for layer in weighted]:
        return "a weight grid of other layers"
    for layer, own in zip(weighted, grid.layers):
        steps = trained_steps(layer)
        if [scales.shape for scales in own.scales] != [step.weights.shape[-1:] for step in steps] or any((s <= 0).any() for s in own.scales):
            return f"layer {layer.name!r}: scales of other shapes than its outputs, or not positive"
        for step, scales in zip(steps, own.scales):
            found = np.rint(step.weights.astype(np.float64) / scales)
            if np.abs(found).max(initial=0) > grid.largest or not np.array_equal(found.astype(np.float32) * scales, step.weights):
                return f"layer {layer.name!r}: weights that are not integers of {grid.bits} bits times their scales"
    return None
