"""What a kind of synapse has to say of itself. Each kind is one file here, and one row of `connection.Synapses`. Others ask
the methods here; only shortcuts of single kinds (`AveragePool` straight from spike steps, `Scale` in chains) know them by name.

A kind is a linear map from the activations of one population to potentials of another. It gives its fields, `apply` in plain NumPy and `add`
by compiled kernels. The rest has a default that holds for most: padded taps, weight sums, scales folded into weights, fan-out, single
synapses. Engines, measures and compensation ask only these methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from ...kernels.convolve import conv
from ..records import FloatArray, Record, Shape
from .axis_targets import Targets, product_of_axes
from .images import image
from .sliding import Geometry

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from typing_extensions import Self

    from ...kernels.blocking import Weights
    from .connection import Synapses

NOTHING = -2  # in place of a relay: this tap has no synapse


class SharedRows(NamedTuple):
    """Weights that all positions share: kernel tap tap[p, t] of position p reads the channels from relay[p, t] on."""

    weights: np.ndarray  # (kernel taps, channels / groups, outputs) float32
    groups: int  # of channels
    tap: np.ndarray  # (positions, taps) int64
    relay: np.ndarray  # (positions, taps) int64: flat index of an input's first channel, VIRTUAL in the padding, or NOTHING


class SynapseKind(Record):
    """Base of all kinds. Shapes leave out the batch and are channels last."""

    in_shape: Shape
    out_shape: Shape

    # What it is, and who asks

    named: ClassVar[bool] = True  # reports name it in a layer's kind (`populations.label`)
    trained: ClassVar[bool] = False  # its weights are parameters: counted (`operation_counts.paper`), multiplied (`macs`)
    programmed: ClassVar[bool] = False  # its weights are devices, which noise and few bits change (`studies/noise.py`); else they are wiring
    is_convolution: ClassVar[bool] = False  # `kernels.convolve.Convolution` computes it, from `images.wide` of in_shape to that of out_shape by
    # `kernel_layout` and `kernel_geometry`, and so fires neurons straight out of sums (`simulation/plan.py`); `shared_rows` are its weights
    keeps_channels: ClassVar[bool] = False  # a factor per channel may be in front of it as well as behind (`chains.then`)
    mixes_channels: ClassVar[bool] = False  # an output reads all channels of its group, at the positions that `targets` gives (`fan_out`)
    one_to_one: ClassVar[bool] = False  # every neuron has one synapse, to the neuron in its place (`fan_out`)
    all_to_all: ClassVar[bool] = False  # every output reads every input (`fan_out`); `targets` are then not asked
    spreads: ClassVar[bool] = False  # it makes room between inputs, so that a convolution behind it is a transposed one, without padding
    sums_by_position: ClassVar[bool] = False  # weight sums differ by position even without padding: they follow from `apply`, not `weight_sum`
    channels_alike: ClassVar[bool] = True  # from inputs that are alike in all channels `of_one_channel` makes what it makes (`weight_sums`)

    # What it computes

    def apply(self, activations: np.ndarray) -> np.ndarray:
        """V0, (*out_shape) float64, of activations (*in_shape) float64 of one sample; padded taps hold 0. Plain NumPy, obviously right."""
        raise NotImplementedError

    def add(self, activations: np.ndarray, potentials: np.ndarray, layout: Weights | None = None, dense: bool = False) -> None:
        """Add V0 to `potentials`, (n, *out_shape) float32 in any shape of as many values, contiguous, for `activations` (n, *in_shape)
        float32, by a compiled kernel; here by that of convolutions, which others replace. layout: `kernel_layout` of its weights. dense: whether
        to use silent inputs like the others."""
        packed = self.kernel_layout() if layout is None else layout
        if packed is None:
            raise NotImplementedError
        conv(image(activations, self.in_shape), packed, *self.kernel_geometry(), image(potentials, self.out_shape), dense)

    def kernel_layout(self) -> Weights | None:
        """Its weights as `add` wants them, made once per network; None: as they are."""
        return None

    def kernel_geometry(self) -> Geometry:
        """kernel, strides, dilations, pads as (y, x) pairs."""
        return (1, 1), (1, 1), (1, 1), (0, 0)

    # Padded taps

    def has_virtual_neurons(self, before: SynapseKind | None) -> bool:
        """Whether padded taps are synapses, from virtual neurons that slopes `fan_in` and `reference` need. before: the step in front."""
        return False

    @property
    def is_padded(self) -> bool:
        """Whether there are padded taps at all."""
        return False

    def padded_with(self, value: float, activations: np.ndarray) -> tuple[Self, np.ndarray]:
        """The same kind without padding, and `activations` (n, *in_shape) with `value` in their padding."""
        return self, activations

    # Weight sums and magnitudes

    def weight_sum(self, incoming: np.ndarray) -> np.ndarray:
        """sum_i w_ij s_i of each output channel, (channels out,) float64, padded taps included, where each of the `incoming` (channels,) sums
        s holds at all positions. Not asked of kinds whose sums differ by position."""
        raise NotImplementedError

    def of_one_channel(self) -> Self:
        """What it makes of channels that are all alike, one of which it is given; of kinds that leave channels alike."""
        return self.copied({"in_shape": (*self.in_shape[:-1], 1), "out_shape": (*self.out_shape[:-1], 1)})

    def gain(self) -> tuple[float, int]:
        """Largest sum of |weights| onto a neuron, and how many synapses a neuron has at most."""
        return 1.0, 1

    def macs(self, before: SynapseKind | None) -> int:
        """Multiply-accumulates per inference, padded taps included; 0 of what is wiring. before: the step in front."""
        return 0

    # Folding: see `chains`

    def scaled_outputs(self, factors: np.ndarray, shape: Shape) -> Synapses | None:
        """Itself with outputs times `factors`, per channel or whole of the neurons in `shape`; None: a Scale has to follow."""
        return None

    def scaled_inputs(self, factors: np.ndarray, shape: Shape) -> Synapses | None:
        """Itself with inputs times `factors`, likewise; None: its weights cannot hold them."""
        return None

    def merged_with(self, before: SynapseKind) -> Synapses | None:
        """Both steps in one; None where they stay two."""
        return None

    # Synapses one by one, for engine `event`

    def synapses(self, virtual: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every synapse: target neuron, source neuron or VIRTUAL, both flat int64, and weight, float32. virtual: with those of padded taps."""
        raise NotImplementedError

    def shared_rows(self, positions: int, outputs: int, virtual: bool) -> SharedRows | None:
        """Weights that the layer's positions share, where it is the last step in front of so many positions and outputs; None: each neuron has
        its own synapses, or positions are others."""
        return None

    # Fan-out: see `fan_out`

    def targets(self, axis: int, padded: bool = False) -> Targets | None:
        """Which positions each position reaches along one axis; None where axes do not stand apart. padded: padded positions send too."""
        return None

    def between_positions(self, padded: bool = False) -> csr_matrix:
        """(positions in, positions out) bool: which reaches which."""
        return product_of_axes([targets for axis in range(len(self.in_shape) - 1) if (targets := self.targets(axis, padded)) is not None])

    def reached(self, sent: np.ndarray) -> np.ndarray:
        """1 for every neuron, (*out_shape), that a spike of some neuron with a 1 in `sent`, (*in_shape), reaches; else 0."""
        ones = self.with_weights(np.ones_like(self.weights)) if isinstance(self, WeightedKind) else self
        return (ones.apply(sent) > 0).astype(np.float64)

    def reached_positions(self) -> np.ndarray | None:
        """(positions in,) int64: how many positions each reaches, where that is known without a matrix."""
        return None

    def channel_groups(self) -> int:
        """Groups of channels, each of which reads only its own."""
        return 1


class WeightedKind(SynapseKind):
    """A kind with weights of its own."""

    weights: FloatArray

    def with_weights(self, weights: np.ndarray) -> Self:
        """The same kind with other weights, which become float32."""
        return type(self)(**{**dict(self), "weights": np.ascontiguousarray(weights, np.float32)})


class FittableKind(WeightedKind):
    """A kind whose weights compensation can fit: each is used by all positions, in rows of inputs that `patches` shows."""

    @property
    def fan_in(self) -> int:
        """Weights per neuron, padded taps included."""
        raise NotImplementedError

    def patches(self, activations: np.ndarray, positions: np.ndarray, padding: float = 0.0) -> np.ndarray:
        """What the weights read: (n p, groups, weights per neuron) float32, in the order of the weights' own axes.

        activations: (n, *in_shape) float32. positions: (n, p), which outputs of each sample, flat. padding: what padded taps hold.
        """
        raise NotImplementedError
