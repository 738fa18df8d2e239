"""Convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ..records import FloatArray, require
from .sliding import Sliding

if TYPE_CHECKING:
    from typing_extensions import Self


class Conv(Sliding):
    """V0[y, o] = sum_{k, c} w[k, c, o] a[y stride - pad + k dilation, c], by groups of channels; 1-D or 2-D, of one image or of each."""

    kind: Literal["conv"] = "conv"
    weights: FloatArray  # (*kernel, channels in / groups, channels out) float32
    groups: int = Field(ge=1)

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        channels, outputs = self.in_shape[-1], self.out_shape[-1]
        require(channels % self.groups == 0 and outputs % self.groups == 0, f"{self.groups} groups of {channels} to {outputs} channels")
        require(self.weights.shape == (*self.kernel, channels // self.groups, outputs), f"weights of shape {self.weights.shape}")
        return self
