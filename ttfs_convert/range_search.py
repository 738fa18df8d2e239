"""Ranges of unbounded activations: the original network runs on calibration data under ONNX Runtime, and each channel is watched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from .calibration import RangeRequest, Rule, ranges
from .datasets import Dataset, fit_to_input
from .ir import Input
from .lowering.ranges import Range, Unbounded
from .lowering.values import in_population_order
from .onnx_file import Simplified
from .reference import Reference

MEMORY = 64 << 20  # bytes of activations at a time


def measured_ranges(layers: list[Unbounded], model: Simplified, data: Dataset, rule: Rule, entry: Input,
                    bounds: tuple[float, float] | None) -> Mapping[str, Range]:
    """lo and hi, (channels,) float32, by tensor, of `layers` on `data`. bounds: that the inputs have to lie in."""
    reference = Reference(model.graph, [layer.tensor for layer in layers], folder=model.folder)
    fitted = fit_to_input(data, entry.onnx_shape, bounds)
    batch = max(1, MEMORY // (4 * sum(layer.index.size for layer in layers)))

    def run(x: np.ndarray) -> Mapping[str, np.ndarray]:
        values = {**reference(x), entry.onnx_name: x}
        return {layer.tensor: in_population_order(values[layer.tensor], layer.index, layer.channels, len(x)) for layer in layers}

    def batches() -> Iterable[np.ndarray]:
        return (fitted(slice(first, min(first + batch, len(data.x)))) for first in range(0, len(data.x), batch))

    return ranges([RangeRequest(layer.tensor, 2, layer.low, layer.high) for layer in layers], run, batches, rule)
