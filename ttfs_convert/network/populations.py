"""Populations: the groups of neurons, encoders and wiring that are the layers of a network.

Shapes leave out the batch and are channels last: (height, width, channels), (length, channels) or (features,). Times are in windows
(T = 1), potentials in units of the threshold. A population's `source`s name earlier populations; every graph without cycles fits.
A decoded spike time a = 1 - tau stands for the original network's value x = lo + (hi - lo) a; weights and biases hold these ranges folded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from ..kernels.rounding import MAX_STEPS
from .activations.threshold_shape import Activation
from .choices import Slope
from .records import ByteArray, FloatArray, IndexArray, Record, Shape
from .synapses.connection import Connection
from .synapses.kind import WeightedKind
from .synapses.sliding import Sliding

if TYPE_CHECKING:
    from typing_extensions import TypeIs

Part = Literal["whole", "positive", "negative", "negated", "function", "mirrored", "further"]
# of a value x: x, max(x, 0), min(x, 0), max(-x, 0), and f(x), f(-x) and f(x) again, f the population's activation; `further` ones of a function that
# several populations of the same x carry
FUNCTIONS: tuple[Part, ...] = ("function", "mirrored", "further")


StepCount = Annotated[int, Field(ge=1, le=MAX_STEPS)]


class Population(Record):
    """A group of neurons, encoders or wires in one shape, whose spikes travel in one window."""

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
    """Encoder of analog values: tau = 1 - (x - lo) / (hi - lo). `direct` input takes no window and sends no spikes: x itself is a current.

    The values are the model's inputs, what the head makes of them, or what the analog part `source` gives; the latter is encoded in the window that
    opens when the part's readouts are read.
    """

    kind: Literal["input"] = "input"
    coding: Literal["spikes", "direct"] = "spikes"
    steps: StepCount | None = None  # N of its window; None: the network's
    onnx_name: str
    onnx_shape: Shape  # without the batch
    measured: bool = False  # whether lo and hi are from data: values outside are then cut off, else refused
    source: str | None = None  # the analog part that computes `onnx_name`; None: the model is given it, or the head computes it

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Smallest and largest value that may come; None where any may."""
        return None if self.coding == "direct" or self.measured else (float(self.lo.min()), float(self.hi.max()))


class Spiking(Coded):
    """Integrate-and-fire neurons: V0 = sum of connections + bias, then V0 + S tau until the threshold 1 (the dynamic threshold).

    S, the slope: `fan_in`: the neuron's weight sum. `reference`: 1, because a reference neuron fires at the window's opening with weight
    1 - weight sum. `gated`: 1, a constant current, while synaptic currents stop when the window opens.

    With an activation f the potential is in the original's units, S = 0 and the threshold falls as f^-1(hi - (hi - lo) tau): there is no constant
    current (`gated`), or the reference neuron's weight is - weight sum (`reference`).
    """

    kind: Literal["spiking"] = "spiking"
    connections: tuple[Connection, ...]
    bias: FloatArray | None  # (channels,) or the whole shape, float32; a charge at the window's opening
    slope: Slope
    steps: StepCount | None = None  # N of its window; None: the network's
    weight_sums: FloatArray  # (channels,) or the whole shape, float32: of all the neuron's weights, padded taps included
    activation: Activation | None = None  # None: a clamp
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
    tensor: str  # pyright: ignore[reportIncompatibleVariableOverride] - records are frozen, so a field may be narrower
    connections: tuple[Connection, ...]
    bias: FloatArray | None  # (channels,) or the whole shape, float32
    weight_sums: FloatArray  # (channels,) or the whole shape, float32; reported, not used
    onnx_shape: Shape  # of `tensor`, without the batch
    batched: bool = True  # whether `tensor` of one sample has an axis of size 1 in front of `onnx_shape`: the batch
    index: IndexArray  # flat channels-last position of each value of `tensor`, int64
    inner: bool = False  # whether analog parts alone read it, and neither the tail nor the output


class AnalogNode(Record):
    """A node of the original that does not spike."""

    name: str
    operator: str


class Analog(Population):
    """What ONNX Runtime computes between two windows: from potentials, as the windows of their readouts open, and from the model's inputs, to
    tensors that input populations encode. No neurons, no spikes; of no shape."""

    kind: Literal["analog"] = "analog"
    shape: Shape = ()
    tensor: str | None = None
    readouts: tuple[str, ...]  # whose potentials it may read
    nodes: tuple[AnalogNode, ...]  # of the original
    macs: int = Field(ge=0)  # their multiply-accumulates per inference
    model: ByteArray  # ONNX model from the readouts' tensors and the model's inputs to what is encoded, uint8


Layer = Annotated[Input | Spiking | MaxPool | Reorder | Concat | Readout | Analog, Field(discriminator="kind")]


def sources(layer: Layer) -> tuple[str, ...]:
    """Names of the populations that feed `layer`."""
    if isinstance(layer, (Spiking, Readout)):
        return tuple(connection.source for connection in layer.connections)
    if isinstance(layer, Concat):
        return layer.joined
    if isinstance(layer, Analog):
        return layer.readouts
    return () if layer.source is None else (layer.source,)


def ramp_slope(layer: Spiking) -> float:
    """S that slopes `gated` and `reference` give a layer's potentials in their window: 0 where the threshold has a shape, else 1."""
    return 0.0 if layer.activation is not None else 1.0


def has_neurons(layer: Layer) -> TypeIs[Spiking | Readout]:
    """Whether a population integrates and so takes a window; encoders and wiring do not."""
    return isinstance(layer, (Spiking, Readout))


def neurons(layer: Layer) -> int:
    """How many integrate-and-fire neurons a population has."""
    return math.prod(layer.shape) if has_neurons(layer) else 0


def trained_steps(layer: Layer) -> list[WeightedKind]:
    """The synapses into `layer` whose weights are the model's parameters."""
    connections = layer.connections if has_neurons(layer) else ()
    return [step for connection in connections for step in connection.path if isinstance(step, WeightedKind) and step.trained]


def weight_sum_deviation(layer: Layer) -> float | None:
    """Largest |weight sum - 1| of a population's neurons; None where there are none."""
    return float(np.abs(layer.weight_sums.astype(np.float64) - 1).max()) if has_neurons(layer) else None


def label(layer: Layer) -> str:
    """The kind that reports show: that of the synapses that feed a neuron ("average_pool+conv"), else of the population."""
    if not has_neurons(layer):
        return layer.kind
    chains = ["+".join(step.kind for step in connection.path if step.named) or "identity" for connection in layer.connections]
    return " & ".join(dict.fromkeys(chains))
