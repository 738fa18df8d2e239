"""What function several operators compute together, found by its values under ONNX Runtime.

1. factor f(x) + shift, f a named function with a single minimum -> its two halves.
2. The same of another named function                             -> that one.
3. Anything else that rises, falls, or has one minimum or maximum -> tables of its values on either side, dense where it bends.

Each holds as far as FARTHEST from 0, or as ONNX Runtime has finite values; a table goes on as a line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

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

REACH, POINTS = 64.0, 4097  # most samples lie between -REACH and REACH, denser around 0
FARTHEST = 65536.0  # the others reach so far
SAME = 2e-6  # of the largest value near 0: what two float32 computations of one function may differ by
NEAR = 10.0
CLOSE = 1e-5  # of a value: what a float32 function may be off by far from 0
REFINEMENTS, MOST = 40, 16385  # halvings of what lies between two samples, and samples at most

Values = Callable[[np.ndarray], "np.ndarray | None"]  # y(x), float64; None where it cannot be had


@dataclass(frozen=True)
class Term:
    """factor f(x), or factor f(-x) where `mirrored`."""

    activation: Activation
    factor: float
    mirrored: bool = False


@dataclass(frozen=True)
class Terms:
    """The sum of `terms` + shift. ends: between which it lies; None: at most one of several terms is not 0 at any x."""

    terms: tuple[Term, ...]
    shift: float
    ends: tuple[float, float] | None = None

    @property
    def tabulated(self) -> bool:
        """Whether one of them has no name."""
        return any(isinstance(term.activation, MonotoneTable) for term in self.terms)


def recognised(nodes: Sequence[Node], base: str, constant: Callable[[str], np.ndarray | None], opset: int) -> Terms | None:
    """What `nodes`, in topological order, compute together, as a function of the tensor `base`; None where it has more than one extreme, is
    not finite, or does not depend on x. constant: arrays of the other inputs."""
    values = _values(nodes, base, constant, opset)
    samples = _sampled(values)
    if samples is None or np.ptp(samples[1]) == 0:
        return None
    x, y = samples
    near = np.abs(x) <= NEAR
    noise = SAME * np.abs(y[near]).max()
    terms = _named(x[near].astype(np.float64), y[near])
    if terms is not None and (np.abs(_sum(terms, x) - y) <= 2 * noise + CLOSE * np.abs(y)).all():
        return terms
    refined = _refined(x, y, values, noise)
    return None if refined is None else _tables(*refined, noise)


def _sampled(values: Values) -> tuple[np.ndarray, np.ndarray] | None:
    """x and y, as far as y is finite; None where it is not between -REACH and REACH."""
    near = np.sinh(np.linspace(-1, 1, POINTS) * np.arcsinh(REACH)).astype(np.float32)
    far = np.geomspace(REACH, FARTHEST, 129)[1:].astype(np.float32)
    x = np.concatenate([-far[::-1], near, far])
    y = values(x)
    if y is None:
        return None
    broken = np.flatnonzero(~np.isfinite(y))
    first = int(broken[broken < far.size].max(initial=-1)) + 1
    past = int(broken[broken >= far.size].min(initial=x.size))
    return (x[first:past], y[first:past]) if past >= far.size + near.size else None


def _values(nodes: Sequence[Node], base: str, constant: Callable[[str], np.ndarray | None], opset: int) -> Values:
    """y(x) under ONNX Runtime."""
    names = dict.fromkeys(name for node in nodes for name in node.inputs if name)
    arrays = {name: array for name in names if (array := constant(name)) is not None}
    result = nodes[-1].outputs[0]
    graph = onnx.helper.make_graph(
        [node.proto for node in nodes],
        "function",
        [onnx.helper.make_tensor_value_info(base, onnx.TensorProto.FLOAT, ["n"])],
        [onnx.helper.make_empty_tensor_value_info(result)],
        [onnx.numpy_helper.from_array(array.reshape(()), name) for name, array in arrays.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    try:
        running = session(model, quiet_options(optimised=False))
    except Exception:  # ONNX Runtime has one exception class per status, none of them public
        return lambda x: None

    def values(x: np.ndarray) -> np.ndarray | None:
        try:
            (y,) = arrays_of(running.run([result], {base: x}))
        except Exception:
            return None
        return y.astype(np.float64) if y.shape == x.shape and y.dtype.kind == "f" else None

    return values


def _sum(terms: Terms, x: np.ndarray) -> np.ndarray:
    given = x.astype(np.float64)
    total = np.full(given.shape, terms.shift)
    for term in terms.terms:
        total += term.factor * term.activation.value(-given if term.mirrored else given)
    return total


def _rounding(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What y(x) may be off by far from 0, where x may have been multiplied by what is off by some units in the last place."""
    return SAME * np.abs(y) + 2.0**-22 * np.abs(x.astype(np.float64))


