"""What layers have to agree on, so that no file makes a kernel read outside its arrays."""

from __future__ import annotations

import math

import numpy as np

from .connection_checks import misfit_of_connections
from .populations import Analog, Coded, Concat, Input, Layer, MaxPool, Readout, Reorder, Spiking, has_neurons, sources
from .records import Shape


def misfit(layer: Layer, earlier: dict[str, Layer]) -> str | None:
    """What of `layer` contradicts itself or the layers before it."""
    if not (layer.shape or isinstance(layer, Analog)):
        return "no axes"
    size = math.prod(layer.shape)
    window = max((earlier[source].window for source in sources(layer)), default=_first_window(layer)) + has_neurons(layer)
    if layer.tensor_index is not None and not (
        layer.tensor_index.shape == (size,) and np.array_equal(np.sort(layer.tensor_index), np.arange(size, dtype=np.int64))
    ):
        return "a tensor_index that leaves out neurons"
    if layer.window != window:
        return f"window {layer.window} instead of {window}"
    if isinstance(layer, Coded) and not (
        layer.lo.shape == layer.hi.shape == layer.shape[-1:]
        and (layer.lo <= layer.hi).all()
        and (isinstance(layer, MaxPool) or (layer.lo < layer.hi).all())
    ):
        return "a range that is empty or of another shape"
    if isinstance(layer, Spiking) and layer.activation is not None:
        low, high = layer.activation.bounds
        if layer.slope == "fan_in":
            return "an activation other than a clamp with slope fan_in"
        if (layer.lo < np.float32(low)).any() or (layer.hi > np.float32(high)).any():
            return f"a range beyond {low:g} to {high:g}, where its activation {layer.activation.kind} has no values"
    if isinstance(layer, Analog):
        return "neurons in an analog part" if layer.shape or layer.tensor is not None else None
    if isinstance(layer, Input) and layer.source is not None and layer.coding == "direct":
        return "analog values that would not be encoded"
    if isinstance(layer, Input):
        if math.prod(layer.onnx_shape) != size:
            return f"{size} encoders for an input of shape {layer.onnx_shape}"
        channels = layer.onnx_shape[:1] if layer.channels_first else layer.onnx_shape[-1:]
        return None if layer.lo.size == 1 or channels == layer.shape[-1:] else f"{layer.lo.size} ranges for the channels of {layer.onnx_shape}"
    if not has_neurons(layer) and any(isinstance(before := earlier[source], Input) and before.coding == "direct" for source in sources(layer)):
        return "wiring behind a direct input, which sends no spikes"
    if isinstance(layer, MaxPool):
        fits = math.prod(layer.in_shape) == math.prod(earlier[layer.source].shape) and layer.in_shape[-1] == layer.out_shape[-1]
        return None if fits and layer.out_shape == layer.shape else "a pool that does not fit its source"
    if isinstance(layer, Reorder):
        return None if layer.index.shape == (size,) and _within(layer.index, earlier[layer.source].shape) else "a broken index"
    if isinstance(layer, Concat):
        rows = size // layer.shape[-1]
        sizes = [math.prod(earlier[source].shape) for source in layer.joined]
        return None if sum(sizes) == size and not any(part % rows for part in sizes) else "parts that do not fit"
    per_channel_or_whole = (layer.shape[-1:], layer.shape)
    if layer.weight_sums.shape not in per_channel_or_whole or (layer.bias is not None and layer.bias.shape not in per_channel_or_whole):
        return "weight sums or bias of another shape"
    if isinstance(layer, Readout) and not (layer.index.shape == (math.prod(layer.onnx_shape),) and _within(layer.index, layer.shape)):
        return "a broken index"
    return misfit_of_connections(layer, earlier)


def _within(index: np.ndarray, shape: Shape) -> bool:
    return bool(index.size == 0 or (index.min() >= 0 and index.max() < math.prod(shape)))


def _first_window(layer: Layer) -> int:
    return -1 if isinstance(layer, Input) and layer.coding == "direct" else 0
