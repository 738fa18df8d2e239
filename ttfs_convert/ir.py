"""The spiking network as data: populations of neurons in topological order, each fed by connections from earlier ones.

Shapes leave out the batch and are channels last: (height, width, channels), (length, channels) or (features,). Times are in windows
(T = 1), potentials in units of the threshold. A population's `source`s name earlier populations; every graph without cycles fits.
A decoded spike time a = 1 - tau stands for the original network's value x = lo + (hi - lo) a; weights and biases hold these ranges folded.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

if TYPE_CHECKING:
    from typing_extensions import Self

FORMAT_VERSION = 1
MAX_STEPS = 65535  # spike steps are stored as unsigned integers of at most 16 bits


def _finite_array(value: object, dtype: type) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.dtype != dtype:
        raise ValueError(f"expected an array of {np.dtype(dtype)}, found {getattr(value, 'dtype', type(value).__name__)}")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise ValueError("found values that are not finite")
    return value


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)


FloatArray = Annotated[np.ndarray, BeforeValidator(lambda value: _finite_array(value, np.float32))]
IndexArray = Annotated[np.ndarray, BeforeValidator(lambda value: _finite_array(value, np.int64))]
ByteArray = Annotated[np.ndarray, BeforeValidator(lambda value: _finite_array(value, np.uint8))]
Shape = tuple[Annotated[int, Field(ge=1)], ...]  # sizes
Slope = Literal["fan_in", "reference", "gated"]
Offsets = tuple[Annotated[int, Field(ge=0)], ...]


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Sliding(Record):
    """Geometry of anything that slides over positions. All per spatial axis; output y reads inputs y stride - pad + k dilation."""

    in_shape: Shape  # (*spatial, channels)
    out_shape: Shape  # (*spatial, channels)
    kernel: Shape  # taps
    strides: Shape  # input positions
    dilations: Shape  # input positions
    pads: Offsets  # padded positions before the first
    pads_end: Offsets  # padded positions after the last

    @model_validator(mode="after")
    def _fits(self) -> Self:
        axes = (self.kernel, self.strides, self.dilations, self.pads, self.pads_end, self.in_shape[:-1], self.out_shape[:-1])
        _require(len(self.kernel) in (1, 2) and {len(values) for values in axes} == {len(self.kernel)}, "axes differ in number")
        for kernel, stride, dilation, before, after, size, out in zip(*axes):
            room = size + before + after - dilation * (kernel - 1) - 1
            _require(-(-room // stride) >= out - 1 >= room // stride, f"{out} outputs do not fit {size} inputs")
        return self


class Conv(Sliding):
    """V0[y, o] = sum_{k, c} w[k, c, o] a[y stride - pad + k dilation, c], by groups of channels; 1-D or 2-D."""

    kind: Literal["conv"] = "conv"
    weights: FloatArray  # (*kernel, channels in / groups, channels out) float32
    groups: int = Field(ge=1)

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        channels, outputs = self.in_shape[-1], self.out_shape[-1]
        _require(channels % self.groups == 0 and outputs % self.groups == 0, f"{self.groups} groups of {channels} to {outputs} channels")
        _require(self.weights.shape == (*self.kernel, channels // self.groups, outputs), f"weights of shape {self.weights.shape}")
        return self


class Dense(Record):
    """V0[o] = sum_i w[i, o] a[i]."""

    kind: Literal["dense"] = "dense"
    in_shape: Shape  # (inputs,): the source's neurons in channels-last order
    out_shape: Shape  # (outputs,)
    weights: FloatArray  # (inputs, outputs) float32

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        _require(self.weights.shape == self.in_shape + self.out_shape, f"weights of shape {self.weights.shape}")
        return self


class AveragePool(Sliding):
    """V0[y, c] = sum of the window's activations / its number of taps; padded taps count if `include_pad`."""

    kind: Literal["average_pool"] = "average_pool"
    include_pad: bool

    @model_validator(mode="after")
    def _keeps_channels(self) -> Self:
        _require(self.in_shape[-1] == self.out_shape[-1], "an average pool that changes the channels")
        return self

    @property
    def divisor(self) -> np.ndarray:
        """(*spatial out) float32: how many taps each window averages."""
        counts = []
        for axis in range(len(self.kernel)):
            before, after = (self.pads[axis], self.pads_end[axis]) if self.include_pad else (0, 0)
            start = np.arange(self.out_shape[axis])[:, None] * self.strides[axis] - self.pads[axis]
            position = start + np.arange(self.kernel[axis]) * self.dilations[axis]
            counts.append(((position >= -before) & (position < self.in_shape[axis] + after)).sum(1))
        return reduce(np.multiply.outer, counts).astype(np.float32)


class Scale(Record):
    """V0[..., c] = w[..., c] a[..., c]: one connection per neuron."""

    kind: Literal["scale"] = "scale"
    in_shape: Shape
    out_shape: Shape  # the same
    weights: FloatArray  # (channels,) or the whole shape, float32

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        _require(self.in_shape == self.out_shape, "a scale that changes the shape")
        _require(self.weights.shape in (self.in_shape[-1:], self.in_shape), f"weights of shape {self.weights.shape}")
        return self


