"""Conv: synapses of a window that slides, 1-D or 2-D, by groups of channels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from ...kernels.blocking import Weights, pack, slides
from ...kernels.incoming_spikes import VIRTUAL
from ..per_channel import seen_as
from ..records import FloatArray, Shape, require
from .images import wide
from .kind import NOTHING, FittableKind, SharedRows, SynapseKind
from .sliding import Sliding

if TYPE_CHECKING:
    from typing_extensions import Self


class Conv(Sliding, FittableKind):
    """V0[y, o] = sum_{k, c} w[k, c, o] a[y stride - pad + k dilation, c], by groups of channels; 1-D or 2-D, of one image or of each.

    Behind a spread it is a transposed convolution, which has no padded taps.
    """

    is_convolution: ClassVar[bool] = True
    trained: ClassVar[bool] = True
    programmed: ClassVar[bool] = True
    mixes_channels: ClassVar[bool] = True

    kind: Literal["conv"] = "conv"
    weights: FloatArray  # (*kernel, channels in / groups, channels out) float32
    groups: int = Field(ge=1)

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        channels, outputs = self.in_shape[-1], self.out_shape[-1]
        require(channels % self.groups == 0 and outputs % self.groups == 0, f"{self.groups} groups of {channels} to {outputs} channels")
        require(self.weights.shape == (*self.kernel, channels // self.groups, outputs), f"weights of shape {self.weights.shape}")
        return self

    def apply(self, activations: np.ndarray) -> np.ndarray:
        result = np.zeros((*self.out_shape[:-1], self.groups, self.out_shape[-1] // self.groups))
        weights = self.weights.reshape(*self.weights.shape[:-1], self.groups, -1)
        for tap, inputs in self.taps(activations):
            grouped = inputs.reshape(*inputs.shape[:-1], self.groups, 1, -1)
            result += (grouped @ np.moveaxis(weights[tap], 0, 1).astype(np.float64))[..., 0, :]
        return result.reshape(self.out_shape)

    def kernel_layout(self) -> Weights:
        kernel, strides, dilations, _ = self.kernel_geometry()
        weights = self.weights.reshape(wide(self.kernel + self.weights.shape[-2:-1])[-3:] + self.weights.shape[-1:])
        return pack(weights, self.groups, slides(kernel[1], strides[1], dilations[1]))

    def has_virtual_neurons(self, before: SynapseKind | None) -> bool:
        return before is None or not before.spreads

    def weight_sum(self, incoming: np.ndarray) -> np.ndarray:
        per_tap = self.weights.sum(axis=tuple(range(len(self.kernel))), dtype=np.float64)  # (channels in / groups, channels out)
        channels, outputs = per_tap.shape[0], per_tap.shape[1] // self.groups
        return np.concatenate([incoming[g * channels : (g + 1) * channels] @ per_tap[:, g * outputs : (g + 1) * outputs] for g in range(self.groups)])

    def of_one_channel(self) -> Self:
        weights = self.weights.sum(-2, np.float64, keepdims=True)
        return self.copied({"in_shape": (*self.in_shape[:-1], 1), "weights": weights, "groups": 1})

    def gain(self) -> tuple[float, int]:
        taps = tuple(range(self.weights.ndim - 1))
        return float(np.abs(self.weights).sum(taps, dtype=np.float64).max()), math.prod(self.weights.shape[:-1])

    def macs(self, before: SynapseKind | None) -> int:
        """Of a transposed convolution by its inputs, each of which meets the whole kernel."""
        shape = before.in_shape if before is not None and before.spreads else self.out_shape
        return math.prod(shape[:-1]) * self.weights.size

    def scaled_outputs(self, factors: np.ndarray, shape: Shape) -> Self | None:
        per_channel = seen_as(factors, shape, self.out_shape)
        return self.with_weights(self.weights * per_channel) if per_channel.ndim == 1 else None

    def scaled_inputs(self, factors: np.ndarray, shape: Shape) -> Self | None:
        per_channel = seen_as(factors, shape, self.in_shape)
        if per_channel.ndim > 1:
            return None
        inputs = per_channel.reshape(self.groups, -1, 1)  # (groups, channels in / groups, 1) against (..., channels in / groups, out)
        grouped = self.weights.reshape(*self.weights.shape[:-1], self.groups, -1)
        return self.with_weights((grouped * inputs.transpose(1, 0, 2)).reshape(self.weights.shape))

    def synapses(self, virtual: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        position = self.positions()
        weights = self.weights.reshape(-1, *self.weights.shape[-2:])  # (taps, channels / groups, outputs)
        channels, outputs = weights.shape[1:]
        group = np.arange(outputs, dtype=np.int64) // (outputs // self.groups)
        out, tap, c, o = (axis.reshape(-1) for axis in np.indices((*position.shape, channels, outputs), dtype=np.int64))
        source = np.where(position[out, tap] >= 0, position[out, tap] * self.in_shape[-1] + group[o] * channels + c, VIRTUAL)
        kept = slice(None) if virtual else source >= 0
        return (out * outputs + o)[kept], source[kept], weights[tap, c, o][kept]

    def shared_rows(self, positions: int, outputs: int, virtual: bool) -> SharedRows | None:
        if (math.prod(self.out_shape[:-1]), self.out_shape[-1]) != (positions, outputs):
            return None
        position = self.positions()
        weights = self.weights.reshape(-1, *self.weights.shape[-2:])
        tap = np.broadcast_to(np.arange(position.shape[1], dtype=np.int64), position.shape)
        return SharedRows(weights, self.groups, tap, np.where(position >= 0, position * self.in_shape[-1], VIRTUAL if virtual else NOTHING))

    def channel_groups(self) -> int:
        return self.groups

    @property
    def fan_in(self) -> int:
        return self.weights.size // self.weights.shape[-1]

    def patches(self, activations: np.ndarray, positions: np.ndarray, padding: float = 0.0) -> np.ndarray:
        padded = self.padded_to_reach(activations.reshape(len(activations), *self.in_shape), padding)
        sizes = padded.shape[1:-1]
        at = np.unravel_index(positions, self.out_shape[:-1])
        first = np.ravel_multi_index([axis * stride for axis, stride in zip(at, self.strides)], sizes)
        offsets = np.indices(self.kernel, dtype=np.int64).reshape(len(self.kernel), -1)
        taps = np.ravel_multi_index([axis * dilation for axis, dilation in zip(offsets, self.dilations)], sizes)
        first = first + np.arange(len(padded), dtype=np.int64)[:, None] * math.prod(sizes)
        rows = np.take(padded.reshape(-1, padded.shape[-1]), first.reshape(-1, 1) + taps, axis=0)  # (n p, taps, channels)
        if self.groups == 1:
            return rows.reshape(len(rows), 1, -1)
        grouped = rows.reshape(len(rows), len(taps), self.groups, -1)
        return np.ascontiguousarray(np.moveaxis(grouped, 2, 1)).reshape(len(rows), self.groups, -1)
