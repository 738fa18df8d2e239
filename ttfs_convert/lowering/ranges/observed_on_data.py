"""Ranges of unbounded activations: the original network runs on calibration data under ONNX Runtime, and each channel is watched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import onnx

from ...data import Dataset, fit_to_inputs
from ...data.model_inputs import NARROW
from ...errors import ModelError
from ...network.populations import Input
from ...network.tensor_order import part_of
from ...onnx_model.dataflow import fed_inputs
from ...onnx_model.input_types import input_type
from ...onnx_model.macs import sizes
from ...onnx_model.reference import Reference
from ...onnx_model.simplify import Simplified
from ...progress import counted
from ..values import channels_first, flat_index, in_population_order
from .calibration import RangeRequest, Rule, ranges
from .of_inputs import InputRanges, measured_ends
from .of_layers import Ends, Range, Unbounded

MEMORY = 16 << 20  # bytes of activations at a time
BEYOND = 1e-5  # of a layer's largest value: what rounding may put outside of its ends
FEW = 0.1  # share of an input's features that use little of its range by nature, such as an image's border


def measured_ranges(
    layers: Sequence[Unbounded],
    inputs: Sequence[Unbounded],
    model: Simplified,
    data: Dataset,
    rule: Rule,
    known: InputRanges,
    steps: Mapping[str, int] = MappingProxyType({}),
) -> tuple[Mapping[str, Range], tuple[str, ...]]:
    """lo and hi, (channels,) float32, by what is `measured` of each, and notes on the data.

    layers: whose ends `rule` finds. inputs: whose extremes on `data` `rule.margin` moves outward. known: ranges of the model's inputs. steps: N
    by what is `measured`, where it is not the rule's.
    """
    observed = _Observed(layers, model, data, known)
    by_name = {layer.measured: layer for layer in layers}
    requests = [RangeRequest(layer.measured, 2, layer.low, layer.high, steps.get(layer.measured)) for layer in layers]
    found = ranges(requests, observed.values, observed.batches, rule, lambda name, *extremes: _check_ends(by_name[name], *extremes))
    ends = {name: measured_ends(*extremes, rule.margin) for name, extremes in _extremes(inputs, model, data, known).items()}
    return {**found, **ends}, (*data.notes, *observed.fitted.notes)


def _check_ends(layer: Unbounded, lowest: float, highest: float) -> None:
    """Raise ModelError for values that the layer's neurons cannot have, such as negative ones of the reciprocal of positive numbers."""
    slack = BEYOND * max(abs(lowest), abs(highest))
    if lowest < layer.low - slack or highest > layer.high + slack:
        raise ModelError(
            f"activation {layer.layer!r}",
            f"values from {lowest:g} to {highest:g} on the data",
            f"values from {layer.low:g} to {layer.high:g}, as its function has on one side of a pole",
            "clamp what it reads to numbers of one sign",
        )


def measured_extremes(tensors: Sequence[str], model: Simplified, data: Dataset, known: InputRanges) -> dict[str, Ends]:
    """Smallest and largest value of each tensor of the simplified model on `data`. known: ranges of the model's inputs."""
    shapes = sizes(onnx.shape_inference.infer_shapes(model.graph))
    watched = [Unbounded(name, name, flat_index(shapes[name]), 1, -np.inf, np.inf) for name in tensors]
    return {name: (float(ends[0].min()), float(ends[1].max())) for name, ends in _extremes(watched, model, data, known).items()}


def narrow_channels(inputs: Sequence[Input], model: Simplified, data: Dataset, known: InputRanges) -> tuple[str, ...]:
    """A note for every input population of which several features or channels use little of the one range that all have."""
    spread = [
        Unbounded(
            layer.name,
            layer.onnx_name,
            channels_first(layer.shape) if layer.channels_first else flat_index((1, *layer.shape)),
            layer.shape[-1],
            -np.inf,
            np.inf,
        )
        for layer in inputs
        if layer.coding == "spikes" and not layer.measured
    ]
    notes = []
    for name, (lowest, highest) in _extremes(spread, model, data, known).items():
        layer = next(layer for layer in inputs if layer.onnx_name == name)
        shares = (highest - lowest) / (layer.hi - layer.lo)
        varying = shares[shares > 0]
        narrow = varying[varying < NARROW]
        if len(narrow) and len(narrow) >= FEW * len(varying):
            notes.append(
                f"{len(narrow)} of {len(shares)} columns or channels of input {name!r} use less than {100 * NARROW:g} % of its range "
                f"of {layer.lo.min():g} to {layer.hi.max():g} (one {100 * narrow.min():.2g} %): few time steps are left for them; "
                "--input-range data gives each its own range, --direct-input needs none"
            )
    return tuple(notes)


def _extremes(inputs: Sequence[Unbounded], model: Simplified, data: Dataset, known: InputRanges) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Smallest and largest value of each channel, (channels,) float64, by tensor."""
    if not inputs:
        return {}
    observed = _Observed(inputs, model, data, known)
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for batch in observed.batches():
        for name, values in observed.values(batch).items():
            ends = values.min((0, 1)).astype(np.float64), values.max((0, 1)).astype(np.float64)
            found[name] = (np.minimum(found[name][0], ends[0]), np.maximum(found[name][1], ends[1])) if name in found else ends
    return found


class _Observed:
    """Tensors of the simplified model on data, each as (n, positions, channels) in the order of its population."""

    def __init__(self, watched: Sequence[Unbounded], model: Simplified, data: Dataset, known: InputRanges):
        self._watched, self._samples = watched, len(data)
        inputs = {
            value.name: (tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim[value.name not in model.unbatched :]), input_type(value))
            for value in fed_inputs(model.graph.graph)
        }
        computed = [each.tensor for each in watched if each.tensor not in inputs]
        self._reference = Reference(model.graph, computed, folder=model.folder, unbatched=model.unbatched) if computed else None
        self.fitted = fit_to_inputs(data, inputs, known.bounds, known.known)
        self._batch = max(1, MEMORY // (4 * max(1, sum(each.index.size for each in watched))))

    def values(self, x: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """By what is `measured` of each."""
        values, images = {**(self._reference(x) if self._reference else {}), **x}, len(next(iter(x.values())))
        return {
            each.measured: part_of(in_population_order(values[each.tensor], each.index, each.channels, images), each.part, each.activation)
            for each in self._watched
        }

    def batches(self) -> Iterable[dict[str, np.ndarray]]:
        """The model's inputs, so many samples at a time that their activations fit the memory."""
        starts = range(0, self._samples, self._batch)
        batches = (self.fitted(slice(first, min(first + self._batch, self._samples))) for first in starts)
        return counted("calibrating, batches", batches, len(starts))
