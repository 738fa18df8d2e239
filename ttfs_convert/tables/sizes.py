"""Bytes, and weights, in words."""

from __future__ import annotations


def size(count: float) -> str:
    """Bytes in words."""
    for unit, each in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= each:
            return f"{count / each:.3g} {unit}"
    return f"{count:.0f} B"


def weights_text(bits: int | None, count: int) -> str:
    """What weights are, and the bytes that they take."""
    return f"float32, {size(count)}" if bits is None else f"integers of {bits} bits times a scale per neuron, {size(count)}"
