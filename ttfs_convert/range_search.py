"""Ranges of unbounded activations: the original network runs on calibration data under ONNX Runtime, and each channel is watched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from .calibration import RangeRequest, Rule, ranges
from .datasets import Dataset, fit_to_inputs
from .ir import part_of
from .lowering.ranges import Range, Unbounded
from .lowering.values import in_population_order
from .onnx_file import Simplified
from .reference import Reference

MEMORY = 64 << 20  # bytes of activations at a time


def measured_ranges(layers: list[Unbounded], model: Simplified, data: Dataset, rule: Rule,
                    bounds: tuple[float, float] | None) -> tuple[Mapping[str, Range], tuple[str, ...]]:
    """lo and hi, (channels,) float32, of `layers` on `data`, by what is `measured` of each; and notes on the data. bounds: that the inputs have to lie in."""
    reference = Reference(model.graph, [layer.tensor for layer in layers], folder=model.folder, unbatched=model.unbatched)
    fitted = fit_to_inputs(data, reference.inputs, dict.fromkeys(reference.inputs, bounds))
    batch = max(1, MEMORY // (4 * sum(layer.index.size for layer in layers)))

    def run(x: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        values, images = {**reference(x), **x}, len(next(iter(x.values())))
        return {layer.measured: part_of(in_population_order(values[layer.tensor], layer.index, layer.channels, images), layer.part)
                for layer in layers}

    def batches() -> Iterable[dict[str, np.ndarray]]:
        return (fitted(slice(first, min(first + batch, len(data)))) for first in range(0, len(data), batch))

    found = ranges([RangeRequest(layer.measured, 2, layer.low, layer.high) for layer in layers], run, batches, rule)
    return found, (*data.notes, *fitted.notes)
