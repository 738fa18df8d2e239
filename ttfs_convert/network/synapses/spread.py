"""Spread: positions moved apart, with nothing between them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from ..records import Shape, require
from .axis_targets import Targets
from .kind import SynapseKind

if TYPE_CHECKING:
    from typing_extensions import Self

    from ...kernels.blocking import Weights


class Spread(SynapseKind):
    """V0[y stride, c] = a[y, c] and 0 between: what a convolution reads to become a transposed one."""

    named: ClassVar[bool] = False
    keeps_channels: ClassVar[bool] = True
    spreads: ClassVar[bool] = True
    sums_by_position: ClassVar[bool] = True

    kind: Literal["spread"] = "spread"
    in_shape: Shape  # (*spatial, channels)
    out_shape: Shape  # ((size - 1) stride + 1 per axis, channels)
    strides: Shape

    @model_validator(mode="after")
    def _fits(self) -> Self:
        wide = tuple((size - 1) * stride + 1 for size, stride in zip(self.in_shape, self.strides))
        require(len(self.strides) == len(self.in_shape) - 1 and (*wide, self.in_shape[-1]) == self.out_shape, "a spread that does not fit")
        return self

    @property
    def _places(self) -> tuple[slice, ...]:
        """Of the inputs, among the outputs' positions."""
        return tuple(slice(None, None, stride) for stride in self.strides)

    def apply(self, activations: np.ndarray) -> np.ndarray:
        spread = np.zeros(self.out_shape)
        spread[self._places] = activations
        return spread

    def add(self, activations: np.ndarray, potentials: np.ndarray, layout: Weights | None = None, dense: bool = False) -> None:
        potentials.reshape(len(activations), *self.out_shape)[(slice(None), *self._places)] += activations

    def synapses(self, virtual: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        source = np.arange(math.prod(self.in_shape), dtype=np.int64)
        target = np.arange(math.prod(self.out_shape), dtype=np.int64).reshape(self.out_shape)[self._places].reshape(-1)
        return target, source, np.ones(source.size, np.float32)

    def targets(self, axis: int, padded: bool = False) -> Targets:
        size = self.in_shape[axis]
        return Targets(np.arange(size, dtype=np.int64) * self.strides[axis], np.ones(size, np.int64), 1, self.out_shape[axis])
