"""The range of every input of a model: as the user says, as the model's own rescaling of pixels shows, or to be taken from data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ...data.casting import is_float
from ...errors import UsageError
from ...onnx_model.dataflow import fed_inputs
from ...onnx_model.input_types import input_type
from ...onnx_model.node import Node
from ...onnx_model.simplify import Simplified
from .rescaling import MOVERS, PIXELS, rescaled_by

UNIT = (0.0, 1.0)
OPTION = "--input-range"
Ends = tuple[float, float] | None | Literal["data", "auto"]
InputRange = Ends | Mapping[str, Ends]


@dataclass(frozen=True)
class InputRanges:
    """ends: of each input: lowest and highest value; None where any value may come, as analog current; "data" where calibration data shows
    them, channel by channel. known: the range that each input is made for, where it is known: it says what pixels mean. roots: input by
    tensor that holds its values, moved or cast at most. notes: what was taken for granted."""

    ends: Mapping[str, tuple[float, float] | Literal["data"] | None]
    known: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    roots: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def of(self, tensor: str) -> tuple[float, float] | Literal["data"] | None:
        """Of what a population encodes: an input, or what ONNX Runtime makes of the inputs, of which nothing is known but from data."""
        if tensor in self.roots:
            return self.ends[self.roots[tensor]]
        return "data" if "data" in self.ends.values() else None

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """Of the inputs that have some."""
        return {name: ends for name, ends in self.ends.items() if isinstance(ends, tuple)}


def check_input_range(given: InputRange) -> None:
    """Raises UsageError for a range that is none."""
    for ends in given.values() if isinstance(given, Mapping) else [given]:
        if isinstance(ends, str) and ends not in ("data", "auto"):
            raise UsageError("input range", f"{ends!r}", "two numbers, data, or auto")
        if ends is None or isinstance(ends, str):
            continue
        with np.errstate(over="ignore"):
            lo, hi = np.asarray(ends, np.float32)
        if not (np.isfinite([lo, hi]).all() and hi - lo > 1e-6 * max(abs(lo), abs(hi), 1e-20)):
            raise UsageError("input range", "{:g} to {:g}".format(*ends), "two float32 numbers, the smaller one first")


def input_ranges(model: Simplified, given: InputRange) -> InputRanges:
    """Of every input of `model`. given: for all inputs or by name. `auto`: 0 to 255 for an input that the model rescales from there itself,
    else 0 to 1 for floats, and nothing known for integers. Raises UsageError for the name of no input."""
    nodes = [Node.of(proto) for proto in model.graph.graph.node]
    constants = {tensor.name for tensor in model.graph.graph.initializer}
    inputs = {value.name: value for value in fed_inputs(model.graph.graph)}
    asked = dict(given) if isinstance(given, Mapping) else dict.fromkeys(inputs, given)
    asked = {name: ends if ends is None or isinstance(ends, str) else (float(ends[0]), float(ends[1])) for name, ends in asked.items()}
    unknown = sorted(set(asked) - set(inputs))
    if unknown:
        raise UsageError(OPTION, f"{', '.join(unknown)}", f"inputs that the model has: {', '.join(inputs)}")
    ends, known, notes = {}, {}, []
    for name, value in inputs.items():
        own, floats = asked.get(name, "auto"), is_float(input_type(value))
        node = rescaled_by(name, nodes, model) if own in ("auto", "data", None) else None
        if node is not None:
            known[name] = PIXELS
        elif own == "auto" and floats:
            known[name] = UNIT
        elif isinstance(own, tuple):
            known[name] = own
        ends[name] = known.get(name) if own == "auto" else own
        if own == "auto" and node is not None:
            notes.append(
                f"input {name!r}: the model rescales pixels itself ({node.operator} {node.name!r}), so its range is 0 to 255, unless "
                f"{OPTION} says otherwise"
            )
    return InputRanges(ends, known, _roots(inputs, nodes, constants), tuple(notes))


def _roots(inputs: Mapping[str, object], nodes: list[Node], constants: set[str]) -> dict[str, str]:
    roots = {name: name for name in inputs}
    for node in nodes:
        if node.operator in MOVERS and node.inputs[0] in roots and constants.issuperset(filter(None, node.inputs[1:])):
            roots.update(dict.fromkeys(node.outputs, roots[node.inputs[0]]))
    return roots


def measured_ends(lowest: np.ndarray, highest: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """lo and hi, (channels,) float32, from the extremes that data shows, moved outward by `margin` of their distance.

    A channel of one value v gets [v, v + max(|v|, 1)]: v itself is silent, and exact on every grid.
    """
    width = highest - lowest
    constant = width <= 1e-6 * np.maximum(np.abs(lowest), np.abs(highest))
    lo = np.where(constant, lowest, lowest - margin * width)
    hi = np.where(constant, lowest + np.maximum(np.abs(lowest), 1), highest + margin * width)
    nearest_lo, nearest_hi = lo.astype(np.float32), hi.astype(np.float32)
    return (
        np.where(nearest_lo > lowest, np.nextafter(nearest_lo, np.float32(-math.inf)), nearest_lo),
        np.where(nearest_hi < highest, np.nextafter(nearest_hi, np.float32(math.inf)), nearest_hi),
    )
