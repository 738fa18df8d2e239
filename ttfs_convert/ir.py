"""The spiking network as data: populations of neurons in topological order, each fed by connections from earlier ones.

Shapes leave out the batch and are channels last: (height, width, channels), (length, channels) or (features,). Times are in windows
(T = 1), potentials in units of the threshold. A population's `source`s name earlier populations; every graph without cycles fits.
"""

from __future__ import annotations

import math
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


Synapses = Annotated[Conv | Dense | AveragePool, Field(discriminator="kind")]


class Connection(Record):
    """Spikes of one source through a chain of linear synapses that no neuron interrupts; an empty path is the identity."""

    source: str
    path: tuple[Synapses, ...]


class Population(Record):
    name: str
    shape: Shape
    window: int = Field(ge=0)  # index of the window in which its spikes travel; the input's is 0
    tensor: str | None  # the original model's tensor that its decoded spike times (or potentials) should equal
    channels_first: bool = False  # whether `tensor` holds the neurons in channels-first order


class Input(Population):
    """Encoder of analog values in [0, 1]: tau = 1 - a."""

    kind: Literal["input"] = "input"
    onnx_name: str
    onnx_shape: Shape  # without the batch


class Spiking(Population):
    """Integrate-and-fire neurons: V0 = sum of connections + bias, then V0 + S tau until the threshold 1 (design: dynamic threshold)."""

    kind: Literal["spiking"] = "spiking"
    connections: tuple[Connection, ...]
    bias: FloatArray | None  # (channels,) or the whole shape, float32; a charge at the window's opening
    slope: Literal["fan_in"]
    slopes: FloatArray  # S, (channels,) float32: the sum of all the neuron's weights, padded taps included


class MaxPool(Population, Sliding):
    """The earliest spike of each window, per channel. No neurons and no window of its own; padded taps are silent."""

    kind: Literal["max_pool"] = "max_pool"
    source: str


class Reorder(Population):
    """Wiring: neuron i of this population is neuron index[i] of the source, both in channels-last order."""

    kind: Literal["reorder"] = "reorder"
    source: str
    index: IndexArray  # (neurons,) int64


class Readout(Population):
    """Neurons whose threshold is infinite: the output is V0 itself."""

    kind: Literal["readout"] = "readout"
    connections: tuple[Connection, ...]
    bias: FloatArray | None  # (channels,) or the whole shape, float32
    slopes: FloatArray  # weight sums, (channels,) float32; reported, not used
    onnx_shape: Shape  # of `tensor`, without the batch
    index: IndexArray  # flat channels-last position of each value of `tensor`, int64


Layer = Annotated[Input | Spiking | MaxPool | Reorder | Readout, Field(discriminator="kind")]


class Violation(Record):
    """A constraint of the paper that a layer breaks."""

    layer: str
    problem: str
    neurons: int
    worst: float | None  # largest |weight sum - 1|; None for an activation
    remedy: str


class Network(Record):
    """A converted network. Layers are in topological order: the input first, the readout last."""

    format_version: int = FORMAT_VERSION
    name: str
    mode: Literal["strict", "unchecked"]
    steps: int | None = Field(ge=1, le=MAX_STEPS)  # N, time steps per window; None: continuous time
    rounding: Literal["nearest", "ceil"]
    pooling: Literal["synaptic", "spiking"]
    onnx_sha256: str  # of the model file that was converted
    violations: tuple[Violation, ...] = ()  # what mode `unchecked` let pass
    ann_macs: int  # multiply-accumulates of the original network per inference
    layers: tuple[Layer, ...]
    onnx: ByteArray | None  # the original model, uint8
    tail: ByteArray | None  # ONNX model from the readout's potentials to the outputs, uint8; None: the potentials are the output

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        """Everything the kernels rely on, so that no file can make them read outside their arrays."""
        kinds = [layer.kind for layer in self.layers]
        _require(bool(kinds) and kinds[0] == "input" and kinds[-1] == "readout" and {"input", "readout"}.isdisjoint(kinds[1:-1]),
                 "the first layer has to be the input and the last the readout, and no other")
        seen: dict[str, Layer] = {}
        for layer in self.layers:
            unknown = set(sources(layer)) - set(seen)
            _require(not unknown, f"layer {layer.name!r} uses unknown {sorted(unknown)}")
            _require(layer.name not in seen, f"layer {layer.name!r} appears twice")
            _require(not isinstance(layer, (Spiking, Readout)) or bool(layer.connections), f"layer {layer.name!r} has no connections")
            problem = _misfit(layer, seen)
            _require(problem is None, f"layer {layer.name!r}: {problem}")
            seen[layer.name] = layer
        return self

    @property
    def input(self) -> Input:
        return self.layers[0]

    @property
    def readout(self) -> Readout:
        return self.layers[-1]

    @property
    def windows(self) -> int:
        """Windows until the potentials can be read: 1 + the longest path of spiking layers."""
        return self.readout.window

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
    window = max((earlier[source].window for source in sources(layer)), default=0) + isinstance(layer, (Spiking, Readout))
    if layer.window != window:
        return f"window {layer.window} instead of {window}"
    if isinstance(layer, Input):
        return None if math.prod(layer.onnx_shape) == size else f"{size} encoders for an input of shape {layer.onnx_shape}"
    if isinstance(layer, MaxPool):
        fits = math.prod(layer.in_shape) == math.prod(earlier[layer.source].shape) and layer.in_shape[-1] == layer.out_shape[-1]
        return None if fits and layer.out_shape == layer.shape else "a pool that does not fit its source"
    if isinstance(layer, Reorder):
        return None if layer.index.shape == (size,) and _within(layer.index, earlier[layer.source].shape) else "a broken index"
    if layer.slopes.shape != layer.shape[-1:] or (layer.bias is not None and layer.bias.shape not in (layer.shape[-1:], layer.shape)):
        return "slopes or bias of another shape"
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


def sources(layer: Layer) -> tuple[str, ...]:
    """Names of the populations that feed `layer`."""
    if isinstance(layer, (Spiking, Readout)):
        return tuple(connection.source for connection in layer.connections)
    return () if isinstance(layer, Input) else (layer.source,)


def neurons(layer: Layer) -> int:
    """How many integrate-and-fire neurons a population has; encoders and wiring have none."""
    return math.prod(layer.shape) if isinstance(layer, (Spiking, Readout)) else 0


def weight_sum_deviation(layer: Layer) -> float | None:
    """Largest |weight sum - 1| of a population's neurons; None where there are none."""
    return float(np.abs(layer.slopes.astype(np.float64) - 1).max()) if isinstance(layer, (Spiking, Readout)) else None


def first_problem(error: ValidationError, default: str) -> str:
    """The first thing a model refused, as "field: message"; `default` names it where no field is to blame."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or default}: {first['msg']}"


def label(layer: Layer) -> str:
    """The kind that reports show: that of the synapses that feed a neuron ("average_pool+conv"), else of the population."""
    if not isinstance(layer, (Spiking, Readout)):
        return layer.kind
    chains = ["+".join(step.kind for step in connection.path) or "identity" for connection in layer.connections]
    return " & ".join(dict.fromkeys(chains))
