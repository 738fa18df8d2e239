"""Synapses as data: the linear maps between populations, and the chain of them that a connection is.

Shapes leave out the batch and are channels last: (height, width, channels), (length, channels) or (features,).
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from typing_extensions import Self


def finite_array(value: object, dtype: type) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.dtype != dtype:
        raise ValueError(f"expected an array of {np.dtype(dtype)}, found {getattr(value, 'dtype', type(value).__name__)}")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise ValueError("found values that are not finite")
    return value


def require(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)


FloatArray = Annotated[np.ndarray, BeforeValidator(lambda value: finite_array(value, np.float32))]
IndexArray = Annotated[np.ndarray, BeforeValidator(lambda value: finite_array(value, np.int64))]
ByteArray = Annotated[np.ndarray, BeforeValidator(lambda value: finite_array(value, np.uint8))]
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
        require(len(self.kernel) in (1, 2) and {len(values) for values in axes} == {len(self.kernel)}, "axes differ in number")
        for kernel, stride, dilation, before, after, size, out in zip(*axes):
            room = size + before + after - dilation * (kernel - 1) - 1
            require(-(-room // stride) >= out - 1 >= room // stride, f"{out} outputs do not fit {size} inputs")
        return self


class Conv(Sliding):
    """V0[y, o] = sum_{k, c} w[k, c, o] a[y stride - pad + k dilation, c], by groups of channels; 1-D or 2-D."""

    kind: Literal["conv"] = "conv"
    weights: FloatArray  # (*kernel, channels in / groups, channels out) float32
    groups: int = Field(ge=1)

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        channels, outputs = self.in_shape[-1], self.out_shape[-1]
        require(channels % self.groups == 0 and outputs % self.groups == 0, f"{self.groups} groups of {channels} to {outputs} channels")
        require(self.weights.shape == (*self.kernel, channels // self.groups, outputs), f"weights of shape {self.weights.shape}")
        return self


class Dense(Record):
    """V0[o] = sum_i w[i, o] a[i]."""

    kind: Literal["dense"] = "dense"
    in_shape: Shape  # (inputs,): the source's neurons in channels-last order
    out_shape: Shape  # (outputs,)
    weights: FloatArray  # (inputs, outputs) float32

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        require(self.weights.shape == self.in_shape + self.out_shape, f"weights of shape {self.weights.shape}")
        return self


class AveragePool(Sliding):
    """V0[y, c] = sum of the window's activations / its number of taps; padded taps count if `include_pad`."""

    kind: Literal["average_pool"] = "average_pool"
    include_pad: bool

    @model_validator(mode="after")
    def _keeps_channels(self) -> Self:
        require(self.in_shape[-1] == self.out_shape[-1], "an average pool that changes the channels")
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
        require(self.in_shape == self.out_shape, "a scale that changes the shape")
        require(self.weights.shape in (self.in_shape[-1:], self.in_shape), f"weights of shape {self.weights.shape}")
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
        require(len(self.strides) == len(self.in_shape) - 1 and (*wide, self.in_shape[-1]) == self.out_shape, "a spread that does not fit")
        return self


class Sparse(Record):
    """V0[o, c] = sum_p w[o, p] a[p, c]: any linear map between positions, the same for every channel; with one channel, between neurons.

    Row o of w is weights[indptr[o]:indptr[o + 1]] at the input positions indices[indptr[o]:indptr[o + 1]]; an empty row is a 0. Its
    weights are fixed by the graph (interpolation, selection, sums), as an average pool's are, and not trained.
    """

    kind: Literal["sparse"] = "sparse"
    in_shape: Shape  # (positions, channels)
    out_shape: Shape  # (positions out, channels)
    indptr: IndexArray  # (positions out + 1,) int64
    indices: IndexArray  # (synapses,) int64: input positions, at most once in a row
    weights: FloatArray  # (synapses,) float32

    @model_validator(mode="after")
    def _fits(self) -> Self:
        require(len(self.in_shape) == len(self.out_shape) == 2 and self.in_shape[1] == self.out_shape[1],
                f"a sparse map from {self.in_shape} to {self.out_shape}")
        start, size = self.indptr, self.indices.size
        require(start.shape == (self.out_shape[0] + 1,) and start[0] == 0 and start[-1] == size and bool((start[1:] >= start[:-1]).all()),
                "rows that do not begin where the last one ends")
        require(self.indices.shape == self.weights.shape == (size,), f"{size} indices for weights of shape {self.weights.shape}")
        require(size == 0 or (self.indices.min() >= 0 and self.indices.max() < self.in_shape[0]), "indices outside the input")
        keys = np.sort(self.rows * self.in_shape[0] + self.indices)
        require(bool((keys[1:] != keys[:-1]).all()), "an input twice in one row")
        return self

    @property
    def rows(self) -> np.ndarray:
        """(synapses,) int64: the output position of each."""
        return np.repeat(np.arange(self.out_shape[0]), np.diff(self.indptr))


Synapses = Annotated[Conv | Dense | AveragePool | Scale | Spread | Sparse, Field(discriminator="kind")]


class Connection(Record):
    """Spikes of one source through a chain of linear synapses that no neuron interrupts; an empty path is the identity."""

    source: str
    path: tuple[Synapses, ...]


def has_virtual_neurons(step: Synapses, before: Synapses | None) -> bool:
    """Whether padded taps of `step`, which follows `before` in its path, are synapses: a pool's only if they count in its divisor; a
    transposed convolution has none. Zeros that a sparse map makes are none either."""
    return (isinstance(step, Conv) and not isinstance(before, Spread)) or (isinstance(step, AveragePool) and step.include_pad)
