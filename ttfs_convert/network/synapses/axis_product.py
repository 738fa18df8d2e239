"""AxisProduct: a matrix product over the positions, the same for every channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from ...kernels.blocking import Weights, pack
from ...kernels.convolve import conv
from ..records import FloatArray, Shape, require
from .axis_targets import Targets
from .kind import SynapseKind, WeightedKind

if TYPE_CHECKING:
    from typing_extensions import Self


class AxisProduct(WeightedKind):
    """V0[o, c] = sum_p w[p, o] a[p, c]: what MatMul with a constant on the left does, such as the mixing of tokens."""

    trained: ClassVar[bool] = True
    programmed: ClassVar[bool] = True
    keeps_channels: ClassVar[bool] = True
    sums_by_position: ClassVar[bool] = True

    kind: Literal["axis_product"] = "axis_product"
    in_shape: Shape  # (positions, channels)
    out_shape: Shape  # (positions out, channels)
    weights: FloatArray  # (positions, positions out) float32

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        require(
            len(self.in_shape) == len(self.out_shape) == 2 and self.in_shape[1] == self.out_shape[1],
            f"a product over positions from {self.in_shape} to {self.out_shape}",
        )
        require(self.weights.shape == (self.in_shape[0], self.out_shape[0]), f"weights of shape {self.weights.shape}")
        return self

    def apply(self, activations: np.ndarray) -> np.ndarray:
        return self.weights.T.astype(np.float64) @ activations

    def add(self, activations: np.ndarray, potentials: np.ndarray, layout: Weights | None = None, dense: bool = False) -> None:
        """A convolution of kernel 1 with channels as pixels and positions as channels."""
        samples, (positions, channels) = len(activations), self.in_shape
        turned = np.ascontiguousarray(activations.reshape(samples, positions, channels).swapaxes(1, 2))
        sums = np.zeros((samples, 1, channels, self.out_shape[0]), np.float32)
        conv(turned[:, None], self.kernel_layout() if layout is None else layout, *self.kernel_geometry(), sums, dense)
        potentials.reshape(samples, *self.out_shape)[:] += sums[:, 0].swapaxes(1, 2)

    def kernel_layout(self) -> Weights:
        return pack(self.weights[None, None])

    def gain(self) -> tuple[float, int]:
        return float(np.abs(self.weights).sum(0, dtype=np.float64).max()), self.in_shape[0]

    def macs(self, before: SynapseKind | None) -> int:
        return self.weights.size * self.in_shape[1]

    def synapses(self, virtual: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        position, out, c = (axis.reshape(-1) for axis in np.indices((*self.weights.shape, self.in_shape[1]), dtype=np.int64))
        return out * self.in_shape[1] + c, position * self.in_shape[1] + c, self.weights[position, out]

    def targets(self, axis: int, padded: bool = False) -> Targets:
        """Every position reaches all."""
        positions, outputs = self.weights.shape
        return Targets(np.zeros(positions, np.int64), np.full(positions, outputs, np.int64), 1, outputs)
