"""Scale: one synapse per neuron."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from ..per_channel import compact
from ..records import FloatArray, Shape, require
from .kind import WeightedKind

if TYPE_CHECKING:
    from typing_extensions import Self

    from ...kernels.blocking import Weights

ROUNDING = 2.0**-23


class Scale(WeightedKind):
    """V0[..., c] = w[..., c] a[..., c]: one connection per neuron."""

    named: ClassVar[bool] = False
    programmed: ClassVar[bool] = True
    one_to_one: ClassVar[bool] = True
    channels_alike: ClassVar[bool] = False

    kind: Literal["scale"] = "scale"
    in_shape: Shape
    out_shape: Shape  # the same
    weights: FloatArray  # (channels,) or the whole shape, float32

    @classmethod
    def by(cls, factors: np.ndarray, shape: Shape) -> Scale:
        """Of neurons in `shape`. factors: per channel or whole, of any float type."""
        return cls(in_shape=shape, out_shape=shape, weights=np.ascontiguousarray(factors, np.float32))

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        require(self.in_shape == self.out_shape, "a scale that changes the shape")
        require(self.weights.shape in (self.in_shape[-1:], self.in_shape), f"weights of shape {self.weights.shape}")
        return self

    @property
    def is_identity(self) -> bool:
        """Whether all factors are 1, up to float32 rounding."""
        return bool((np.abs(self.weights - 1) <= ROUNDING).all())

    def apply(self, activations: np.ndarray) -> np.ndarray:
        return activations * self.weights

    def add(self, activations: np.ndarray, potentials: np.ndarray, layout: Weights | None = None, dense: bool = False) -> None:
        potentials += (activations * self.weights).reshape(potentials.shape)

    def weight_sum(self, incoming: np.ndarray) -> np.ndarray:
        return incoming * self.weights

    def gain(self) -> tuple[float, int]:
        return float(np.abs(self.weights).max()), 1

    def scaled_outputs(self, factors: np.ndarray, shape: Shape) -> Scale:
        return Scale.by(compact(np.broadcast_to(self.weights, self.out_shape).reshape(shape).astype(np.float64) * factors), shape)

    def synapses(self, virtual: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        neuron = np.arange(math.prod(self.in_shape), dtype=np.int64)
        return neuron, neuron, np.broadcast_to(self.weights, self.in_shape).reshape(-1)
