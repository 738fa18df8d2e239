"""One synapse per neuron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from ..records import FloatArray, Record, Shape, require

if TYPE_CHECKING:
    from typing_extensions import Self


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
