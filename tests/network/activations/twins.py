"""Every activation beside its definition, number by number, and the potentials between which both are looked at."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ttfs_convert.network.activations.activation_kind import ActivationKind
from ttfs_convert.network.activations.arctangent import Arctangent
from ttfs_convert.network.activations.erf import Erf
from ttfs_convert.network.activations.exponential import Exponential
from ttfs_convert.network.activations.exponential_linear import ExponentialLinear
from ttfs_convert.network.activations.gelu import Gelu, TanhGelu
from ttfs_convert.network.activations.half_wave import HalfWave
from ttfs_convert.network.activations.hard_swish import HardSwish
from ttfs_convert.network.activations.jump import Jump
from ttfs_convert.network.activations.logarithm import Logarithm
from ttfs_convert.network.activations.mish import Mish
from ttfs_convert.network.activations.monotone_table import MonotoneTable
from ttfs_convert.network.activations.power import Power
from ttfs_convert.network.activations.shrinkage import Shrinkage
from ttfs_convert.network.activations.sigmoid import Sigmoid
from ttfs_convert.network.activations.silu import Silu
from ttfs_convert.network.activations.softplus import Softplus
from ttfs_convert.network.activations.softsign import Softsign
from ttfs_convert.network.activations.tanh import Tanh
from ttfs_convert.network.activations.valley import ValleyKind


class Twin(NamedTuple):
    """activation; its definition, of one number; the lowest and the highest potential to look at."""

    activation: ActivationKind
    definition: Callable[[float], float]
    low: float
    high: float


def elu(alpha: float, scale: float, width: float) -> Callable[[float], float]:
    return lambda v: scale * v if v > 0 else scale * alpha * (math.exp(v / width) - 1)


def shrunk(zone: float, bias: float) -> Callable[[float], float]:
    return lambda v: v - bias if v > zone else v + bias if v < -zone else 0.0


def sigmoid(v: float) -> float:
    return 1 / (1 + math.exp(-v))


def table() -> MonotoneTable:
    potentials = np.array([-2, -1, 0.5, 1, 3], np.float32)
    return MonotoneTable(potentials=potentials, values=np.array([-1, -1, 0, 2, 2.5], np.float32))


def between(v: float) -> float:
    """`table` at v: Fritsch and Carlson's cubic between points, with weighted harmonic means of the slopes beside a point."""
    x, y = [-2.0, -1.0, 0.5, 1.0, 3.0], [-1.0, -1.0, 0.0, 2.0, 2.5]
    if v <= x[0]:
        return y[0]
    if v >= x[-1]:
        return y[-1] + (y[-1] - y[-2]) / (x[-1] - x[-2]) * (v - x[-1])
    h = [b - a for a, b in zip(x, x[1:])]
    d = [(b - a) / step for a, b, step in zip(y, y[1:], h)]

    def tangent(k: int) -> float:
        if k in (0, len(h)):  # of the parabola through the last three points, kept from turning round
            near, far, first, second = (h[0], h[1], d[0], d[1]) if k == 0 else (h[-1], h[-2], d[-1], d[-2])
            slope = ((2 * near + far) * first - near * second) / (near + far)
            return 0.0 if slope * first <= 0 else slope
        if d[k - 1] * d[k] <= 0:
            return 0.0
        first, second = 2 * h[k] + h[k - 1], h[k] + 2 * h[k - 1]
        return (first + second) / (first / d[k - 1] + second / d[k])

    k = max(i for i in range(len(h)) if x[i] <= v)
    t = (v - x[k]) / h[k]
    return (
        y[k] * (1 + 2 * t) * (1 - t) ** 2
        + h[k] * tangent(k) * t * (1 - t) ** 2
        + y[k + 1] * t**2 * (3 - 2 * t)
        - h[k] * tangent(k + 1) * t**2 * (1 - t)
    )


