"""The spiking network as data: populations of neurons in topological order, each fed by connections from earlier ones.

Shapes leave out the batch and are channels last: (height, width, channels), (length, channels) or (features,). Times are in windows
(T = 1), potentials in units of the threshold. A population's `source`s name earlier populations; every graph without cycles fits.
A decoded spike time a = 1 - tau stands for the original network's value x = lo + (hi - lo) a; weights and biases hold these ranges folded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator

from .errors import UsageError
from .synapses import ByteArray, Connection, FloatArray, IndexArray, Record, Shape, Sliding, require

if TYPE_CHECKING:
    from typing_extensions import Self

FORMAT_VERSION = 1
Slope = Literal["fan_in", "reference", "gated"]
Part = Literal["whole", "positive", "negative", "negated"]  # of a value x: x, max(x, 0), min(x, 0), max(-x, 0)
MAX_STEPS = 65535  # spike steps are stored as unsigned integers of at most 16 bits
StepCount = Annotated[int, Field(ge=1, le=MAX_STEPS)]


class Population(Record):
    name: str
    shape: Shape
    window: int = Field(ge=-1)  # index of the window in which its spikes travel; the input's is 0, a direct input has none: -1
    tensor: str | None  # the original model's tensor that its decoded spike times (or potentials) should equal
    channels_first: bool = False  # whether `tensor` holds the neurons in channels-first order
    tensor_index: IndexArray | None = None  # or in another one: the neuron, in channels-last order, of each of its values, int64


class Coded(Population):
    """A population whose spikes stand for values of the original network."""

    lo: FloatArray  # (channels,) float32: the value of a silent neuron, a = 0
    hi: FloatArray  # (channels,) float32: the value at a = 1
    part: Part = "whole"  # of the values of `tensor`: an activation of two slopes has two populations, one for either half of the line


class Input(Coded):
    """Encoder of analog values: tau = 1 - (x - lo) / (hi - lo). `direct` input takes no window and sends no spikes: x itself is a current."""

    kind: Literal["input"] = "input"
    coding: Literal["spikes", "direct"] = "spikes"
    steps: StepCount | None = None  # N of its window; None: the network's
    onnx_name: str
    onnx_shape: Shape  # without the batch
    measured: bool = False  # whether lo and hi are from data: values outside are then cut off, else refused

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Smallest and largest value that may come; None where any may."""
        return None if self.coding == "direct" or self.measured else (float(self.lo.min()), float(self.hi.max()))


class Spiking(Coded):
    """Integrate-and-fire neurons: V0 = sum of connections + bias, then V0 + S tau until the threshold 1 (the dynamic threshold).

    S, the slope: `fan_in`: the neuron's weight sum. `reference`: 1, because a reference neuron fires at the window's opening with weight
    1 - weight sum. `gated`: 1, a constant current, while synaptic currents stop when the window opens.
    """

    kind: Literal["spiking"] = "spiking"
    connections: tuple[Connection, ...]
    bias: FloatArray | None  # (channels,) or the whole shape, float32; a charge at the window's opening
    slope: Slope
    steps: StepCount | None = None  # N of its window; None: the network's
    weight_sums: FloatArray  # (channels,) or the whole shape, float32: of all the neuron's weights, padded taps included
    low: float | None  # the original's activation clamps to [low, high]; None: it has no such end
    high: float | None


class MaxPool(Coded, Sliding):
    """The earliest spike of each window, per channel. No neurons and no window of its own; padded taps are silent."""

    kind: Literal["max_pool"] = "max_pool"
    source: str


class Reorder(Population):
    """Wiring: neuron i of this population is neuron index[i] of the source, both in channels-last order."""

    kind: Literal["reorder"] = "reorder"
    source: str
    index: IndexArray  # (neurons,) int64


class Concat(Population):
    """Wiring: at each position the channels of all sources side by side. Spikes of earlier windows wait in a delay line."""

    kind: Literal["concat"] = "concat"
    joined: tuple[str, ...]  # sources


class Readout(Population):
    """Neurons whose threshold is infinite: the output is V0 itself."""

    kind: Literal["readout"] = "readout"
    connections: tuple[Connection, ...]
    bias: FloatArray | None  # (channels,) or the whole shape, float32
    weight_sums: FloatArray  # (channels,) or the whole shape, float32; reported, not used
    onnx_shape: Shape  # of `tensor`, without the batch
    batched: bool = True  # whether `tensor` of one sample has an axis of size 1 in front of `onnx_shape`: the batch
    index: IndexArray  # flat channels-last position of each value of `tensor`, int64


Layer = Annotated[Input | Spiking | MaxPool | Reorder | Concat | Readout, Field(discriminator="kind")]


