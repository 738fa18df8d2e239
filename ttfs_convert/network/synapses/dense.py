"""Dense: synapses from every input to every output."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from ...kernels.blocking import Weights, pack
from ..records import FloatArray, Shape, require
from .kind import FittableKind, SharedRows, SynapseKind

if TYPE_CHECKING:
    from typing_extensions import Self


AT_ONCE = 1 << 21  # weights that are made float64 at a time
COLUMNS = 256  # of which at least so many outputs


def _product(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """values (inputs,) @ weights (inputs, outputs) in float64."""
    columns = max(1, AT_ONCE // (COLUMNS * len(weights))) * COLUMNS
    if columns >= weights.shape[1]:
        return values @ weights.astype(np.float64)
    return np.concatenate([values @ weights[:, first : first + columns].astype(np.float64) for first in range(0, weights.shape[1], columns)])


class Dense(FittableKind):
    """V0[o] = sum_i w[i, o] a[i]."""

    is_convolution: ClassVar[bool] = True
    trained: ClassVar[bool] = True
    programmed: ClassVar[bool] = True
    all_to_all: ClassVar[bool] = True
    channels_alike: ClassVar[bool] = False

    kind: Literal["dense"] = "dense"
    in_shape: Shape  # (inputs,): the source's neurons in channels-last order
    out_shape: Shape  # (outputs,)
    weights: FloatArray  # (inputs, outputs) float32

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        require(len(self.in_shape) == len(self.out_shape) == 1, f"a product from {self.in_shape} to {self.out_shape}")
        require(self.weights.shape == self.in_shape + self.out_shape, f"weights of shape {self.weights.shape}")
        return self

    def apply(self, activations: np.ndarray) -> np.ndarray:
        return _product(activations, self.weights)

    def kernel_layout(self) -> Weights:
        """A convolution of images with one pixel."""
        return pack(self.weights[None, None])

    def weight_sum(self, incoming: np.ndarray) -> np.ndarray:
        return _product(np.tile(incoming, self.in_shape[0] // incoming.size), self.weights)

    def gain(self) -> tuple[float, int]:
        return float(np.abs(self.weights).sum(0, dtype=np.float64).max()), self.in_shape[0]

    def macs(self, before: SynapseKind | None) -> int:
        return self.weights.size

    def scaled_outputs(self, factors: np.ndarray, shape: Shape) -> Self:
        return self.with_weights(self.weights * np.broadcast_to(factors, shape).reshape(-1))

    def scaled_inputs(self, factors: np.ndarray, shape: Shape) -> Self:
        return self.with_weights(self.weights * np.broadcast_to(factors, shape).reshape(-1, 1))

    def synapses(self, virtual: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        source, target = (axis.reshape(-1) for axis in np.indices(self.weights.shape, dtype=np.int64))
        return target, source, self.weights.reshape(-1)

    def shared_rows(self, positions: int, outputs: int, virtual: bool) -> SharedRows:
        """Each position of the layer is a tap of its own, which reads all inputs."""
        weights = self.weights.reshape(-1, positions, outputs).transpose(1, 0, 2)
        return SharedRows(weights, 1, np.arange(positions, dtype=np.int64)[:, None], np.zeros((positions, 1), np.int64))

    @property
    def fan_in(self) -> int:
        return self.in_shape[0]

    def patches(self, activations: np.ndarray, positions: np.ndarray, padding: float = 0.0) -> np.ndarray:
        rows = activations.reshape(len(activations), 1, -1)
        return np.repeat(rows, positions.shape[1], axis=1).reshape(-1, 1, self.in_shape[0])
