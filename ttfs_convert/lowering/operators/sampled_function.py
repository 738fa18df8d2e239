"""What function several operators compute together, found by its values under ONNX Runtime.

1. factor f(x) + shift, f a named function with a single minimum -> its two halves.
2. The same of another named function                             -> that one.
3. Anything else that rises, falls, or has one minimum or maximum -> tables of its values on either side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from scipy.special import logit

from ...network.activations.exponential import Exponential
from ...network.activations.gelu import Gelu, TanhGelu
from ...network.activations.hard_swish import HardSwish
from ...network.activations.mish import Mish
from ...network.activations.monotone_table import MonotoneTable
from ...network.activations.power import Power
from ...network.activations.sigmoid import Sigmoid
from ...network.activations.silu import Silu
from ...network.activations.softplus import Softplus
from ...network.activations.softsign import Softsign
from ...network.activations.tanh import Tanh
from ...network.activations.threshold_shape import Activation
from ...onnx_model.node import Node
from ...onnx_model.session import arrays_of, quiet_options, session

REACH, POINTS = 64.0, 4097  # samples lie between -REACH and REACH, denser around 0
SAME = 2e-6  # of the largest value near 0: what two float32 computations of one function may differ by
NEAR = 10.0


@dataclass(frozen=True)
class Term:
    """factor f(x), or factor f(-x) where `mirrored`."""

    activation: Activation
    factor: float
    mirrored: bool = False


@dataclass(frozen=True)
class Terms:
    """The sum of `terms` + shift; at most one of them is not 0 at any x, if there are several."""

    terms: tuple[Term, ...]
    shift: float


def recognised(nodes: Sequence[Node], base: str, constant: Callable[[str], np.ndarray | None], opset: int) -> Terms | None:
    """What `nodes`, in topological order, compute together, as a function of the tensor `base`; None where it has more than one extreme, is
    not finite, or does not depend on x. constant: arrays of the other inputs."""
    x = np.sinh(np.linspace(-1, 1, POINTS) * np.arcsinh(REACH)).astype(np.float32)
    y = _values(nodes, base, constant, opset, x)
    if y is None or np.ptp(y) == 0:
        return None
    near = np.abs(x) <= NEAR
    return _named(x[near].astype(np.float64), y[near]) or _tables(x, y)


def _values(nodes: Sequence[Node], base: str, constant: Callable[[str], np.ndarray | None], opset: int, x: np.ndarray) -> np.ndarray | None:
    """y(x) under ONNX Runtime, float64; None where it cannot be had or is not finite."""
    names = dict.fromkeys(name for node in nodes for name in node.inputs if name)
    arrays = {name: array for name in names if (array := constant(name)) is not None}
    result = nodes[-1].outputs[0]
    graph = onnx.helper.make_graph(
        [node.proto for node in nodes],
        "function",
        [onnx.helper.make_tensor_value_info(base, onnx.TensorProto.FLOAT, [len(x)])],
        [onnx.helper.make_empty_tensor_value_info(result)],
        [onnx.numpy_helper.from_array(array.reshape(()), name) for name, array in arrays.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    try:
        (y,) = arrays_of(session(model, quiet_options(optimised=False)).run([result], {base: x}))
    except Exception:  # ONNX Runtime has one exception class per status, none of them public
        return None
    return y.astype(np.float64) if y.shape == x.shape and y.dtype.kind == "f" and np.isfinite(y).all() else None


def _named(x: np.ndarray, y: np.ndarray) -> Terms | None:
    slope = (y[-1] - y[-2]) / (x[-1] - x[-2])
    middle = np.interp(1.0, x, y) - np.interp(0.0, x, y)
    share = middle / slope if slope else 0.0  # of a swish, the sigmoid of alpha
    alphas = {1.0, round(float(logit(share)), 4)} if 0.5 < share < 1 else {1.0}
    valleys = [(kind(side="rising"), kind(side="falling")) for kind in (Gelu, TanhGelu, HardSwish, Mish)]
    valleys += [(Silu(side="rising", alpha=alpha), Silu(side="falling", alpha=alpha)) for alpha in sorted(alphas)]
    for rising, falling in valleys:
        fitted = _fitted(rising.value(x) + falling.value(-x) + rising.depth, y)
        if fitted is not None:
            factor, shift = fitted
            return Terms((Term(rising, factor), Term(falling, factor, True)), shift + factor * rising.depth)
    square = Power(exponent=2)
    fitted = _fitted(x**2, y)
    if fitted is not None:
        return Terms((Term(square, fitted[0]), Term(square, fitted[0], True)), fitted[1])
    for activation in (Sigmoid(), Tanh(), Softplus(), Softsign(), Exponential(), Power(exponent=3, odd=True)):
        for mirrored in (False, True):
            fitted = _fitted(activation.value(-x if mirrored else x), y)
            if fitted is not None:
                return Terms((Term(activation, fitted[0], mirrored),), fitted[1])
    return None


def _fitted(f: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """factor and shift for which factor f + shift is y; None if there are none."""
    ones = np.stack([f, np.ones_like(f)], axis=1)
    (factor, shift), *_ = np.linalg.lstsq(ones, y, rcond=None)
    factor, shift = (float(round(each, 6)) if abs(each - round(each, 6)) < 1e-6 else float(each) for each in (factor, shift))
    close = np.abs(factor * f + shift - y).max() <= SAME * np.abs(y).max()
    return (factor, shift) if close and factor else None


def _tables(x: np.ndarray, y: np.ndarray) -> Terms | None:
    """y as one or two tables."""
    noise = SAME * np.abs(y[np.abs(x) <= NEAR]).max()
    for sign in (1.0, -1.0):  # a minimum, a maximum
        at = int(np.argmin(sign * y))
        bottom = float(y[at])
        halves = ((x[at:], sign * (y[at:] - bottom), False), (-x[at::-1], sign * (y[at::-1] - bottom), True))
        if all((np.diff(values) >= -noise).all() for _, values, _ in halves):
            terms = [_table(points, values, sign, mirrored) for points, values, mirrored in halves if values.size > 1 and np.ptp(values) > noise]
            return Terms(tuple(terms), bottom)
    return None


def _table(points: np.ndarray, values: np.ndarray, sign: float, mirrored: bool) -> Term:
    """Of one side of the extreme; flat on the other."""
    before = np.float32(points[0] - max(1.0, abs(points[0]) * 2**-10))
    rising = np.maximum.accumulate(values)
    table = MonotoneTable(potentials=np.concatenate([[before], points]).astype(np.float32), values=np.concatenate([[0], rising]).astype(np.float32))
    return Term(table, sign, mirrored)
