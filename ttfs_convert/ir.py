"""The spiking network as data: populations of neurons in topological order, each fed by connections from earlier ones.

Shapes leave out the batch and are channels last: (height, width, channels), (length, channels) or (features,). Times are in windows
(T = 1), potentials in units of the threshold. A population's `source`s name earlier populations; every graph without cycles fits.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

FORMAT_VERSION = 1
MAX_STEPS = 65535  # spike steps are stored as unsigned integers of at most 16 bits


def _finite_array(value: object, kinds: str) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in kinds:
        raise ValueError(f"expected an array of kind {kinds}, found {getattr(value, 'dtype', type(value).__name__)}")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise ValueError("found values that are not finite")
    return value


FloatArray = Annotated[np.ndarray, BeforeValidator(lambda value: _finite_array(value, "f"))]
IndexArray = Annotated[np.ndarray, BeforeValidator(lambda value: _finite_array(value, "i"))]
ByteArray = Annotated[np.ndarray, BeforeValidator(lambda value: _finite_array(value, "u"))]
Shape = tuple[int, ...]


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Sliding(Record):
    """Geometry of anything that slides over positions. All per spatial axis; output y reads inputs y stride - pad + k dilation."""

    in_shape: Shape  # (*spatial, channels)
    out_shape: Shape  # (*spatial, channels)
    kernel: Shape  # taps
    strides: Shape  # input positions
    dilations: Shape  # input positions
    pads: Shape  # padded positions before the first
    pads_end: Shape  # padded positions after the last


class Conv(Sliding):
    """V0[y, o] = sum_{k, c} w[k, c, o] a[y stride - pad + k dilation, c], by groups of channels; 1-D or 2-D."""

    kind: Literal["conv"] = "conv"
    weights: FloatArray  # (*kernel, channels in / groups, channels out) float32
    groups: int


class Dense(Record):
    """V0[o] = sum_i w[i, o] a[i]."""

    kind: Literal["dense"] = "dense"
    in_shape: Shape  # (inputs,): the source's neurons in channels-last order
    out_shape: Shape  # (outputs,)
    weights: FloatArray  # (inputs, outputs) float32


class AveragePool(Sliding):
    """V0[y, c] = sum of the window's activations / its number of taps; padded taps count if `include_pad`."""

    kind: Literal["average_pool"] = "average_pool"
    include_pad: bool


Synapses = Annotated[Conv | Dense | AveragePool, Field(discriminator="kind")]


class Connection(Record):
    """Spikes of one source through a chain of linear synapses that no neuron interrupts; an empty path is the identity."""

    source: str
    path: tuple[Synapses, ...]


class Population(Record):
    name: str
    shape: Shape
    window: int  # index of the window in which its spikes travel; the input's is 0
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


class Network(Record):
    """A converted network. Layers are in topological order: the input first, the readout last."""

    format_version: int = FORMAT_VERSION
    name: str
    mode: Literal["strict", "unchecked"]
    steps: int | None = Field(ge=1, le=MAX_STEPS)  # N, time steps per window; None: continuous time
    rounding: Literal["nearest", "ceil"]
    pooling: Literal["synaptic", "spiking"]
    onnx_sha256: str  # of the model file that was converted
    ann_macs: int  # multiply-accumulates of the original network per inference
    layers: tuple[Layer, ...]
    onnx: ByteArray | None  # the original model, uint8
    tail: ByteArray | None  # ONNX model from the readout's potentials to the outputs, uint8; None: the potentials are the output

    @model_validator(mode="after")
    def _sources_come_first(self) -> Network:
        seen: set[str] = set()
        for layer in self.layers:
            missing = set(sources(layer)) - seen
            if missing or layer.name in seen:
                raise ValueError(f"layer {layer.name!r} {'uses unknown ' + str(sorted(missing)) if missing else 'appears twice'}")
            seen.add(layer.name)
        if not self.layers or self.layers[0].kind != "input" or self.layers[-1].kind != "readout":
            raise ValueError("the first layer has to be the input and the last the readout")
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
    def half(self) -> float:
        """h of the rounding rule, in steps."""
        return 0.5 if self.rounding == "nearest" else 0.0


def sources(layer: Layer) -> tuple[str, ...]:
    """Names of the populations that feed `layer`."""
    if isinstance(layer, (Spiking, Readout)):
        return tuple(connection.source for connection in layer.connections)
    return () if isinstance(layer, Input) else (layer.source,)


def neurons(layer: Layer) -> int:
    """How many integrate-and-fire neurons a population has; encoders and wiring have none."""
    return math.prod(layer.shape) if isinstance(layer, (Spiking, Readout)) else 0


def label(layer: Layer) -> str:
    """The kind that reports show: that of the synapses that feed a neuron ("average_pool+conv"), else of the population."""
    if not isinstance(layer, (Spiking, Readout)):
        return layer.kind
    chains = ["+".join(step.kind for step in connection.path) or "identity" for connection in layer.connections]
    return " & ".join(dict.fromkeys(chains))
