"""What potentials make of a layer of neurons, under a threshold that is 1 and under one that falls: what the original's activation is, which spike
times they give, and where any potential will do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..kernels.rounding import TIE
from ..kernels.threshold import fire
from ..network.activations.threshold_shape import Crossing, spike_times, threshold_at
from ..network.populations import Spiking
from ..simulation.recording import step_dtype


def slopes_of(layer: Spiking) -> np.ndarray:
    """S, (channels,) or the whole shape, float32."""
    return layer.weight_sums if layer.slope == "fan_in" else np.ones(layer.shape[-1:], np.float32)


def original_activation(layer: Spiking, potentials: np.ndarray) -> np.ndarray:
    """a of the original's value behind `potentials` (..., channels) float32, not cut off at 0 and 1 where the original has no end there."""
    width = layer.hi - layer.lo
    if layer.activation is not None:
        return ((layer.activation.value(potentials.astype(np.float64)) - layer.lo) / width).astype(np.float32)
    low, high = (
        np.full(width.shape, end, np.float32) if known is None else ((known - layer.lo) / width).astype(np.float32)
        for known, end in ((layer.low, -np.inf), (layer.high, np.inf))
    )
    return np.clip(potentials, low, high)


def fired(potentials: np.ndarray, slopes: np.ndarray, steps: int, half: float) -> np.ndarray:
    """The step at which each neuron fires whose potential ramps, of the shape of `potentials`. slopes: S, repeated along them. steps: N. half: h of
    the rounding."""
    times = np.empty(potentials.shape, step_dtype(steps))
    fire(potentials.reshape(-1, slopes.size), slopes.reshape(-1), steps, half, times.reshape(-1, slopes.size))
    return times


def steps_of(layer: Spiking, steps: int, half: float) -> Callable[[np.ndarray], np.ndarray]:
    """What gives the step at which each neuron fires, of the shape of the potentials, (n, *shape of the layer) float32. Its threshold is made ready
    once. steps: N. half: h of the rounding."""
    if layer.activation is None:
        slopes = slopes_of(layer)
        return lambda potentials: fired(potentials, slopes, steps, half)
    crossing = Crossing(layer.activation, layer.lo, layer.hi)

    def under(potentials: np.ndarray) -> np.ndarray:
        times = np.empty(potentials.shape, step_dtype(steps))
        crossing.fire(np.ascontiguousarray(potentials), steps, half, times)
        return times

    return under


def target(layer: Spiking, potentials: np.ndarray) -> np.ndarray:
    """The potentials that make neurons say what the original's `potentials` do: 1 - S (1 - z), or these themselves."""
    return potentials if layer.activation is not None else 1 - slopes_of(layer) * (1 - potentials)


def indifferent(layer: Spiking, slopes: np.ndarray) -> tuple[np.ndarray | float, np.ndarray | float]:
    """Up to which potential a neuron stays silent, and from which one on it fires at once. slopes: S of the neurons asked for."""
    if layer.activation is None:
        return 1 - slopes, 1.0
    silent, at_once = threshold_at(layer.activation, *_ends(layer, slopes.shape[-1]), np.array([1.0, 0.0])).T
    return silent, at_once


def decoded(layer: Spiking, potentials: np.ndarray, slopes: np.ndarray, steps: int, half: float) -> np.ndarray:
    """a = 1 - k / N of neurons with these potentials V0, (r, m) float32, as they fire (see `kernels/rounding.py`)."""
    if layer.activation is not None:
        tau = spike_times(layer.activation, *_ends(layer, potentials.shape[-1]), potentials)
    else:
        rising = slopes > 0
        tau = np.where(rising, (1 - potentials) / np.where(rising, slopes, 1), np.where(potentials >= 1, 0, 1))
    return (1 - np.clip(np.ceil(steps * tau - half - TIE), 0, steps) / steps).astype(np.float32)


def _ends(layer: Spiking, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """lo and hi of so many outputs of one position, a multiple of the channels."""
    times = outputs // layer.shape[-1]
    return np.tile(layer.lo, times), np.tile(layer.hi, times)
