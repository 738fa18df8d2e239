"""What a network's input populations encode: arrays in the model's own layout."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import DataError
from ..network.connection_checks import LARGEST_CURRENT
from ..network.network import Network
from ..network.populations import Input


def entries_of(network: Network, x: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays by ONNX tensor. x: as for `simulate`. Raises DataError for one that is missing, of another shape, or out of its range."""
    entries = x if isinstance(x, Mapping) else {network.inputs[0].onnx_name: x}
    images = {len(checked(layer, entries.get(layer.onnx_name))) for layer in network.inputs}
    if len(images) > 1:
        raise DataError("x", f"inputs of {sorted(images)} images", "as many of each")
    return dict(entries)


def given(network: Network, entries: Mapping[str, np.ndarray]) -> int:
    """How many samples `entries`, by ONNX tensor, are: the last check before kernels read them. Raises DataError where an array is missing, of
    another shape or number of samples than the input populations encode, or of currents that potentials cannot hold."""
    first = entries.get(network.inputs[0].onnx_name)
    samples = 0 if first is None or not first.ndim else len(first)
    for layer in network.inputs:
        x = entries.get(layer.onnx_name)
        if x is None or not samples or x.shape != (samples, *layer.onnx_shape):
            found = "nothing" if x is None else f"shape {x.shape}"
            raise DataError(f"x for {layer.onnx_name!r}", found, f"({samples or 'n'}, {', '.join(map(str, layer.onnx_shape))})")
        if layer.coding == "direct" and not max(x.max(), -x.min()) <= LARGEST_CURRENT:
            raise DataError(
                f"x for {layer.onnx_name!r}", f"values from {x.min():g} to {x.max():g}", f"at most {LARGEST_CURRENT:g}", "scale the inputs"
            )
    return samples


def checked(layer: Input, x: np.ndarray | None) -> np.ndarray:
    """`x`, if it is what `layer` can encode, a range from data being no limit. Raises DataError."""
    where, expected = f"x for {layer.onnx_name!r}", layer.onnx_shape
    if x is None or x.ndim != len(expected) + 1 or x.shape[1:] != expected or not len(x):
        raise DataError(where, "nothing" if x is None else f"shape {x.shape}", f"(n, {', '.join(map(str, expected))}), n at least 1")
    lo, hi = layer.bounds or (-np.inf, np.inf)
    inside = np.isfinite(x).all() and x.min() >= lo and x.max() <= hi
    if inside and layer.bounds and (np.ptp(layer.lo) or np.ptp(layer.hi)):
        values = channels_last(layer, x)
        inside = (values >= layer.lo).all() and (values <= layer.hi).all()
    if not inside:
        raise DataError(
            where,
            f"values from {x.min():g} to {x.max():g}",
            f"{lo:g} to {hi:g}, or the range of each channel",
            "scale the inputs, or convert with --input-range",
        )
    return x


def within_range(layer: Input, x: np.ndarray) -> np.ndarray:
    """`x`, with the values that a range from data does not reach cut off."""
    if not layer.measured:
        return x
    along = (-1, *(1,) * (x.ndim - 2)) if layer.channels_first else (-1,)
    return np.clip(x, layer.lo.reshape(along), layer.hi.reshape(along), dtype=np.float32)


def channels_last(layer: Input, x: np.ndarray) -> np.ndarray:
    """(n, *shape) float32."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1) if layer.channels_first else x, np.float32).reshape(len(x), *layer.shape)


def encoded(layer: Input, x: np.ndarray) -> np.ndarray:
    """(n, *shape) float32 in [0, 1]: a = (x - lo) / (hi - lo)."""
    return (channels_last(layer, within_range(layer, x)) - layer.lo) / (layer.hi - layer.lo)
