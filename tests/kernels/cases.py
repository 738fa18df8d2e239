"""Geometries and activations for the kernel tests, and the check that no bit depends on batch or threads."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import pytest
from hypothesis import strategies as st

from tests import naive

OUTPUTS = (1, 10, 24, 65, 130)
IMAGES = 1 if numba.config.DISABLE_JIT else 3  # uncompiled, a loop over images is slow and reads no other element of the weights


@dataclass(frozen=True)
class Geometry:
    size: tuple[int, int]
    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int]
    pads_end: tuple[int, int]

    @property
    def out(self) -> tuple[int, int]:
        axes = zip(self.size, self.kernel, self.strides, self.dilations, self.pads, self.pads_end)
        return tuple(naive.out_size(*axis) for axis in axes)

    @property
    def arguments(self) -> tuple[tuple[int, int], ...]:
        return self.kernel, self.strides, self.dilations, self.pads


def pairs(low: int, high: int) -> st.SearchStrategy:
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def geometries(draw, pool: bool = False) -> Geometry:
    """Windows with at least one output; those of a `pool` overlap the image, because ONNX demands pads smaller than the kernel."""
    kernel, strides, dilations = draw(pairs(1, 3)), draw(pairs(1, 3)), draw(pairs(1, 2))
    pads, pads_end = draw(pairs(0, 2)), draw(pairs(0, 2))
    if pool:
        pads, pads_end = (tuple(min(pad, k - 1) for pad, k in zip(sides, kernel)) for sides in (pads, pads_end))
    size = draw(pairs(1, 6))
    extent = [d * (k - 1) + 1 for d, k in zip(dilations, kernel)]
    size = tuple(max(s, e - before - after, 1) for s, e, before, after in zip(size, extent, pads, pads_end))
    return Geometry(size, kernel, strides, dilations, pads, pads_end)


def activations(rng: np.random.Generator, shape: tuple[int, ...], density: float) -> np.ndarray:
    """Float32 in [0, 1]; about the share `density` is not silent, and whole images are silent at 0."""
    return (rng.random(shape) * (rng.random(shape) < density)).astype(np.float32)


def with_threads(count: int, function):
    """`function()` under `count` threads."""
    if count > numba.config.NUMBA_NUM_THREADS:
        pytest.skip(f"needs {count} threads")
    before = numba.get_num_threads()
    numba.set_num_threads(count)
    try:
        return function()
    finally:
        numba.set_num_threads(before)


def assert_same_bits(run, x: np.ndarray) -> None:
    """`run(batch)` gives the same bits for every split of `x` and for one or two threads."""
    whole = run(x)
    for split in (1, 2, 3, len(x) - 1):
        parts = np.concatenate([run(x[start : start + split]) for start in range(0, len(x), split)])
        assert parts.tobytes() == whole.tobytes(), f"split {split}"
    for threads in (1, 2):
        assert with_threads(threads, lambda: run(x)).tobytes() == whole.tobytes(), f"{threads} threads"