class Violation(Record):
    """A constraint of the paper that a layer breaks."""

    layer: str
    problem: str
    neurons: int
    worst: float | None  # largest |weight sum - 1|; None for an activation
    remedy: str


class Calibration(Record):
    """Where the ranges of unbounded activations are from."""

    data: str  # name of the data set
    sha256: str
    samples: int = Field(ge=1)
    method: str  # "maximum", "mse" or a percentile such as "99.9"
    margin: float  # of the width, by which `maximum` moves an end outward
    notes: tuple[str, ...] = ()  # what was changed to fit the data to the model


class LayerFit(Record):
    """What compensation did to one layer. Errors are root mean squares on samples that the fit did not see, after all layers before had been
    fitted: of activations in units of the layer's range, of a readout's potentials in those of its output."""

    layer: str
    fitted: Literal["weights", "bias", "none"]  # weights and bias, the bias alone, or nothing because neither helped
    strength: float | None  # of the ridge, as a share of the mean variance of what the weights read
    error_before: float
    error_after: float
    weight_change: float  # |fitted - original| / |original|, of all weights of the layer


class Compensation(Record):
    """Weights and biases were fitted anew to spike times on a grid (see `compensation`), and suit no other."""

    data: str  # name of the data set
    sha256: str
    samples: int = Field(ge=1)
    unseen: int = Field(ge=1)  # of these, judged the fits
    steps: dict[str, int]  # N of every layer's spike times, by name
    rounding: Literal["nearest", "ceil"]
    layers: tuple[LayerFit, ...]
    notes: tuple[str, ...] = ()  # what was changed to fit the data to the model