def _refined(x: np.ndarray, y: np.ndarray, values: Values, noise: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Samples with more of them where a curve through them is off: down to neighbouring numbers at a jump or a kink. None where that takes too
    many."""
    from scipy.interpolate import PchipInterpolator  # slow to import, and few models have such functions

    doubtful = np.arange(x.size - 1, dtype=np.int64)
    for _ in range(REFINEMENTS):
        middle = ((x[doubtful].astype(np.float64) + x[doubtful + 1]) / 2).astype(np.float32)
        middle = middle[(x[doubtful] < middle) & (middle < x[doubtful + 1])]
        found = values(middle) if middle.size else middle
        if found is None or not np.isfinite(found).all():
            return None
        error = np.abs(PchipInterpolator(x.astype(np.float64), y)(middle.astype(np.float64)) - found) - _rounding(middle, found)
        off = error > noise / 5
        if not off.any() or (x.size + off.sum() > MOST and (error <= 2 * noise).all()):
            return x, y
        added = np.searchsorted(x, middle[off])
        x, y = np.insert(x, added, middle[off]), np.insert(y, added, found[off])
        if x.size > MOST:
            return None
        places = np.searchsorted(x, middle[off])
        doubtful = np.unique(np.concatenate([places - 1, places]))
    return x, y


def _named(x: np.ndarray, y: np.ndarray) -> Terms | None:
    from scipy.special import logit

    slope = (y[-1] - y[-2]) / (x[-1] - x[-2])
    middle = np.interp(1.0, x, y) - np.interp(0.0, x, y)
    share = middle / slope if slope else 0.0  # of a swish, the sigmoid of alpha
    alphas = {1.0, round(float(logit(share)), 4)} - {0.0} if 0.5 < share < 1 else {1.0}
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


def _tables(x: np.ndarray, y: np.ndarray, noise: float) -> Terms | None:
    """y as one table, or as two that meet at its extreme."""
    slack = noise + _rounding(x, y)
    for sign in (1.0, -1.0):  # rising, falling
        if _rises(sign * y, slack):
            return Terms((_table(x, sign * y, sign, False),), 0.0)
    for sign in (1.0, -1.0):  # a minimum, a maximum
        at = int(np.argmin(sign * y))
        bottom = float(y[at])
        right, left = sign * (y[at:] - bottom), sign * (y[at::-1] - bottom)
        if _rises(right, slack[at:]) and _rises(left, slack[at::-1]):
            halves = ((x[at:], right, False), (-x[at::-1], left, True))
            terms = (_table(*_flat_before(points, values), sign, mirrored) for points, values, mirrored in halves if np.ptp(values) > noise)
            return Terms(tuple(terms), bottom)
    return None


def _rises(values: np.ndarray, slack: np.ndarray) -> bool:
    return bool((np.maximum.accumulate(values) - values <= slack).all())


def _flat_before(points: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """0 on the other side of the extreme."""
    before = points[0] - max(1.0, abs(points[0]) * 2**-10)
    return np.concatenate([[before], points]), np.concatenate([[0], values])


def _table(points: np.ndarray, values: np.ndarray, sign: float, mirrored: bool) -> Term:
    rising = np.maximum.accumulate(values)
    return Term(MonotoneTable(potentials=points.astype(np.float32), values=rising.astype(np.float32)), sign, mirrored)
