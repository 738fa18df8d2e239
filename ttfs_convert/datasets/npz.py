"""Reads samples and labels from an .npz file."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..errors import DataError

REMEDY = "write it with numpy.savez(path, x=samples, y=labels)"


def read(path: Path) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Samples and labels: x, or, for a model with several inputs, an array per input, (n, ...) each, as uint8 or, from any float type,
    float32; y (n,) int64 or None when the file has no y. Raises DataError."""
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path}", "not an .npz file", "a zip archive of arrays", REMEDY)
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = ["x"] if "x" in archive.files else [name for name in archive.files if name != "y"]
            if not names:
                raise DataError(f"{path}", f"arrays {', '.join(archive.files) or 'none'}", "an array x (and optionally y)", REMEDY)
            arrays, y = {name: _array(archive, path, name) for name in names}, _array(archive, path, "y") if "y" in archive.files else None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as e:
        raise DataError(f"{path}", f"a file that cannot be read ({e})", "a zip archive of arrays", REMEDY) from e
    samples = {name: _samples(array, path, name) for name, array in arrays.items()}
    sizes = {name: len(array) for name, array in samples.items()}
    if len(set(sizes.values())) > 1:
        raise DataError(f"{path}", f"samples per input {sizes}", "as many of each")
    return samples, None if y is None else _labels(y, path, sizes[names[0]])


def _array(archive: np.lib.npyio.NpzFile, path: Path, name: str) -> np.ndarray:
    try:
        array = archive[name]
    except (ValueError, RuntimeError, MemoryError) as e:
        raise DataError(f"{path}", f"array {name} that holds objects or is broken ({e})", "an array of numbers", REMEDY) from e
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}", f"{name} that is not a .npy array", "an array of numbers", REMEDY)
    return array


def _samples(x: np.ndarray, path: Path, name: str) -> np.ndarray:
    if x.ndim < 1 or x.size == 0:
        raise DataError(f"{path}", f"{name} of shape {x.shape}", "one or more samples along the first axis and their values along others")
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind != "f":
        raise DataError(f"{path}", f"{name} of type {x.dtype}", "uint8 (0 to 255) or floats", f"convert {name}")
    with np.errstate(over="ignore"):
        x = x.astype(np.float32, copy=False)
    if not np.isfinite(x).all():
        raise DataError(f"{path}", f"{name} with values that are not finite in float32", "finite values",
                        "scale, mend or leave out the samples")
    return x


def _labels(y: np.ndarray, path: Path, samples: int) -> np.ndarray:
    if y.dtype.kind not in "iu":
        raise DataError(f"{path}", f"y of type {y.dtype}", "integers", "give the index of each sample's class")
    if y.ndim != 1:
        raise DataError(f"{path}", f"y of shape {y.shape}", f"({samples},)", "give the index of each sample's class")
    if len(y) != samples:
        raise DataError(f"{path}", f"{len(y):,} labels y", f"{samples:,} as there are samples in x", REMEDY)
    if y.min() < 0 or y.max() > np.iinfo(np.int64).max:
        raise DataError(f"{path}", f"label {y.min() if y.min() < 0 else y.max()}", "labels from 0 up", REMEDY)
    return y.astype(np.int64)