class Network(Record):
    """A converted network. Layers are in topological order."""

    format_version: int = FORMAT_VERSION
    name: str
    mode: Literal["strict", "exact", "unchecked"]
    slope: Slope  # of every layer but those that read direct input, which are gated
    steps: StepCount | None  # N, time steps per window, of every layer that states none of its own; None: continuous time
    rounding: Literal["nearest", "ceil"]
    pooling: Literal["synaptic", "spiking"]
    onnx_sha256: str  # of the model file that was converted
    violations: tuple[Violation, ...] = ()  # what mode `unchecked` let pass
    calibration: Calibration | None = None
    compensation: Compensation | None = None  # None: the weights are the original's
    ann_macs: int  # multiply-accumulates of the original network per inference
    layers: tuple[Layer, ...]
    onnx: ByteArray | None  # the original model, uint8
    head: ByteArray | None = None  # ONNX model from the model's inputs to the tensors that its input populations encode, uint8
    unbatched: tuple[str, ...] = ()  # inputs of the original without an axis for the batch: it takes one sample at a time
    tail: ByteArray | None  # ONNX model from the readouts' potentials to the outputs, uint8; None: the potentials are the outputs
    precision: str = "float32"  # of the original's weights; all is computed in float32
    input_ranges: dict[str, tuple[float, float]] = {}  # that the original's inputs are made for, as far as known: what pixels mean
    input_sizes: dict[str, Shape] = {}  # without the batch, of inputs whose sizes the original leaves open
    notes: tuple[str, ...] = ()  # what the conversion took for granted

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        """Everything the kernels rely on, so that no file can make them read outside their arrays."""
        kinds = [layer.kind for layer in self.layers]
        require("input" in kinds and "readout" in kinds, "a network needs an input and a readout")
        seen: dict[str, Layer] = {}
        for layer in self.layers:
            unknown = set(sources(layer)) - {name for name, other in seen.items() if not isinstance(other, Readout)}
            require(not unknown, f"layer {layer.name!r} uses unknown {sorted(unknown)}")
            require(layer.name not in seen, f"layer {layer.name!r} appears twice")
            require(not isinstance(layer, (Spiking, Readout)) or bool(layer.connections), f"layer {layer.name!r} has no connections")
            problem = _misfit(layer, seen)
            require(problem is None, f"layer {layer.name!r}: {problem}")
            seen[layer.name] = layer
        own = [layer.name for layer in self.layers if isinstance(layer, (Input, Spiking)) and layer.steps]
        require(self.steps is not None or not own, f"layers {own} with a number of steps in continuous time")
        counts = self.steps_per_layer()
        for layer in self.layers:
            joined = {counts[source] for source in sources(layer)} if isinstance(layer, Concat) else set()
            require(len(joined) < 2, f"layer {layer.name!r} joins layers of {joined} steps: one spike train has one grid")
        return self

    @property
    def inputs(self) -> tuple[Input, ...]:
        return tuple(layer for layer in self.layers if isinstance(layer, Input))

    @property
    def readouts(self) -> tuple[Readout, ...]:
        return tuple(layer for layer in self.layers if isinstance(layer, Readout))

    @property
    def without_batch(self) -> tuple[str, ...]:
        """ONNX tensors that have no axis for the batch, among those that original, head and tail are given."""
        return (*self.unbatched, *(layer.tensor for layer in self.readouts if not layer.batched))

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
                counts[layer.name] = max((counts[source] or self.steps or 0 for source in sources(layer))) or None
        return counts

    def grid(self) -> dict[str, int]:
        """N of every layer's spike times, by name; of those on a grid."""
        return {name: steps for name, steps in self.steps_per_layer().items() if steps}

    @property
    def on_fitted_grid(self) -> bool:
        """Whether spike times are rounded as the weights expect it: always, if they are the original's."""
        fitted = self.compensation
        return fitted is None or (fitted.steps == self.grid() and fitted.rounding == self.rounding)

    def with_time(self, steps: int | None, rounding: str | None = None) -> Network:
        """This network on another grid: `steps` for every window, None for continuous time; `rounding` if given."""
        layers = tuple(layer.model_copy(update={"steps": None}) if isinstance(layer, (Input, Spiking)) else layer for layer in self.layers)
        return self.model_copy(update={"steps": steps, "rounding": rounding or self.rounding, "layers": layers})

    def with_input_steps(self, steps: int) -> Network:
        """This network with a window of `steps` steps for every input that spikes. Raises UsageError in continuous time, without such an
        input, and where a concatenation would join its spikes with those of another grid."""
        spiking = {layer.name: steps for layer in self.inputs if layer.coding == "spikes"}
        if self.steps is None or not spiking:
            raise UsageError("input steps", "continuous time" if self.steps is None else "analog inputs, which take no window",
                             "a grid for the input's spikes", "set --steps N" if self.steps is None else "give the inputs bounds")
        try:
            return self.with_layer_steps(spiking)
        except ValueError as error:
            raise UsageError("input steps", f"{steps} for an input that is concatenated with layers of {self.steps}", "one number for both",
                             "leave --input-steps out") from error

    def with_layer_steps(self, steps: Mapping[str, int]) -> Network:
        """This network with a number of steps of its own for each population named, encoders and neurons. Raises ValueError for other
        names, for numbers out of range, and where a concatenation would join different grids."""
        tunable = {layer.name for layer in self.layers if isinstance(layer, (Input, Spiking))}
        require(tunable.issuperset(steps), f"no encoders or neurons named {sorted(set(steps) - tunable)}")
        require(all(1 <= count <= MAX_STEPS for count in steps.values()), f"numbers of steps outside 1 to {MAX_STEPS}")
        layers = tuple(layer.model_copy(update={"steps": steps[layer.name]}) if layer.name in steps else layer for layer in self.layers)
        return Network.model_validate(self.model_copy(update={"layers": layers}).__dict__)

    @property
    def latency_steps(self) -> int | None:
        """Steps until the potentials can be read, along the longest path of windows; None in continuous time."""
        if self.steps is None:
            return None
        counts, end = self.steps_per_layer(), {}
        for layer in self.layers:
            start = max((end[source] for source in sources(layer)), default=0)
            takes_window = isinstance(layer, Spiking) or (isinstance(layer, Input) and layer.coding == "spikes")
            end[layer.name] = start + (counts[layer.name] if takes_window else 0)
        return max(end[layer.name] for layer in self.readouts)

    @property
    def half(self) -> float:
        """h of the rounding rule, in steps."""
        return 0.5 if self.rounding == "nearest" else 0.0


