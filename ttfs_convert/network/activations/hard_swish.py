"""Swish made of lines."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...kernels.function_values import gated_line
from .valley import ValleyKind


class HardSwish(ValleyKind):
    """Half of x min(max(x + 3, 0), 6) / 6 (Howard et al., MobileNetV3, ICCV 2019)."""

    kind: Literal["hard_swish"] = "hard_swish"
    left = 0.0

    @property
    def lowest_at(self) -> float:
        """Where it is least."""
        return -1.5

    def inverse(self, value: np.ndarray) -> np.ndarray:
        y = np.asarray(value, np.float64)
        bent = 6 * np.clip(y, 0, None)
        rising = np.where(y <= 3.375, np.sqrt(bent) - 1.5, y - 0.375)
        falling = np.where(y <= 0.375, np.sqrt(bent) + 1.5, np.inf)
        return np.where(y > 0, rising if self.side == "rising" else falling, -np.inf)

    @property
    def formula(self) -> tuple:
        return gated_line, 3.0, 6.0

    def curve(self, x: np.ndarray) -> np.ndarray:
        return x * np.clip(x + 3, 0, 6) / 6
