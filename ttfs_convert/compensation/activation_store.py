"""Activations of all samples, layer by layer: in memory while they fit, else in files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

MEMORY = 512 << 20  # bytes of activations kept in memory


class Activations:
    """Arrays (samples, *shape) by name, written and read by slices of the samples.

    samples: how many. folder: where arrays go that would make those in memory more than `memory` bytes.
    """

    def __init__(self, samples: int, folder: Path, memory: int = MEMORY):
        self.samples, self._folder, self._free = samples, folder, memory
        self._files = 0
        self._arrays: dict[str, np.ndarray | Path] = {}
        self._forms: dict[str, tuple[tuple[int, ...], np.dtype]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._forms

    def write(self, name: str, rows: slice, values: np.ndarray) -> None:
        """values: (n, *shape); the first call of a name tells shape and dtype, later ones continue where the last one ended."""
        if name not in self._forms:
            self._begin(name, values.shape[1:], values.dtype)
        target = self._arrays[name]
        if isinstance(target, np.ndarray):
            target[rows] = values
        else:
            with open(target, "ab") as file:
                np.ascontiguousarray(values).tofile(file)

    def _begin(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        size = self.samples * math.prod(shape) * dtype.itemsize
        self._forms[name] = shape, dtype
        if size <= self._free:
            self._free -= size
            self._arrays[name] = np.empty((self.samples, *shape), dtype)
        else:
            self._files += 1
            self._arrays[name] = self._folder / f"{self._files}.bin"

    def read(self, name: str, rows: slice) -> np.ndarray:
        """(n, *shape)"""
        source, (shape, dtype) = self._arrays[name], self._forms[name]
        if isinstance(source, np.ndarray):
            return source[rows]
        size = math.prod(shape)
        count = rows.stop - rows.start
        return np.fromfile(source, dtype, count * size, offset=rows.start * size * dtype.itemsize).reshape(count, *shape)

    def forget(self, name: str) -> None:
        """Free what `name` takes."""
        array = self._arrays.pop(name)
        if isinstance(array, np.ndarray):
            self._free += array.nbytes
        else:
            array.unlink()
        del self._forms[name]
