"""Full connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from ..records import FloatArray, Record, Shape, require

if TYPE_CHECKING:
    from typing_extensions import Self


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
