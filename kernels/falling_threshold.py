"""When a neuron fires whose potential stays and whose threshold falls: a table of one threshold per step.

A line per cell of potentials says when, to within what it is known to be off by; where that might be another step, the table decides.
"""

from typing import NamedTuple

import numba as nb
import numpy as np

from ._jit import jit
from ._threads import SERIAL_ELEMENTS, in_parallel, share

CELLS = 256  # into which the potentials around the thresholds are divided
OFF = 2e-4  # of a cell: what float32 may put a potential beside its place


class FallingThreshold(NamedTuple):
    """Thresholds theta_k, and K(V), which is k where V = theta_k, straight in between, so that a neuron fires at the step ceil(K(V)).

    In cell j of channel c, V = low + (j + t) / cells_per_unit with t from 0 to 1, K(V) is lines[c, j, 0] + t lines[c, j, 1] to within
    lines[c, j, 2]. Below the least threshold K is N - 1/2, above the largest - 1/2.
    """

    thresholds: np.ndarray  # (c, N) float64, falling along N
    lines: np.ndarray  # (c, CELLS, 3) float32
    low: np.ndarray  # (c,) float32
    cells_per_unit: np.ndarray  # (c,) float32


def falling_threshold(thresholds: np.ndarray) -> FallingThreshold:
    """`thresholds`, (c, N) float64, falling along N, made ready for `fire_under`."""
    rows = [_lines(row) for row in thresholds]
    return FallingThreshold(thresholds, *(np.stack([row[part] for row in rows]) for part in range(3)))


def _lines(row: np.ndarray) -> tuple[np.ndarray, np.float32, np.float32]:
    steps, finite = len(row), np.isfinite(row)
    least, largest = (row[finite].min(), row[finite].max()) if finite.any() else (0.0, 0.0)
    width = (largest - least) / (CELLS - 2) or max(abs(least) * 2**-10, 2.0**-100)
    low, per_unit = np.float32(least - width), np.float32(1 / width)
    edges = low + np.arange(CELLS + 1) / np.float64(per_unit)
    at, number = row[::-1], np.arange(steps, dtype=np.float64)[::-1]  # rising potentials
    course = np.interp(edges, at[np.isfinite(at)], number[np.isfinite(at)]) if finite.any() else np.zeros(CELLS + 1)
    below, above = np.searchsorted(at, edges, side="right") == 0, np.searchsorted(at, edges, side="left") == steps
    course = np.where(below, steps - 0.5, np.where(above, -0.5, course))
    off, place = np.zeros(CELLS), np.clip((at - low) * np.float64(per_unit), -1, CELLS)
    for shift in (-OFF, 0, OFF):  # K bends at thresholds alone, and jumps where several lie at one potential
        near = (place >= 0) & (place <= CELLS) & (place + shift >= 0)
        cell = np.minimum((place[near] + shift).astype(np.int64), CELLS - 1)
        line = course[cell] + (place[near] - cell) * (course[cell + 1] - course[cell])
        np.maximum.at(off, cell, np.abs(line - number[near]))
    rise = np.diff(course)
    lines = np.stack([course[:-1], rise, off + OFF * np.abs(rise) + 2.0**-21 * (steps + 1)], axis=1)
    return lines.astype(np.float32), low, per_unit


def fire_under(potential, threshold, times):
    """times[r, i] = the first step k with potential[r, i] >= thresholds[i % c, k], else N: silent.

    potential: V0, (rows, m) float32. threshold: a `FallingThreshold` of c channels; m a multiple of c. times: (rows, m), unsigned integers.
    """
    in_parallel(_under_shared, len(potential), (potential, *threshold, times), potential.size < SERIAL_ELEMENTS)


@jit(inline="always")
def _step(value, channel, thresholds, lines, low, cells_per_unit):
    place = min(max((value - low[channel]) * cells_per_unit[channel], nb.float32(0)), nb.float32(CELLS))
    cell = min(int(place), CELLS - 1)
    due = lines[channel, cell, 0] + (place - nb.float32(cell)) * lines[channel, cell, 1]
    step = np.ceil(due)
    if abs(step - due - nb.float32(0.5)) < nb.float32(0.5) - lines[channel, cell, 2]:
        return int(step)
    return _counted(value, thresholds[channel])


@jit()
def _counted(value, thresholds):
    """How many of `thresholds`, which fall, lie above `value`."""
    k, left = 0, thresholds.size
    while left > 0:
        half = left // 2
        if thresholds[k + half] > value:
            k += half + 1
            left -= half + 1
        else:
            left = half
    return k


@jit()
def _under(first, past, potential, thresholds, lines, low, cells_per_unit, times):
    channels = thresholds.shape[0]
    for r in range(first, past):
        if channels == 1:
            for i in range(potential.shape[1]):
                times[r, i] = _step(potential[r, i], 0, thresholds, lines, low, cells_per_unit)
        else:
            for start in range(0, potential.shape[1], channels):
                for channel in range(channels):
                    times[r, start + channel] = _step(potential[r, start + channel], channel, thresholds, lines, low, cells_per_unit)


@jit()
def _under_shared(state, items, chunk, *arguments):
    share(_under, state, items, chunk, arguments)
