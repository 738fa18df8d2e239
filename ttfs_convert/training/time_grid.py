"""Training on the grid of a window of N time steps: what the PyTorch and the Keras side have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import UsageError
from ..kernels.rounding import HALF, MAX_STEPS, TIE

LEAD = HALF["nearest"] + TIE  # a = 1 - k / N with k = ceil(N tau - LEAD) is floor(N a + LEAD) / N, because tau = 1 - a


def set_steps(activations: Sequence[Any], steps: int | None, model: str, activation: str) -> None:
    """Let every one of `activations`, which have an attribute `steps`, round to N = `steps` time steps in training; None: not at all.

    model, activation: what messages call the model and its activations. Raises UsageError for numbers out of range and for no activations.
    """
    if steps is not None and not 1 <= steps <= MAX_STEPS:
        raise UsageError("train_on_grid: steps", f"{steps}", f"1 to {MAX_STEPS}, or None")
    if not activations:
        raise UsageError(f"train_on_grid({model})", "no ReLU1", "at least one", f"use {activation} behind the layers")
    for each in activations:
        each.steps = steps
