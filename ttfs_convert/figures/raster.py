"""Spikes of single samples over time: a row per neuron, layer below layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..measurement.pipeline_timing import pipeline_timing
from ..simulation.recording import ROUNDING
from ..studies.details import Details, SpikesOfSample
from .picture_uri import picture_uri
from .svg_chart import Tick, between, number, short

ROW, GAP, TOP, LEFT, RIGHT, WIDTH = 4, 6, 22, 170, 10, 1100  # pixels
MOST_TICKS = 20


@dataclass(frozen=True)
class Spike:
    """One mark. time: in the unit of the axis, since the input's window opened."""

    x: float
    y: float
    time: float
    tip: str


@dataclass(frozen=True)
class Band:
    """The rows of one layer, and its own window. silent: how many of its rows have no spike before their window's end."""

    name: str
    y: float
    height: float
    x: float
    width: float
    rows: int
    silent: int
    spikes: tuple[Spike, ...]


@dataclass(frozen=True)
class Raster:
    """Of one sample. picture: data URI, if it is one. total: the end of the axis."""

    row: int
    words: str
    picture: str | None
    bands: tuple[Band, ...]
    ticks: tuple[Tick, ...]
    total: int
    unit: str
    height: float
    left: int = LEFT
    width: int = WIDTH
    right: int = WIDTH - RIGHT

    @property
    def shown(self) -> int:
        """Spikes."""
        return sum(len(band.spikes) for band in self.bands)


def rasters(details: Details, most: int) -> list[Raster]:
    """Of the first `most` samples."""
    return [_raster(details, each) for each in details.spikes[:most]]


def _raster(details: Details, sample: SpikesOfSample) -> Raster:
    network = details.network
    timing = pipeline_timing(network if network.steps is not None else network.with_steps(1))
    if timing is None:
        raise TypeError("a grid without a latency")
    total, windows = max(timing.latency, 1), timing.windows

    def at(time: float) -> float:
        return round(LEFT + min(max(time / total, 0), 1) * (WIDTH - LEFT - RIGHT), 1)

    bands, y = [], TOP
    for name, neurons in details.neurons.items():
        begin, end = windows[name]
        spikes, silent = [], 0
        for place, (neuron, tau) in enumerate(zip(neurons.tolist(), sample.tau[name].tolist())):
            if np.isnan(tau) or abs(tau - 1) <= ROUNDING:  # at its window's end: a = 0
                silent += 1
                continue
            time = begin + tau * (end - begin)
            spikes.append(
                Spike(at(time), y + ROW * place, time, f"{name}, neuron {neuron}: {_time(time, network.steps is not None)}, a = {1 - tau:.3g}")
            )
        height = ROW * len(neurons)
        bands.append(Band(short(name), y, height, at(begin), round(at(end) - at(begin), 1), len(neurons), silent, tuple(spikes)))
        y += height + GAP
    label, words = sample.sample, f"sample {sample.row}"
    if label is not None:
        truth = "" if label.truth is None else f"label {label.truth}, "
        words += f": {truth}original {label.ann}, spiking {label.snn}"
    opens = sorted({windows[name][0] for name in details.neurons} | {total})
    ticks = tuple(Tick(at(each), number(each)) for each in (opens if len(opens) <= MOST_TICKS else between(0, total)))
    unit = "time steps" if network.steps is not None else "windows"
    return Raster(sample.row, words, None if label is None else picture_uri(label.values), tuple(bands), ticks, total, unit, y + 6)


def _time(time: float, steps: bool) -> str:
    return f"step {time:.0f}" if steps else f"{time:.3f} windows"
