"""Connections, wiring and readouts of sizes that do not belong together: kernels would read and write outside their arrays."""

from __future__ import annotations

import math

import numpy as np

from .network_file import Arrays, Change, Manifest, layers


def _joined(shape: tuple[int, int, int]) -> Change:
    """One of several connections into a layer gives as many values in another shape."""

    def change(manifest: Manifest, arrays: Arrays) -> None:
        layer = next(layer for layer in layers(manifest, "spiking") if len(layer["connections"]) > 1)
        step = next(each["path"][-1] for each in layer["connections"] if each["path"])
        size, channels = math.prod(layer["shape"]), math.prod(step["in_shape"]) // (shape[0] * shape[1])
        assert math.prod(shape) == size
        step.update(
            kind="conv",
            out_shape=list(shape),
            in_shape=[*shape[:2], channels],
            kernel=[1, 1],
            strides=[1, 1],
            dilations=[1, 1],
            pads=[0, 0],
            pads_end=[0, 0],
            groups=1,
        )
        arrays[step["weights"]["array"]] = np.full((1, 1, channels, shape[2]), 0.01, "<f4")

    return change  # fmt: skip


def _field(kind: str, field: str, value: object) -> Change:
    def change(manifest: Manifest, arrays: Arrays) -> None:
        next(layers(manifest, kind))[field] = value

    return change


def _index(kind: str, value: int) -> Change:
    def change(manifest: Manifest, arrays: Arrays) -> None:
        name = next(layers(manifest, kind))["index"]["array"]
        arrays[name] = arrays[name].copy()
        arrays[name].flat[-1] = value

    return change


def _array(kind: str, field: str, value: float) -> Change:
    def change(manifest: Manifest, arrays: Arrays) -> None:
        name = next(layers(manifest, kind))[field]["array"]
        arrays[name] = np.full_like(arrays[name], value)

    return change


VARIANTS: dict[str, Change] = {
    **{f"joined as {shape}": _joined(shape) for shape in ((8, 4, 16), (1, 1, 512), (64, 1, 8), (4, 16, 8), (2, 2, 128))},
    **{f"readout index of {value}": _index("readout", value) for value in (4, -1, 2**31, 2**62, -(2**62))},
    **{
        f"{kind} in shape {shape}": _field(kind, "shape", list(shape))
        for kind in ("spiking", "max_pool", "readout", "input")
        for shape in ((), (0, 8), (2**31, 2**31), (1,) * 9, (-1, 8), (3, 3, 3))
    },
    **{f"{kind} in window {window}": _field(kind, "window", window) for kind in ("spiking", "readout") for window in (-1, 0, 10**6, 2**70)},
    **{f"range {field} of {value}": _array("spiking", field, value) for field, value in (("lo", 1.0), ("hi", -1.0), ("hi", np.nan), ("lo", -np.inf))},
    **{f"weight sums of {value}": _array("spiking", "weight_sums", value) for value in (np.nan, np.inf)},
    "a range of an input that is empty": lambda manifest, arrays: manifest["input_ranges"].update(x=[1.0, 1.0]),
    "NaN in the manifest": lambda manifest, arrays: manifest["input_ranges"].update(x=[0.0, np.nan]),
    "negative multiply-accumulates": lambda manifest, arrays: manifest.update(ann_macs=-1),
    "steps of 0": lambda manifest, arrays: manifest.update(steps=0),
    "steps of 2^40": lambda manifest, arrays: manifest.update(steps=2**40),
    "no layers": lambda manifest, arrays: manifest.update(layers=[]),
}