INCREASING = {
    "arctangent": Twin(Arctangent(), math.atan, -20, 20),
    "erf": Twin(Erf(), math.erf, -3, 3),
    "exponential": Twin(Exponential(), math.exp, -4, 3),
    "elu": Twin(ExponentialLinear(alpha=0.7), elu(0.7, 1, 1), -6, 6),
    "celu": Twin(ExponentialLinear(alpha=1.5, width=1.5), elu(1.5, 1, 1.5), -8, 6),
    "selu": Twin(ExponentialLinear(alpha=1.6732632, scale=1.050701), elu(1.6732632, 1.050701, 1), -6, 6),
    "half wave": Twin(HalfWave(since=-1.5), lambda v: 1 - math.cos(min(max(v + 1.5, 0), math.pi)), -2, 2),
    "jump": Twin(Jump(alpha=0.75), lambda v: v if v > 0.75 else 0.0, -3, 3),
    "jump at 0": Twin(Jump(alpha=0), lambda v: max(v, 0.0), -3, 3),
    "logarithm": Twin(Logarithm(), math.log, 1e-4, 50),
    "monotone_table": Twin(table(), between, -4, 6),
    "root": Twin(Power(exponent=0.5), lambda v: math.sqrt(max(v, 0)), -1, 9),
    "square": Twin(Power(exponent=2), lambda v: max(v, 0) ** 2, -1, 5),
    "cube": Twin(Power(exponent=3, odd=True), lambda v: v**3, -3, 3),
    "power of 1.5": Twin(Power(exponent=1.5), lambda v: max(v, 0) ** 1.5, -1, 5),
    "reciprocal": Twin(Power(exponent=-1), lambda v: 1 / -v, -9, -0.01),
    "reciprocal of negative": Twin(Power(exponent=-1, odd=True), lambda v: -1 / v, 0.01, 9),
    "power of -2": Twin(Power(exponent=-2), lambda v: (-v) ** -2, -9, -0.01),
    "soft shrinkage": Twin(Shrinkage(zone=0.5, bias=0.5), shrunk(0.5, 0.5), -3, 3),
    "hard shrinkage": Twin(Shrinkage(zone=0.8, bias=0), shrunk(0.8, 0), -3, 3),
    "shrinkage": Twin(Shrinkage(zone=1.5, bias=0.5), shrunk(1.5, 0.5), -3, 3),
    "sigmoid": Twin(Sigmoid(), sigmoid, -12, 12),
    "softplus": Twin(Softplus(), lambda v: math.log1p(math.exp(-abs(v))) + max(v, 0), -12, 20),
    "softsign": Twin(Softsign(), lambda v: v / (1 + abs(v)), -20, 20),
    "tanh": Twin(Tanh(), math.tanh, -6, 6),
}
VALLEYS: dict[str, tuple[Callable[..., ValleyKind], Callable[[float], float]]] = {
    "gelu": (Gelu, lambda x: 0.5 * x * math.erfc(-x / math.sqrt(2))),
    "tanh_gelu": (TanhGelu, lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
    "hard_swish": (HardSwish, lambda x: x * min(max(x + 3, 0), 6) / 6),
    "mish": (Mish, lambda x: x * math.tanh(math.log1p(math.exp(x)))),
    "silu": (Silu, lambda x: x * sigmoid(x)),
    "silu of 1.702": (lambda side: Silu(side=side, alpha=1.702), lambda x: x * sigmoid(1.702 * x)),
}


def half(name: str, side: str) -> Twin:
    """Of a valley, with its minimum looked for step by step."""
    kind, curve = VALLEYS[name]
    points = [-4 + k * 1e-4 for k in range(40001)]
    lowest = min(points, key=curve)
    depth = curve(lowest)
    if side == "rising":
        return Twin(kind(side=side), lambda v: curve(v) - depth if v > lowest else 0.0, -5, 6)
    return Twin(kind(side=side), lambda v: curve(-v) - depth if -v < lowest else 0.0, -6, 8)


TWINS = {**INCREASING, **{f"{name}, {side}": half(name, side) for name in VALLEYS for side in ("rising", "falling")}}
