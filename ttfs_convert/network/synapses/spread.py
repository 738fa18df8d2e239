"""Positions moved apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from ..records import Record, Shape, require

if TYPE_CHECKING:
    from typing_extensions import Self


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
