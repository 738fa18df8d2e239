"""Values of the original's tensors in the order of the neurons that carry them."""

from __future__ import annotations

import math

import numpy as np

from ..errors import ModelError
from .activations.activation_kind import ActivationKind
from .populations import FUNCTIONS, Part, Population, Readout


def part_of(values: np.ndarray, part: Part, activation: ActivationKind | None = None) -> np.ndarray:
    """What spikes that carry this part say of `values`, of the same shape. activation: of those of FUNCTIONS."""
    if part == "whole":
        return values
    if activation is not None and part in FUNCTIONS:
        return activation.value((-values if part == "mirrored" else values).astype(np.float64)).astype(np.float32)
    return np.minimum(values, 0) if part == "negative" else np.maximum(values if part == "positive" else -values, 0)


def in_neuron_order(values: np.ndarray, layer: Population, images: int) -> np.ndarray:
    """(images, *shape of the layer): a tensor's values, image by image, as the neurons that carry them are ordered."""
    values = in_tensor_order(values, layer, images)
    if layer.channels_first:
        return np.moveaxis(values.reshape(images, layer.shape[-1], *layer.shape[:-1]), 1, -1)
    return values.reshape(images, *layer.shape)


def in_tensor_order(values: np.ndarray, layer: Population, images: int) -> np.ndarray:
    """(images, neurons): a tensor's values, image by image; the neurons as the layer orders them, or channels first if it says so. Raises ModelError
    for a tensor that has not one number for each of them."""
    _check_size(values, layer, images, math.prod(layer.shape))
    values = values.reshape(images, -1)
    return values if layer.tensor_index is None else values[:, np.argsort(layer.tensor_index)]


def as_read(potentials: np.ndarray, readout: Readout) -> np.ndarray:
    """(images, *shape of its tensor): potentials (images, ...) of a readout's neurons, in the order of the tensor that they are."""
    return potentials.reshape(len(potentials), -1)[:, readout.index].reshape(len(potentials), *readout.onnx_shape)


def of_readout(values: np.ndarray, readout: Readout, images: int) -> np.ndarray:
    """(images, *shape of its tensor): what the original has for `readout`. Raises ModelError for a tensor of another size."""
    _check_size(values, readout, images, math.prod(readout.onnx_shape))
    return values.reshape(images, *readout.onnx_shape)


def _check_size(values: np.ndarray, layer: Population, images: int, size: int) -> None:
    if values.size != images * size or values.dtype.kind not in "fiub":
        raise ModelError(
            f"layer {layer.name!r}",
            f"its tensor {layer.tensor!r} has the shape {values.shape} and the type {values.dtype} for {images} samples",
            f"{size} numbers a sample, one for each neuron",
            "convert the model again",
        )
