"""Between which values an output of an ONNX graph lies, by interval arithmetic over the operators that compute it.

Going back from the output, linear layers end the walk: what they give is unbounded, unless their weights keep values from 0 to 1 there (an
average of probabilities, 1 - p). Every other operator is one row of RULES; what has none is not known, which is not the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from .dataflow import data_tensors, needed_nodes
from .node import Node
from .precision import weight
from .reference import Reference
from .session import arrays_of, session
from .single_node import one_node_model

LARGEST = float(np.finfo(np.float32).max)
ROUNDING = 1e-6  # of the bounds themselves


@dataclass(frozen=True)
class Interval:
    """lo, hi: of each element of a tensor, float64, -inf and inf where there is none. whole: whether its values are integers or booleans,
    be it as floats."""

    lo: np.ndarray
    hi: np.ndarray
    whole: bool = False

    @classmethod
    def unbounded(cls, shape: tuple[int, ...]) -> Interval:
        """From -inf to inf for every element of a tensor of `shape`."""
        return cls(np.full(shape, -np.inf), np.full(shape, np.inf))

    def __and__(self, ends: tuple[float, float]) -> Interval:
        """Also between `ends`."""
        return Interval(np.maximum(self.lo, ends[0]), np.minimum(self.hi, ends[1]), self.whole)

    def within(self, low: float, high: float) -> bool:
        """Whether all of it lies in [low, high], but for rounding."""
        return bool((self.lo >= low - ROUNDING).all() and (self.hi <= high + ROUNDING).all())


class UnknownBounds(Exception):
    """An operator that the table does not have stands before the output. node: its name, operator: its type."""

    def __init__(self, node: Node):
        super().__init__(f"{node.operator} {node.name!r}")
        self.node = node


class Bounds:
    """Of the tensors of `model`. feeds: a sample (or the model's fixed batch) of its inputs, as its session takes them, for shapes and
    constants. ends: of inputs whose values have some, by name. folder: of the model's external data, if it has some."""

    def __init__(
        self, model: onnx.ModelProto, feeds: Mapping[str, np.ndarray], ends: Mapping[str, tuple[float, float] | None], folder: Path | None = None
    ):
        self._model, self._feeds, self._ends, self._folder = model, feeds, ends, folder
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._nodes = {name: Node.of(proto) for proto in model.graph.node for name in proto.output}
        self._data = data_tensors(model.graph)
        self._known: dict[str, Interval] = {}

    def __call__(self, name: str) -> Interval:
        """Of the tensor `name`. Raises UnknownBounds."""
        if name not in self._known:
            self._known[name] = self._found(name)
        return self._known[name]

    def _found(self, name: str) -> Interval:
        if name not in self._nodes or name not in self._data:
            value = np.asarray(self.value(name))
            if name in self._data:
                low, high = self._ends.get(name) or (-np.inf, np.inf)
                return Interval(np.full(value.shape, low), np.full(value.shape, high), value.dtype.kind in "iub")
            return (
                Interval(value.astype(np.float64), value.astype(np.float64), value.dtype.kind in "iub")
                if value.dtype.kind in "fiub"
                else Interval.unbounded(value.shape)
            )
        node = self._nodes[name]
        rule = RULES.get(node.operator) if node.domain in ("", "ai.onnx") else None
        if rule is None or (len(node.outputs) > 1 and node.operator not in ("Split", "Dropout", "MaxPool", "BatchNormalization")):
            raise UnknownBounds(node)
        with np.errstate(all="ignore"):
            found = rule(self, node, name)
        lo, hi = (np.where(np.isnan(end), free, end) for end, free in ((found.lo, -np.inf), (found.hi, np.inf)))
        return Interval(lo, hi, found.whole or self.value(name).dtype.kind in "iub")

    def value(self, name: str) -> np.ndarray:
        """What the tensor holds for the sample; right for all samples if it does not depend on them."""
        if name in self._feeds:
            return self._feeds[name]
        if name in self._constants:
            return weight(self._constants[name], self._folder)
        return self._values[name]

    @functools.cached_property
    def _values(self) -> dict[str, np.ndarray]:
        return Reference(self._model, self._cone, folder=self._folder).as_computed(self._feeds)

    @functools.cached_property
    def _cone(self) -> list[str]:
        """Computed tensors that the outputs need."""
        _, needed = needed_nodes(self._model.graph, [value.name for value in self._model.graph.output])
        return [name for name in self._nodes if name in needed]

    def isdata(self, name: str) -> bool:
        """Whether the tensor depends on the values that the model is given."""
        return name in self._data

    def producer(self, name: str) -> Node | None:
        """The node that computes the tensor; None of an input or an initializer."""
        return self._nodes.get(name)

    def run(self, node: Node, name: str, replaced: Mapping[str, np.ndarray]) -> np.ndarray:
        """What `node` gives for its output `name`, float64, with `replaced` in place of its inputs that depend on data."""
        given = {
            each: _typed(replaced[each], self.value(each).dtype) if each in replaced else self.value(each)
            for each in dict.fromkeys(filter(None, node.inputs))
        }
        infos = [
            onnx.helper.make_tensor_value_info(each, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape) for each, array in given.items()
        ]
        model = one_node_model(node, infos, [name], self._model.opset_import, self._model.ir_version)
        return arrays_of(session(model).run([name], given))[0].astype(np.float64)


Rule = Callable[[Bounds, Node, str], Interval]


def _data(bounds: Bounds, node: Node) -> dict[str, Interval]:
    return {name: bounds(name) for name in dict.fromkeys(filter(None, node.inputs)) if bounds.isdata(name)}


def _typed(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    limits = np.iinfo(dtype) if dtype.kind in "iu" else None
    return (values if limits is None else np.clip(values, limits.min, limits.max)).astype(dtype)


def _finite(end: np.ndarray) -> np.ndarray:
    return np.clip(end, -LARGEST, LARGEST)


def _monotone(bounds: Bounds, node: Node, name: str) -> Interval:
    """Of an operator that rises, or falls, with everything it reads: what it gives at both ends."""
    given = _data(bounds, node)
    ends = []
    for side in ("lo", "hi"):
        at = bounds.run(node, name, {each: getattr(interval, side) for each, interval in given.items()})
        near = bounds.run(node, name, {each: _finite(getattr(interval, side)) for each, interval in given.items()}) if np.isnan(at).any() else at
        ends.append(np.where(np.isnan(at), near, at))
    nothing = np.isnan(ends[0]) | np.isnan(ends[1])
    return Interval(np.where(nothing, -np.inf, np.minimum(*ends)), np.where(nothing, np.inf, np.maximum(*ends)))


def _moved(bounds: Bounds, node: Node, name: str) -> Interval:
    """Of an operator that moves values, or chooses among them."""
    found, given = _monotone(bounds, node, name), _data(bounds, node)
    others = [bounds.value(each) for each in node.inputs if each and each not in given]
    return Interval(
        found.lo,
        found.hi,
        all(interval.whole for interval in given.values()) and all(other.dtype.kind != "f" or (other == np.rint(other)).all() for other in others),
    )


def _gathered(bounds: Bounds, node: Node, name: str) -> Interval:
    if not bounds.isdata(node.inputs[1]):
        return _moved(bounds, node, name)
    table = bounds(node.inputs[0])
    return _between(table.lo.min(), table.hi.max(), table.whole)(bounds, node, name)


def _between(low: float, high: float, whole: bool = False) -> Rule:
    def rule(bounds: Bounds, node: Node, name: str) -> Interval:
        shape = bounds.value(name).shape
        return Interval(np.full(shape, low), np.full(shape, high), whole)

    return rule


def _softmax(bounds: Bounds, node: Node, name: str) -> Interval:
    value, axis = bounds.value(name), node.attributes.get("axis", -1)
    only = value.shape[axis] == 1 and value.ndim > 1
    return _between(1.0 if only else 0.0, 1.0)(bounds, node, name)


def _pair(bounds: Bounds, node: Node) -> tuple[Interval, Interval]:
    return bounds(node.inputs[0]), bounds(node.inputs[1])


def _products(one: Interval, other: Interval) -> Interval:
    corners = np.stack(
        [np.nan_to_num(np.multiply(a, b), nan=0.0, posinf=np.inf, neginf=-np.inf) for a in (one.lo, one.hi) for b in (other.lo, other.hi)]
    )
    return Interval(corners.min(0), corners.max(0))


def _square(interval: Interval) -> Interval:
    found = _products(interval, interval)
    spans = (interval.lo <= 0) & (interval.hi >= 0)
    return Interval(np.where(spans, 0.0, np.minimum(interval.lo**2, interval.hi**2)), found.hi)


def _mul(bounds: Bounds, node: Node, name: str) -> Interval:
    one, other = _pair(bounds, node)
    return _square(one) if node.inputs[0] == node.inputs[1] else _products(one, other)


def _sub(bounds: Bounds, node: Node, name: str) -> Interval:
    one, other = _pair(bounds, node)
    found, taken = Interval(one.lo - other.hi, one.hi - other.lo), bounds.producer(node.inputs[1])
    if node.inputs[0] == node.inputs[1]:
        return found & (0, 0)
    if taken is not None and taken.inputs[0] == node.inputs[0]:
        found = found & {"ReduceMax": (-np.inf, 0), "ReduceMin": (0, np.inf)}.get(taken.operator, (-np.inf, np.inf))
    return found


def _inverse(interval: Interval) -> Interval:
    """1 / x, unbounded where x may have either sign."""
    mixed, above = (interval.lo < 0) & (interval.hi > 0), interval.lo >= 0
    lo = np.where(mixed, -np.inf, np.where(above | (interval.hi < 0), 1 / interval.hi, -np.inf))
    return Interval(lo, np.where(mixed, np.inf, np.where(above & (interval.lo == 0), np.inf, 1 / interval.lo)))


def _div(bounds: Bounds, node: Node, name: str) -> Interval:
    """A share of a sum of what is at least 0 lies between 0 and 1, any share of a sum with its magnitude between -1 and 1."""
    one, other = _pair(bounds, node)
    found = _products(one, _inverse(other))
    whole = bounds.producer(node.inputs[1])
    if whole is None or not (other.lo >= 0).all():
        return found
    summands = [bounds.producer(each) for each in whole.inputs if each]
    positive = (one.lo >= 0).all()
    if (
        node.inputs[0] in whole.inputs
        and positive
        and (whole.operator in ("ReduceSum", "ReduceMax", "ReduceL1", "ReduceL2") or _positive_sum(bounds, whole))
    ):
        return found & (0, 1)
    if whole.operator in ("ReduceL1", "ReduceL2") and node.inputs[0] in whole.inputs:
        return found & (-1, 1)
    magnitude = any(each is not None and each.operator == "Abs" and each.inputs[0] == node.inputs[0] for each in summands)
    return found & (-1, 1) if magnitude and _positive_sum(bounds, whole) else found


def _positive_sum(bounds: Bounds, node: Node) -> bool:
    return node.operator in ("Add", "Sum", "Max") and all((bounds(each).lo >= 0).all() for each in node.inputs)


def _reciprocal(bounds: Bounds, node: Node, name: str) -> Interval:
    return _inverse(bounds(node.inputs[0]))


def _abs(bounds: Bounds, node: Node, name: str) -> Interval:
    given = bounds(node.inputs[0])
    spans = (given.lo <= 0) & (given.hi >= 0)
    ends = np.abs(given.lo), np.abs(given.hi)
    return Interval(np.where(spans, 0.0, np.minimum(*ends)), np.maximum(*ends), given.whole)


def _pow(bounds: Bounds, node: Node, name: str) -> Interval:
    base, exponent = _pair(bounds, node)
    if bounds.isdata(node.inputs[1]) or exponent.lo.size != 1:
        if bounds.isdata(node.inputs[0]) or not (base.lo > 0).all():
            raise UnknownBounds(node)
        return _monotone(bounds, node, name)
    power = float(exponent.lo.reshape(-1)[0])
    if power == int(power) and int(power) % 2 == 0 and power > 0:
        size = _square(base)
        return Interval(size.lo ** (power / 2), size.hi ** (power / 2))
    if not (base.lo >= 0).all() and not (power == int(power) and power > 0):
        raise UnknownBounds(node)
    return _monotone(bounds, node, name)


def _root(bounds: Bounds, node: Node, name: str) -> Interval:
    given = bounds(node.inputs[0]) & (0, np.inf)
    function = np.sqrt if node.operator == "Sqrt" else np.log
    return Interval(function(given.lo), function(given.hi))


def _where(bounds: Bounds, node: Node, name: str) -> Interval:
    one, other = bounds(node.inputs[1]), bounds(node.inputs[2])
    shape = bounds.value(name).shape
    lo, hi = np.minimum(one.lo, other.lo), np.maximum(one.hi, other.hi)
    return Interval(np.broadcast_to(lo, shape), np.broadcast_to(hi, shape), one.whole and other.whole)


def _leaky(bounds: Bounds, node: Node, name: str) -> Interval:
    slopes = bounds.value(node.inputs[1]) if node.operator == "PRelu" else np.array(node.attributes.get("alpha", 0.01))
    if (slopes < 0).any() or (node.operator == "PRelu" and bounds.isdata(node.inputs[1])):
        raise UnknownBounds(node)
    return _monotone(bounds, node, name)


def _linear(bounds: Bounds, node: Node, name: str) -> Interval:
    """Unbounded, unless the weights take values from 0 to 1 to such values, and get them."""
    free = Interval.unbounded(bounds.value(name).shape)
    data = [each for each in node.inputs if each and bounds.isdata(each)]
    if len(data) != 1:
        return free
    weights = [each for each in node.inputs[:2] if each != data[0]]
    if len(weights) != 1 or not _affine_within(bounds, node, name, data[0], weights[0], 0.0, 1.0).within(0, 1):
        return free
    given = bounds(data[0])
    return _affine_within(bounds, node, name, data[0], weights[0], given.lo, given.hi) if given.within(0, 1) else free


def _affine_within(bounds: Bounds, node: Node, name: str, data: str, weights: str, low: np.ndarray | float, high: np.ndarray | float) -> Interval:
    kernel, shape = bounds.value(weights), bounds.value(data).shape
    constant = bounds.run(node, name, {data: np.zeros(shape), weights: np.zeros_like(kernel)})
    parts = {
        (sign, end): bounds.run(node, name, {data: np.broadcast_to(value, shape), weights: np.maximum(sign * kernel, 0)}) - constant
        for sign in (1, -1)
        for end, value in (("low", low), ("high", high))
    }
    return Interval(constant + parts[1, "low"] - parts[-1, "high"], constant + parts[1, "high"] - parts[-1, "low"])


def _rules(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


RULES: Mapping[str, Rule] = {
    **_rules("Conv ConvTranspose Gemm MatMul", _linear),
    **_rules(
        "Add Asinh Atan AveragePool BatchNormalization Ceil Celu Clip Elu Erf Exp Floor GlobalAveragePool HardSigmoid Mean Neg "
        "ReduceLogSumExp ReduceMean ReduceSum Relu Round Selu Sigmoid Sign Sinh Softplus Softsign Sum Tanh ThresholdedRelu",
        _monotone,
    ),
    **_rules(
        "Cast Concat DepthToSpace Dropout Expand Flatten GlobalMaxPool Identity Max MaxPool Min Pad "
        "ReduceMax ReduceMin Reshape Resize ReverseSequence Slice SpaceToDepth Split Squeeze Tile Transpose Trilu Unsqueeze Upsample",
        _moved,
    ),
    **_rules("And Equal Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Not Or Xor", _between(0, 1, whole=True)),
    **_rules("Cos Sin", _between(-1, 1)),
    **_rules("ArgMax ArgMin", _between(0, np.inf, whole=True)),
    **_rules("ReduceL1 ReduceL2 ReduceSumSquare", _between(0, np.inf)),
    **_rules("Gather GatherElements GatherND", _gathered),
    **_rules("Log Sqrt", _root),
    **_rules("LeakyRelu PRelu", _leaky),
    "Abs": _abs,
    "Div": _div,
    "Hardmax": _between(0, 1, whole=True),
    "LogSoftmax": _between(-np.inf, 0),
    "Mul": _mul,
    "Pow": _pow,
    "Reciprocal": _reciprocal,
    "Softmax": _softmax,
    "Sub": _sub,
    "Where": _where,
}