def _misfit(layer: Layer, earlier: dict[str, Layer]) -> str | None:
    """What of `layer` contradicts itself or the layers before it."""
    size = math.prod(layer.shape)
    window = max((earlier[source].window for source in sources(layer)), default=_first_window(layer)) + has_neurons(layer)
    if layer.tensor_index is not None and not (layer.tensor_index.shape == (size,)
                                               and np.array_equal(np.sort(layer.tensor_index), np.arange(size, dtype=np.int64))):
        return "a tensor_index that leaves out neurons"
    if layer.window != window:
        return f"window {layer.window} instead of {window}"
    if isinstance(layer, Coded) and not (layer.lo.shape == layer.hi.shape == layer.shape[-1:] and (layer.lo <= layer.hi).all()
                                         and (isinstance(layer, MaxPool) or (layer.lo < layer.hi).all())):
        return "a range that is empty or of another shape"
    if isinstance(layer, Input):
        return None if math.prod(layer.onnx_shape) == size else f"{size} encoders for an input of shape {layer.onnx_shape}"
    if not has_neurons(layer) and any(isinstance(earlier[source], Input) and earlier[source].coding == "direct" for source in sources(layer)):
        return "wiring behind a direct input, which sends no spikes"
    if isinstance(layer, MaxPool):
        fits = math.prod(layer.in_shape) == math.prod(earlier[layer.source].shape) and layer.in_shape[-1] == layer.out_shape[-1]
        return None if fits and layer.out_shape == layer.shape else "a pool that does not fit its source"
    if isinstance(layer, Reorder):
        return None if layer.index.shape == (size,) and _within(layer.index, earlier[layer.source].shape) else "a broken index"
    if isinstance(layer, Concat):
        rows = size // layer.shape[-1]
        sizes = [math.prod(earlier[source].shape) for source in layer.joined]
        return None if sum(sizes) == size and not any(part % rows for part in sizes) else "parts that do not fit"
    per_channel_or_whole = (layer.shape[-1:], layer.shape)
    if layer.weight_sums.shape not in per_channel_or_whole or (layer.bias is not None and layer.bias.shape not in per_channel_or_whole):
        return "weight sums or bias of another shape"
    if isinstance(layer, Readout) and not (layer.index.shape == (math.prod(layer.onnx_shape),) and _within(layer.index, layer.shape)):
        return "a broken index"
    for connection in layer.connections:
        sizes = [math.prod(earlier[connection.source].shape)]
        for step in connection.path:
            sizes += [math.prod(step.in_shape), math.prod(step.out_shape)]
        sizes.append(size)
        if any(given != taken for given, taken in zip(sizes[::2], sizes[1::2])):
            return f"a connection from {connection.source!r} of sizes {sizes}"
    return None


def _within(index: np.ndarray, shape: Shape) -> bool:
    return bool(index.size == 0 or (index.min() >= 0 and index.max() < math.prod(shape)))


def _first_window(layer: Layer) -> int:
    return -1 if isinstance(layer, Input) and layer.coding == "direct" else 0


def sources(layer: Layer) -> tuple[str, ...]:
    """Names of the populations that feed `layer`."""
    if isinstance(layer, (Spiking, Readout)):
        return tuple(connection.source for connection in layer.connections)
    if isinstance(layer, Concat):
        return layer.joined
    return () if isinstance(layer, Input) else (layer.source,)


def has_neurons(layer: Layer) -> bool:
    """Whether a population integrates and so takes a window; encoders and wiring do not."""
    return isinstance(layer, (Spiking, Readout))


def neurons(layer: Layer) -> int:
    """How many integrate-and-fire neurons a population has."""
    return math.prod(layer.shape) if has_neurons(layer) else 0


def part_of(values: np.ndarray, part: Part) -> np.ndarray:
    """What spikes that carry this part say of `values`, of the same shape."""
    if part == "whole":
        return values
    return np.minimum(values, 0) if part == "negative" else np.maximum(values if part == "positive" else -values, 0)


def in_neuron_order(values: np.ndarray, layer: Population, images: int) -> np.ndarray:
    """(images, *shape of the layer): a tensor's values, image by image, as the neurons that carry them are ordered."""
    values = in_tensor_order(values, layer, images)
    if layer.channels_first:
        return np.moveaxis(values.reshape(images, layer.shape[-1], *layer.shape[:-1]), 1, -1)
    return values.reshape(images, *layer.shape)


def in_tensor_order(values: np.ndarray, layer: Population, images: int) -> np.ndarray:
    """(images, neurons): a tensor's values, image by image; the neurons as the layer orders them, or channels first if it says so."""
    values = values.reshape(images, -1)
    return values if layer.tensor_index is None else values[:, np.argsort(layer.tensor_index)]


def weight_sum_deviation(layer: Layer) -> float | None:
    """Largest |weight sum - 1| of a population's neurons; None where there are none."""
    return float(np.abs(layer.weight_sums.astype(np.float64) - 1).max()) if has_neurons(layer) else None


def step_counts(grid: Mapping[str, int]) -> str:
    """Numbers of steps by layer in words: one number, or the smallest and the largest."""
    own = set(grid.values())
    return f"{max(own)}" if len(own) == 1 else f"{min(own)} to {max(own)}"


def first_problem(error: ValidationError, default: str) -> str:
    """The first thing a model refused, as "field: message"; `default` names it where no field is to blame."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or default}: {first['msg']}"


def label(layer: Layer) -> str:
    """The kind that reports show: that of the synapses that feed a neuron ("average_pool+conv"), else of the population."""
    if not has_neurons(layer):
        return layer.kind
    chains = ["+".join(step.kind for step in connection.path if step.kind not in ("scale", "spread")) or "identity" for connection in layer.connections]
    return " & ".join(dict.fromkeys(chains))
