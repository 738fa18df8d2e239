"""Windows that no input is as large as: 64-bit integers overflow, loops take minutes, arrays terabytes."""

from __future__ import annotations

from .network_file import Arrays, Change, Manifest, windows

SIZES = (5000, 10**6, 2**20, 2**31, 2**40, 2**62, 2**63, 2**64)
KINDS = ("conv", "average_pool", "max_pool")


def _set(where: str, field: str, size: int) -> Change:
    def change(manifest: Manifest, arrays: Arrays) -> None:
        step = windows(manifest, where)[-1]
        step[field] = [size, *step[field][1:]]

    return change


def _padded_to_fit(where: str, size: int) -> Change:
    """A dilation and as much padding, so that sizes add up."""

    def change(manifest: Manifest, arrays: Arrays) -> None:
        step = next(step for step in windows(manifest, where) if step["kernel"][0] > 1)
        taps = step["kernel"][0] - 1
        before = size * taps // 2
        room = (step["out_shape"][0] - 1) * step["strides"][0] + size * taps + 1 - step["in_shape"][0]
        step.update(
            dilations=[size, *step["dilations"][1:]], pads=[before, *step["pads"][1:]], pads_end=[max(0, room - before), *step["pads_end"][1:]]
        )

    return change


VARIANTS: dict[str, Change] = {
    **{f"{where}: {field} of {size}": _set(where, field, size) for where in KINDS for field in ("strides", "dilations", "pads") for size in SIZES},
    **{f"{where}: kernel of {size}": _set(where, "kernel", size) for where in KINDS for size in SIZES},
    **{f"{where}: dilation of {size}, padded to fit": _padded_to_fit(where, size) for where in KINDS for size in SIZES},
    **{f"{where}: in_shape of {size}": _set(where, "in_shape", size) for where in KINDS for size in SIZES},
    **{f"{where}: out_shape of {size}": _set(where, "out_shape", size) for where in KINDS for size in SIZES},
}