class Spread(Record):
    """V0[y stride, c] = a[y, c] and 0 between: what a convolution reads to become a transposed one."""

    kind: Literal["spread"] = "spread"
    in_shape: Shape  # (*spatial, channels)
    out_shape: Shape  # ((size - 1) stride + 1 per axis, channels)
    strides: Shape

    @model_validator(mode="after")
    def _fits(self) -> Self:
        wide = tuple((size - 1) * stride + 1 for size, stride in zip(self.in_shape, self.strides))
        _require(len(self.strides) == len(self.in_shape) - 1 and (*wide, self.in_shape[-1]) == self.out_shape, "a spread that does not fit")
        return self


Synapses = Annotated[Conv | Dense | AveragePool | Scale | Spread, Field(discriminator="kind")]


class Connection(Record):
    """Spikes of one source through a chain of linear synapses that no neuron interrupts; an empty path is the identity."""

    source: str
    path: tuple[Synapses, ...]


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


class Input(Coded):
    """Encoder of analog values: tau = 1 - (x - lo) / (hi - lo). `direct` input takes no window and sends no spikes: x itself is a current."""

    kind: Literal["input"] = "input"
    coding: Literal["spikes", "direct"] = "spikes"
    onnx_name: str
    onnx_shape: Shape  # without the batch

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Smallest and largest value that some channel can encode; None where any can."""
        return None if self.coding == "direct" else (float(self.lo.min()), float(self.hi.max()))


class Spiking(Coded):
    """Integrate-and-fire neurons: V0 = sum of connections + bias, then V0 + S tau until the threshold 1 (the dynamic threshold).

    S, the slope: `fan_in`: the neuron's weight sum. `reference`: 1, because a reference neuron fires at the window's opening with weight
    1 - weight sum. `gated`: 1, a constant current, while synaptic currents stop when the window opens.
    """

    kind: Literal["spiking"] = "spiking"
    connections: tuple[Connection, ...]
    bias: FloatArray | None  # (channels,) or the whole shape, float32; a charge at the window's opening
    slope: Slope
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


class Network(Record):
    """A converted network. Layers are in topological order."""

    format_version: int = FORMAT_VERSION
    name: str
    mode: Literal["strict", "exact", "unchecked"]
    slope: Slope  # of every layer but those that read direct input, which are gated
    steps: int | None = Field(ge=1, le=MAX_STEPS)  # N, time steps per window; None: continuous time
    rounding: Literal["nearest", "ceil"]
    pooling: Literal["synaptic", "spiking"]
    onnx_sha256: str  # of the model file that was converted
    violations: tuple[Violation, ...] = ()  # what mode `unchecked` let pass
    calibration: Calibration | None = None
    ann_macs: int  # multiply-accumulates of the original network per inference
    layers: tuple[Layer, ...]
    onnx: ByteArray | None  # the original model, uint8
    head: ByteArray | None = None  # ONNX model from the model's inputs to the tensors that its input populations encode, uint8
    tail: ByteArray | None  # ONNX model from the readouts' potentials to the outputs, uint8; None: the potentials are the outputs
    precision: str = "float32"  # of the original's weights; all is computed in float32

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        """Everything the kernels rely on, so that no file can make them read outside their arrays."""
        kinds = [layer.kind for layer in self.layers]
        _require("input" in kinds and "readout" in kinds, "a network needs an input and a readout")
        seen: dict[str, Layer] = {}
        for layer in self.layers:
            unknown = set(sources(layer)) - {name for name, other in seen.items() if not isinstance(other, Readout)}
            _require(not unknown, f"layer {layer.name!r} uses unknown {sorted(unknown)}")
            _require(layer.name not in seen, f"layer {layer.name!r} appears twice")
            _require(not isinstance(layer, (Spiking, Readout)) or bool(layer.connections), f"layer {layer.name!r} has no connections")
            problem = _misfit(layer, seen)
            _require(problem is None, f"layer {layer.name!r}: {problem}")
            seen[layer.name] = layer
        return self

    @property
    def inputs(self) -> tuple[Input, ...]:
        return tuple(layer for layer in self.layers if isinstance(layer, Input))

    @property
    def readouts(self) -> tuple[Readout, ...]:
        return tuple(layer for layer in self.layers if isinstance(layer, Readout))

    @property
    def windows(self) -> int:
        """Windows until the last potentials can be read: 1 + the longest path of spiking layers."""
        return max(layer.window for layer in self.readouts)

    @property
    def latency_steps(self) -> int | None:
        """Steps until the potentials can be read; None in continuous time."""
        return None if self.steps is None else self.steps * self.windows

    @property
    def half(self) -> float:
        """h of the rounding rule, in steps."""
        return 0.5 if self.rounding == "nearest" else 0.0


def _misfit(layer: Layer, earlier: dict[str, Layer]) -> str | None:
    """What of `layer` contradicts itself or the layers before it."""
    size = math.prod(layer.shape)
    window = max((earlier[source].window for source in sources(layer)), default=_first_window(layer)) + has_neurons(layer)
    if layer.tensor_index is not None and not (layer.tensor_index.shape == (size,)
                                               and np.array_equal(np.sort(layer.tensor_index), np.arange(size))):
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


def weight_sum_deviation(layer: Layer) -> float | None:
    """Largest |weight sum - 1| of a population's neurons; None where there are none."""
    return float(np.abs(layer.weight_sums.astype(np.float64) - 1).max()) if has_neurons(layer) else None


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
