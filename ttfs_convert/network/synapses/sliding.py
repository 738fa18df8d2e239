"""Windows that slide over positions: the geometry that convolutions and pools share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import model_validator

from ..records import Offsets, Record, Shape, require

if TYPE_CHECKING:
    from typing_extensions import Self


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
        for kernel, stride, dilation, before, after, size, out in zip(*axes):
            room = size + before + after - dilation * (kernel - 1) - 1
            require(-(-room // stride) >= out - 1 >= room // stride, f"{out} outputs do not fit {size} inputs")
        return self
