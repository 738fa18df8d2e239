"""A network file taken apart and put together again, so that only what is wrong with it is changed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

Manifest = dict
Arrays = dict[str, np.ndarray]
Change = Callable[[Manifest, Arrays], None]


def read(path: str | Path) -> tuple[Manifest, Arrays]:
    """The manifest and all arrays by their members' names."""
    with zipfile.ZipFile(path) as archive:
        members = {name: np.load(io.BytesIO(archive.read(name))) for name in archive.namelist()}
    return json.loads(members.pop("manifest.npy").tobytes()), members


def write(path: str | Path, manifest: Manifest, arrays: Arrays) -> None:
    """The file, its declarations of arrays being those of `arrays`."""
    _declare(manifest, arrays)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in {"manifest.npy": np.frombuffer(json.dumps(manifest).encode(), np.uint8), **arrays}.items():
            with archive.open(name, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def _declare(value: object, arrays: Mapping[str, np.ndarray]) -> None:
    if isinstance(value, dict):
        if set(value) == {"array", "dtype", "shape"} and value["array"] in arrays:
            array = arrays[value["array"]]
            value["dtype"], value["shape"] = array.dtype.str, list(array.shape)
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        _declare(part, arrays)


def changed(path: str | Path, out: str | Path, change: Change) -> None:
    """Write to `out` what `change` makes of the file at `path`."""
    manifest, arrays = read(path)
    change(manifest, arrays)
    write(out, manifest, arrays)


def layers(manifest: Manifest, *kinds: str) -> Iterator[dict]:
    """Populations of these kinds, in order."""
    return (layer for layer in manifest["layers"] if layer["kind"] in kinds)


def steps(manifest: Manifest, kind: str) -> Iterator[dict]:
    """Steps of this kind in all paths, in order."""
    return (
        step for layer in layers(manifest, "spiking", "readout") for each in layer["connections"] for step in each["path"] if step["kind"] == kind
    )


def windows(manifest: Manifest, where: str) -> list[dict]:
    """What slides: "conv", "average_pool" or "max_pool"."""
    return list(layers(manifest, where) if where == "max_pool" else steps(manifest, where))
