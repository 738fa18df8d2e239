"""The network as a picture: every population's window on a time axis, and which spikes reach which layer, at once or through a delay line."""

from __future__ import annotations

from dataclasses import dataclass

from ..measurement.pipeline_timing import pipeline_timing
from ..network.network import Network
from ..network.populations import Input, Readout, Spiking, label, neurons, sources
from .svg_chart import Tick, between, number, short

ROW, TOP, LEFT, RIGHT = 20, 26, 10, 10  # pixels
NARROWEST, PER_WINDOW, WIDEST = 760, 64, 1800
LETTER = 6.4  # pixels, of one letter
MOST_TICKS = 24


@dataclass(frozen=True)
class Box:
    """A population. index: of the network's layers. kind: input, spiking, wiring, readout or analog, its class in the style sheet. label_x, anchor:
    where its name stands, and which end of it."""

    index: int
    kind: str
    x: float
    y: float
    width: float
    name: str
    tip: str
    label_x: float
    anchor: str


@dataclass(frozen=True)
class Line:
    """Spikes on their way. waiting: through a delay line."""

    path: str
    waiting: bool
    tip: str


@dataclass(frozen=True)
class Diagram:
    """In pixels. ticks: of the time axis. unit: of its numbers. delayed: how many connections wait."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    ticks: tuple[Tick, ...]
    unit: str
    width: int
    height: int
    delayed: int
    about: str


def network_diagram(network: Network) -> Diagram:
    """Time is in steps; in continuous time in windows."""
    timing = pipeline_timing(network if network.steps is not None else network.with_steps(1))
    if timing is None:
        raise TypeError("a grid without a latency")
    ends, total = timing.windows, max(timing.latency, 1)
    unit = "time steps" if network.steps is not None else "windows"
    width = int(min(WIDEST, max(NARROWEST, PER_WINDOW * network.windows)))

    def at(time: float) -> float:
        return round(LEFT + time / total * (width - LEFT - RIGHT), 1)

    rows = {layer.name: row for row, layer in enumerate(network.layers)}
    boxes, lines = [], []
    for row, layer in enumerate(network.layers):
        begin, end = ends[layer.name]
        kind = _kind(layer)
        x, right, y = at(end if kind == "readout" else begin), at(end), TOP + ROW * row + 4
        room = right + 8 + LETTER * len(short(layer.name)) < width
        when = f"read at {end}" if kind in ("readout", "analog") else f"{begin} to {end}"
        size = f", {neurons(layer):,} neurons" if neurons(layer) else ""
        gap = 9 if kind == "readout" else 5
        boxes.append(
            Box(row, kind, x, y, max(round(right - x, 1), 8.0), short(layer.name), f"{layer.name}: {label(layer)}{size}; {when} {unit}",
                right + gap if room else x - gap, "start" if room else "end")
        )  # fmt: skip
        lines += [_line(at, unit, source, layer.name, ends, rows) for source in dict.fromkeys(sources(layer))]
    delayed = sum(line.waiting for line in lines)
    opens = sorted({begin for begin, _ in ends.values()} | {total})
    length = f"{network.windows} windows" + (f", {total:,} {unit} in all" if network.steps is not None else "")
    about = f"{len(boxes)} populations in {length}; {delayed} connections wait in a delay line."
    height = TOP + ROW * len(boxes) + 6
    return Diagram(
        tuple(boxes),
        tuple(lines),
        tuple(Tick(at(each), number(each)) for each in (opens if len(opens) <= MOST_TICKS else between(0, total))),
        unit,
        width,
        height,
        delayed,
        about,
    )


def _kind(layer) -> str:
    if isinstance(layer, Spiking):
        return "spiking"
    if isinstance(layer, Readout):
        return "readout"
    if isinstance(layer, Input):
        return "input"
    return "analog" if layer.kind == "analog" else "wiring"


def _line(at, unit: str, source: str, target: str, ends, rows) -> Line:
    """Along the source's row until the target's window opens, then down to the target."""
    (_, sent), (opens, _) = ends[source], ends[target]
    wait = max(opens - sent, 0)
    wait_line, below = TOP + ROW * rows[source] + ROW - 2, TOP + ROW * rows[target] + ROW / 2
    x, y = at(sent), wait_line if wait else TOP + ROW * rows[source] + ROW / 2
    path = f"M{x} {y}" + (f"H{at(opens)}" if wait else "") + f"V{below}"
    return Line(path, wait > 0, f"{source} to {target}" + (f": spikes wait for {wait} {unit} in a delay line" if wait else ""))
