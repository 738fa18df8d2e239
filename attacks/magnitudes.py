"""Weights that are no numbers, or so large that sums overflow; sizes that ask for more memory or work than any machine has."""

from __future__ import annotations

import numpy as np

from .network_file import Arrays, Change, Manifest, layers, steps


def _weights(kind: str, value: float) -> Change:
    def change(manifest: Manifest, arrays: Arrays) -> None:
        name = next(steps(manifest, kind))["weights"]["array"]
        arrays[name] = np.full_like(arrays[name], value)

    return change


def _grown(size: int) -> Change:
    """An input of size x size pixels, and neurons that read one each: a small file that asks for much memory."""

    def change(manifest: Manifest, arrays: Arrays) -> None:
        first = next(layers(manifest, "input"))
        channels = first["shape"][-1]
        first.update(shape=[size, size, channels], onnx_shape=[channels, size, size], channels_first=True)
        neurons = next(layers(manifest, "spiking"))
        readout = next(layers(manifest, "readout"))
        for field in ("lo", "hi", "weight_sums"):
            arrays[f"grown.{field}.npy"] = np.full(channels, field != "lo", "<f4")
            neurons[field] = {"array": f"grown.{field}.npy", "dtype": "<f4", "shape": [channels]}
        neurons.update(shape=[size, size, channels], bias=None, connections=[{"source": first["name"], "path": []}], window=1, tensor=None)
        arrays["grown.pool.npy"] = np.full((channels, 4), 0.1, "<f4")
        window = {"strides": [1, 1], "dilations": [1, 1], "pads": [0, 0], "pads_end": [0, 0]}
        pool = {
            "kind": "average_pool",
            "in_shape": [size, size, channels],
            "out_shape": [1, 1, channels],
            "kernel": [size, size],
            "include_pad": False,
        }
        dense = {"kind": "dense", "in_shape": [channels], "out_shape": [4], "weights": {"array": "grown.pool.npy", "dtype": "<f4", "shape": []}}
        readout.update(shape=[4], bias=None, connections=[{"source": neurons["name"], "path": [{**pool, **window}, dense]}], window=2, onnx_shape=[4])
        arrays["grown.sums.npy"], arrays["grown.index.npy"] = np.ones(4, "<f4"), np.arange(4, dtype="<i8")
        readout.update(
            weight_sums={"array": "grown.sums.npy", "dtype": "<f4", "shape": []}, index={"array": "grown.index.npy", "dtype": "<i8", "shape": []}
        )
        manifest.update(layers=[first, neurons, readout], head=None, onnx=None, tail=None, derived=None)
        used: set[str] = set()
        _used(manifest, used)
        for name in set(arrays) - used:
            del arrays[name]

    return change


def _used(value: object, found: set[str]) -> None:
    if isinstance(value, dict):
        if "array" in value:
            found.add(value["array"])
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        _used(part, found)


VARIANTS: dict[str, Change] = {
    **{f"{kind} weights of {value}": _weights(kind, value) for kind in ("conv", "dense") for value in (np.nan, np.inf, -np.inf, 3e38, -1e37)},
    **{f"{size} x {size} neurons": _grown(size) for size in (2**16, 2**20, 2**31)},
}
GROWN = _grown  # sizes below the bound load, and a run of them is refused
