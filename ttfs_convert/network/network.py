"""The converted network: its populations in topological order, its time grid, and what it keeps of the original."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, model_validator

from ..errors import UsageError
from ..kernels.rounding import HALF, MAX_STEPS, Rounding
from .choices import Mode, Pooling, Slope
from .consistency import misfit
from .populations import Analog, Concat, Input, Layer, MaxPool, Readout, Reorder, Spiking, StepCount, sources, trained_steps
from .provenance import Calibration, Compensation, Conversion, Violation
from .records import ByteArray, Record, Shape, require
from .weight_grid import WeightGrid, integers, off_grid

if TYPE_CHECKING:
    from typing_extensions import Self


FORMAT_VERSION = 1


class Network(Record):
    """A converted network. Layers are in topological order."""

    format_version: int = FORMAT_VERSION
    name: str
    mode: Mode
    slope: Slope  # of every layer but those that read direct input, which are gated
    steps: StepCount | None  # N, time steps per window, of every layer that states none of its own; None: continuous time
    rounding: Rounding
    pooling: Pooling
    onnx_sha256: str  # of the model file that was converted
    violations: tuple[Violation, ...] = ()  # what mode `unchecked` let pass
    calibration: Calibration | None = None
    compensation: Compensation | None = None  # None: nothing was fitted
    weight_grid: WeightGrid | None = None  # of few bits; None: weights are float32
    conversion: Conversion | None = None  # None: it was not kept
    ann_macs: int = Field(ge=0)  # multiply-accumulates of the original network per inference
    layers: tuple[Layer, ...]
    onnx: ByteArray | None  # the original model, uint8
    head: ByteArray | None = None  # ONNX model from the model's inputs to the tensors that its input populations encode, uint8
    unbatched: tuple[str, ...] = ()  # inputs of the original without an axis for the batch: it takes one sample at a time
    tail: ByteArray | None  # ONNX model from the readouts' potentials to the outputs, uint8; None: the potentials are the outputs
    derived: ByteArray | None = None  # ONNX model from tensors of the original to those that it lacks and layers stand for, uint8
    precision: str = "float32"  # of the original's weights; all is computed in float32
    input_ranges: dict[str, tuple[float, float]] = Field(default_factory=dict)  # that its inputs are made for, as far as known: what pixels mean
    input_sizes: dict[str, Shape] = Field(default_factory=dict)  # without the batch, of inputs whose sizes the original leaves open
    notes: tuple[str, ...] = ()  # what the conversion took for granted

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        """Everything the kernels rely on, so that no file can make them read outside their arrays."""
        kinds = [layer.kind for layer in self.layers]
        require("input" in kinds and "readout" in kinds, "a network needs an input and a readout")
        require(bool(self.inputs and self.readouts), "a network whose only input or readout is that of an analog part")
        require(all(low < high for low, high in self.input_ranges.values()), "a range of an input that is empty")
        seen: dict[str, Layer] = {}
        for layer in self.layers:
            wanted = _read_by(layer)
            unknown = sorted({source for source in sources(layer) if not isinstance(seen.get(source), wanted)})
            require(not unknown, f"layer {layer.name!r} uses unknown {unknown}")
            require(layer.name not in seen, f"layer {layer.name!r} appears twice")
            require(not isinstance(layer, (Spiking, Readout)) or bool(layer.connections), f"layer {layer.name!r} has no connections")
            problem = misfit(layer, seen)
            require(problem is None, f"layer {layer.name!r}: {problem}")
            seen[layer.name] = layer
        own = [layer.name for layer in self.layers if isinstance(layer, (Input, Spiking)) and layer.steps]
        require(self.steps is not None or not own, f"layers {own} with a number of steps in continuous time")
        counts = self.steps_per_layer()
        for layer in self.layers:
            joined = {counts[source] for source in sources(layer)} if isinstance(layer, Concat) else set()
            require(len(joined) < 2, f"layer {layer.name!r} joins layers of {joined} steps: one spike train has one grid")
        problem = None if self.weight_grid is None else off_grid(self.weight_grid, self.layers)
        require(problem is None, problem or "")
        return self

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The encoders of what the model is given, and of what the head makes of it."""
        return tuple(layer for layer in self.layers if isinstance(layer, Input) and layer.source is None)

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of what is encoded, in the model's own layout, without the batch."""
        return tuple(layer.onnx_shape for layer in self.inputs)

    @property
    def readouts(self) -> tuple[Readout, ...]:
        """The populations whose potentials the tail reads, or are the outputs."""
        return tuple(layer for layer in self.layers if isinstance(layer, Readout) and not layer.inner)

    @property
    def analog(self) -> tuple[Analog, ...]:
        """The parts in the middle that ONNX Runtime computes."""
        return tuple(layer for layer in self.layers if isinstance(layer, Analog))

    @property
    def without_batch(self) -> tuple[str, ...]:
        """ONNX tensors that have no axis for the batch, among those that original, head, tail and analog parts are given."""
        return (*self.unbatched, *(layer.tensor for layer in self.layers if isinstance(layer, Readout) and not layer.batched))

    @property
    def windows(self) -> int:
        """Windows until the last potentials can be read: 1 + the longest path of spiking layers."""
        return max(layer.window for layer in self.readouts)

    def steps_per_layer(self) -> dict[str, int | None]:
        """N of each layer's spike times, by name; of a readout the largest N it reads, of direct input None. All None in continuous time."""
        counts: dict[str, int | None] = {}
        for layer in self.layers:
            if isinstance(layer, Input) and layer.coding == "direct":
                counts[layer.name] = None
            elif isinstance(layer, (Input, Spiking)):
                counts[layer.name] = layer.steps or self.steps
            else:
                counts[layer.name] = max((counts[source] or self.steps or 0 for source in sources(layer)), default=self.steps) or None
        return counts

    def grid(self) -> dict[str, int]:
        """N of every layer's spike times, by name; of those on a grid."""
        return {name: steps for name, steps in self.steps_per_layer().items() if steps}

    @property
    def has_original_weights(self) -> bool:
        """Whether weights and biases are the original's, ranges folded in: neither fitted nor rounded."""
        return self.compensation is None and self.weight_grid is None

    def integer_weights(self) -> dict[str, tuple[np.ndarray, ...]]:
        """By layer, of each of its synapses with trained weights, the integers q, int8 in the weights' own shape, last axis outputs; the weights
        are these times `weight_grid.layers[...].scales`, in float32 bit by bit. Raises UsageError without a grid."""
        if self.weight_grid is None:
            raise UsageError("weights", "float32, on no grid", "weights of few bits", "convert with --weight-bits N")
        named = {layer.name: layer for layer in self.layers}
        return {
            own.layer: tuple(integers(step.weights, scales) for step, scales in zip(trained_steps(named[own.layer]), own.scales))
            for own in self.weight_grid.layers
        }

    @property
    def on_fitted_grid(self) -> bool:
        """Whether spike times are rounded as the weights expect it: always, if they were not fitted."""
        fitted = self.compensation
        return fitted is None or (fitted.steps == self.grid() and fitted.rounding == self.rounding)

    def with_steps(self, steps: int | None, rounding: str | None = None) -> Network:
        """This network with `steps` time steps in every window, 1 to 65535, or None for continuous time; layers lose the numbers of their own.

        rounding: "nearest" or "ceil", if not the network's own. Raises UsageError for anything else.
        """
        if steps is not None:
            steps = _step_count(steps)
        if rounding not in (None, "nearest", "ceil"):
            raise UsageError("rounding", f"{rounding!r}", "nearest or ceil")
        layers = tuple(layer.changed(steps=None) if isinstance(layer, (Input, Spiking)) and layer.steps else layer for layer in self.layers)
        return self.changed(steps=steps, rounding=rounding or self.rounding, layers=layers)

    def with_input_steps(self, steps: int) -> Network:
        """This network with a window of `steps` steps for every input that spikes. Raises UsageError in continuous time, without such an
        input, and where a concatenation would join its spikes with those of another grid."""
        spiking = {layer.name: steps for layer in self.inputs if layer.coding == "spikes"}
        if self.steps is None or not spiking:
            raise UsageError(
                "input steps",
                "continuous time" if self.steps is None else "analog inputs, which take no window",
                "a grid for the input's spikes",
                "set --steps N" if self.steps is None else "give the inputs bounds",
            )
        try:
            return self.with_layer_steps(spiking)
        except ValueError as error:
            raise UsageError(
                "input steps",
                f"{steps} for an input that is concatenated with layers of {self.steps}",
                "one number for both",
                "leave --input-steps out",
            ) from error

    def with_layer_steps(self, steps: Mapping[str, int]) -> Network:
        """This network with a number of steps of its own for each population named, encoders and neurons. Raises ValueError for other
        names, for numbers out of range, and where a concatenation would join different grids."""
        tunable = {layer.name for layer in self.layers if isinstance(layer, (Input, Spiking))}
        require(tunable.issuperset(steps), f"no encoders or neurons named {sorted(set(steps) - tunable)}")
        require(all(1 <= count <= MAX_STEPS for count in steps.values()), f"numbers of steps outside 1 to {MAX_STEPS}")
        return self.changed(layers=tuple(layer.changed(steps=steps[layer.name]) if layer.name in steps else layer for layer in self.layers))

    @property
    def latency_steps(self) -> int | None:
        """Steps until the potentials can be read, along the longest path of windows; None in continuous time."""
        return None if self.steps is None else self.latency_with(self.grid())

    def latency_with(self, counts: Mapping[str, int]) -> int:
        """As `latency_steps`, with the numbers of steps `counts` of all populations that take a window, by name."""
        end: dict[str, int] = {}
        for layer in self.layers:
            start = max((end[source] for source in sources(layer)), default=0)
            takes_window = isinstance(layer, Spiking) or (isinstance(layer, Input) and layer.coding == "spikes")
            end[layer.name] = start + (counts[layer.name] if takes_window else 0)
        return max(end[layer.name] for layer in self.readouts)

    @property
    def half(self) -> float:
        """h of the rounding rule, in steps."""
        return HALF[self.rounding]


def _read_by(layer: Layer) -> type | tuple[type, ...]:
    """The kinds of populations that `layer` may read."""
    if isinstance(layer, Analog):
        return Readout
    return Analog if isinstance(layer, Input) else (Input, Spiking, MaxPool, Reorder, Concat)


def _step_count(steps: object) -> int:
    """`steps` if it is a whole number that spikes can be stored with. Raises UsageError."""
    if isinstance(steps, (bool, np.bool_)) or not isinstance(steps, (int, np.integer)) or not 1 <= steps <= MAX_STEPS:
        raise UsageError("steps", f"{steps!r}", f"a whole number from 1 to {MAX_STEPS}, or None for continuous time")
    return int(steps)


def step_counts(grid: Mapping[str, int]) -> str:
    """Numbers of steps by layer in words: one number, or the smallest and the largest."""
    own = set(grid.values())
    return f"{max(own)}" if len(own) == 1 else f"{min(own)} to {max(own)}"
