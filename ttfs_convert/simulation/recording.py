"""What a simulated batch did: spike times of every layer and the readouts' potentials. Every engine returns this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

EIGHT_BITS = range(1, 256)  # numbers of steps N whose spike times 0 to N are stored as uint8
ROUNDING = 1e-5  # of a window: in float32 a silent neuron of slope `fan_in` fires this close to its end


@dataclass(frozen=True)
class Recording:
    """spike_times: per layer (n, *shape), in the layer's own window: steps (unsigned integers, N silent) or tau (float32). With the dynamic
    threshold tau lies in [0, 1] and 1 is silent. With a fixed one times are tau even on a grid, premature spikes are below 0, late ones
    above 1, and a neuron that did not fire has NaN. A direct input sends no spikes.

    readouts: per ONNX tensor that a readout stands for, its potentials (n, *shape of the tensor) float32.
    steps: per layer N of its spike times, None where they are tau.
    done: call it once no array of `spike_times` is needed any more, and a later batch may be written over them, which saves the time to have
    memory cleared; nobody has to. Readouts stay as they are.
    """

    spike_times: dict[str, np.ndarray]
    readouts: dict[str, np.ndarray]
    steps: dict[str, int | None]
    done: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)

    @property
    def potentials(self) -> np.ndarray:
        """Of the only readout, or the first one."""
        return next(iter(self.readouts.values()))

    def activations(self, name: str) -> np.ndarray:
        """Decoded spike times of layer `name`: a = 1 - tau, float32; 0 where a spike is missing."""
        return decode(self.spike_times[name], self.steps[name])

    def tau(self, name: str) -> np.ndarray:
        """Spike times of layer `name` in its own window, float32; NaN where a spike is missing."""
        times, steps = self.spike_times[name], self.steps[name]
        return times if steps is None else times.astype(np.float32) / np.float32(steps)

    def missing(self, name: str) -> np.ndarray:
        """Where layer `name` did not spike at all; with the dynamic threshold nowhere."""
        times = self.spike_times[name]
        return np.isnan(times) if times.dtype.kind == "f" else np.zeros(times.shape, bool)

    def silent(self, name: str) -> np.ndarray:
        """Where layer `name` has no a > 0: spikes at the window's end or later, or none."""
        times = self.spike_times[name]
        return ~(times < 1 - ROUNDING) if times.dtype.kind == "f" else times == self.steps[name]


def step_dtype(steps: int | None) -> type[np.generic]:
    """Of spike times on a grid of N `steps`; of tau in continuous time."""
    return np.float32 if steps is None else np.uint8 if steps in EIGHT_BITS else np.uint16


def decode(times: np.ndarray, steps: int | None) -> np.ndarray:
    """a = 1 - tau as float32, 0 where a spike is missing; on a grid a = (N - k) / N, correctly rounded."""
    if steps is None:
        return np.nan_to_num(np.float32(1) - times, nan=0.0)
    return np.take((1 - np.arange(steps + 1, dtype=np.int64) / steps).astype(np.float32), times, mode="clip")
