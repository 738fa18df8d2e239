"""Which windows may slide over positions, in exact whole numbers: what a kernel reads follows from these alone.

Along each axis, output y has the taps y stride - pads + k dilation, 0 <= k < kernel, over the positions 0 to size - 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

MAX_VALUES = 2**31 - 1  # of one population or step, and so the largest size, stride, dilation or padding
REACH = 4096  # positions that a kernel, stride, dilation or padding may be, whatever the input's size; more only over inputs that are as large


class Axis(NamedTuple):
    """Of a window, along one axis. All but `pads` and `pads_end`, which are at least 0, are at least 1."""

    size: int
    out: int
    kernel: int
    stride: int
    dilation: int
    pads: int
    pads_end: int


def misfit_of_axes(axes: Iterable[Axis]) -> str | None:
    """What of a window cannot be."""
    return next((problem for axis in axes if (problem := _misfit(axis)) is not None), None)


def _misfit(axis: Axis) -> str | None:
    limit = max(axis.size, REACH)
    for name in ("pads", "pads_end"):
        if getattr(axis, name) > limit:
            return f"a padding of {getattr(axis, name)} over {axis.size} inputs, more than {limit}"
    padded = axis.size + axis.pads + axis.pads_end
    if axis.dilation > limit:
        return f"a dilation of {axis.dilation} over {axis.size} inputs, more than {limit}"
    for name in ("kernel", "stride"):
        if getattr(axis, name) > max(padded, REACH):
            return f"a {name} of {getattr(axis, name)} over {padded} padded inputs, more than {max(padded, REACH)}"
    room = padded - axis.dilation * (axis.kernel - 1) - 1
    if not -(-room // axis.stride) >= axis.out - 1 >= room // axis.stride:
        return f"{axis.out} outputs do not fit {axis.size} inputs"
    last = (axis.out - 1) * axis.stride
    if last > max(room, 0) and last >= axis.size + axis.pads:  # a window cut short at the end begins on an input, or in the padding before
        return f"a stride of {axis.stride} whose last of {axis.out} windows lies behind {axis.size} inputs"
    return None


def reads_padding_alone(axis: Axis) -> bool:
    """Whether a window of the axis, which fits otherwise, may have all its taps in the padding, so that there is nothing to average."""
    before = axis.pads > 0 and (axis.dilation > axis.size or -(-axis.pads // axis.dilation) >= axis.kernel)
    return before or (axis.out - 1) * axis.stride - axis.pads >= axis.size
