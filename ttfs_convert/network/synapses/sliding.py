"""Windows that slide over positions: the geometry that convolutions and pools share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from pydantic import model_validator

from ..geometry_checks import Axis, misfit_of_axes
from ..records import Offsets, Record, Shape, require
from .axis_targets import Targets

if TYPE_CHECKING:
    from typing_extensions import Self


Pair = tuple[int, int]  # (y, x)


Geometry = tuple[Pair, Pair, Pair, Pair]  # kernel, strides, dilations, pads


class Sliding(Record):
    """Geometry of anything that slides over positions. All per axis; output y reads inputs y stride - pad + k dilation.

    An axis in front of height and width counts images, such as the frames of a sample, of which each is computed by itself.
    """

    in_shape: Shape  # (*spatial, channels) or (images, height, width, channels)
    out_shape: Shape  # likewise
    kernel: Shape  # taps
    strides: Shape  # input positions
    dilations: Shape  # input positions
    pads: Offsets  # padded positions before the first
    pads_end: Offsets  # padded positions after the last

    @model_validator(mode="after")
    def _fits(self) -> Self:
        axes = (self.kernel, self.strides, self.dilations, self.pads, self.pads_end, self.in_shape[:-1], self.out_shape[:-1])
        require(len(self.kernel) in (1, 2, 3) and {len(values) for values in axes} == {len(self.kernel)}, "axes differ in number")
        across_images = [(values[0], neutral) for values, neutral in zip(axes, (1, 1, 1, 0, 0, self.out_shape[0]))] * (len(self.kernel) == 3)
        require(all(value == neutral for value, neutral in across_images), "a window that slides over three axes")
        problem = misfit_of_axes(self.axes)
        require(problem is None, str(problem))
        return self

    @property
    def axes(self) -> list[Axis]:
        """One by one."""
        sizes = self.in_shape[:-1], self.out_shape[:-1], self.kernel, self.strides, self.dilations, self.pads, self.pads_end
        return [Axis(*values) for values in zip(*sizes)]

    def kernel_geometry(self) -> Geometry:
        """kernel, strides, dilations, pads as (y, x) pairs, as the kernels take them."""
        return _pair(self.kernel, 1), _pair(self.strides, 1), _pair(self.dilations, 1), _pair(self.pads, 0)

    @property
    def is_padded(self) -> bool:
        """Whether there are padded taps at all."""
        return any(self.pads) or any(self.pads_end)

    def padded_with(self, value: float, activations: np.ndarray) -> tuple[Self, np.ndarray]:
        """The same window without padding, and `activations` (n, *in_shape) with `value` in their padding."""
        padded = np.pad(activations, [(0, 0), *zip(self.pads, self.pads_end), (0, 0)], constant_values=value)
        none = (0,) * len(self.pads)
        return self.copied({"in_shape": padded.shape[1:], "pads": none, "pads_end": none}), padded

    def padded_to_reach(self, activations: np.ndarray, value: float = 0.0) -> np.ndarray:
        """(n, *spatial, channels) with `value` around it as far as the last window reaches, which may be more or less than `pads_end`."""
        room = [
            (out - 1) * stride + dilation * (kernel - 1) + 1 - before - size
            for out, stride, dilation, kernel, before, size in zip(
                self.out_shape, self.strides, self.dilations, self.kernel, self.pads, self.in_shape
            )
        ]
        widths = [(before, max(0, after)) for before, after in zip(self.pads, room)]
        return np.pad(activations, [(0, 0), *widths, (0, 0)], constant_values=value)

    def taps(self, image: np.ndarray) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
        """(tap, the inputs that it shows to every output) of one image (*spatial, channels), padded with 0."""
        padded = self.padded_to_reach(image[None])[0]
        for tap in product(*map(range, self.kernel)):
            yield (
                tap,
                padded[
                    tuple(
                        slice(k * dilation, k * dilation + (out - 1) * stride + 1, stride)
                        for k, dilation, out, stride in zip(tap, self.dilations, self.out_shape, self.strides)
                    )
                ],
            )

    def positions(self) -> np.ndarray:
        """(positions out, taps) int64: the input position that each tap of each output reads; -1 outside."""
        index = np.zeros((1,) * (2 * len(self.kernel)), np.int64)
        inside = np.ones_like(index, bool)
        for axis, size in enumerate(self.in_shape[:-1]):
            first = np.arange(self.out_shape[axis], dtype=np.int64)[:, None] * self.strides[axis] - self.pads[axis]
            at = first + np.arange(self.kernel[axis], dtype=np.int64) * self.dilations[axis]
            shape = [1] * index.ndim
            shape[axis], shape[len(self.kernel) + axis] = at.shape
            at = at.reshape(shape)
            index, inside = index * size + at, inside & (at >= 0) & (at < size)
        return np.where(inside, index, -1).reshape(math.prod(self.out_shape[:-1]), -1)

    def targets(self, axis: int, padded: bool = False) -> Targets:
        """Which outputs each input reaches along an axis."""
        return Targets.of_window(
            self.in_shape[axis],
            self.out_shape[axis],
            self.kernel[axis],
            self.strides[axis],
            self.dilations[axis],
            (self.pads[axis], self.pads_end[axis]),
            padded,
        )


def _pair(axes: tuple[int, ...], neutral: int) -> Pair:
    """Of height and width, the last two of `axes`; `neutral` for a height that is not there."""
    *before, x = axes
    return (before[-1] if before else neutral), x
