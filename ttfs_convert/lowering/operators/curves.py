"""Functions that are the shape of a threshold: any that increases is one neuron's, any with a single minimum that of two.

1. Sigmoid, Tanh, Erf, Exp, Log, Sqrt, Elu, ... -> neurons whose threshold falls as the function's inverse, see `network/activations/`.
2. Reciprocal, x^-p                             -> the same of -x, of which they are increasing functions.
3. Gelu, Swish, HardSwish, Mish, x^2, x^4, ...  -> two populations, one for either side of the minimum; what follows reads both.
4. Sin, Cos                                     -> a population for each way from one extreme to the next, as far as x reaches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ...network.activations.arctangent import Arctangent
from ...network.activations.erf import Erf
from ...network.activations.exponential import Exponential
from ...network.activations.exponential_linear import ExponentialLinear
from ...network.activations.gelu import Gelu, TanhGelu
from ...network.activations.half_wave import HalfWave
from ...network.activations.hard_swish import HardSwish
from ...network.activations.jump import Jump
from ...network.activations.logarithm import Logarithm
from ...network.activations.mish import Mish
from ...network.activations.power import Power
from ...network.activations.shrinkage import Shrinkage
from ...network.activations.sigmoid import Sigmoid
from ...network.activations.silu import Silu
from ...network.activations.softplus import Softplus
from ...network.activations.softsign import Softsign
from ...network.activations.tanh import Tanh
from ...network.activations.threshold_shape import Activation
from ...onnx_model.node import Node
from ..builder import Builder
from ..ranges.of_layers import Unbounded
from ..unsupported import UnsupportedNode
from ..values import Constant, Potential, Spikes
from .activation import lower_relu
from .affine import affine
from .sampled_function import Term, Terms

SELU = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}  # ONNX's defaults

INCREASING: Mapping[str, Callable[[dict], Activation]] = {
    "Atan": lambda given: Arctangent(),
    "Celu": lambda given: ExponentialLinear(alpha=given.get("alpha", 1.0), width=given.get("alpha", 1.0)),
    "Elu": lambda given: ExponentialLinear(alpha=given.get("alpha", 1.0)),
    "Erf": lambda given: Erf(),
    "Exp": lambda given: Exponential(),
    "Log": lambda given: Logarithm(),
    "Selu": lambda given: ExponentialLinear(alpha=given.get("alpha", SELU["alpha"]), scale=given.get("gamma", SELU["gamma"])),
    "Shrink": lambda given: Shrinkage(zone=given.get("lambd", 0.5), bias=given.get("bias", 0.0)),
    "Sigmoid": lambda given: Sigmoid(),
    "Softplus": lambda given: Softplus(),
    "Softsign": lambda given: Softsign(),
    "Sqrt": lambda given: Power(exponent=0.5),
    "Tanh": lambda given: Tanh(),
}
VALLEYS: Mapping[str, Callable[[dict], type[Gelu | HardSwish | Mish | Silu | TanhGelu]]] = {
    "Gelu": lambda given: TanhGelu if given.get("approximate", "none") == "tanh" else Gelu,
    "HardSwish": lambda given: HardSwish,
    "Mish": lambda given: Mish,
    "Swish": lambda given: Silu,
}

MOST_HALF_WAVES = 32  # populations for a sine
NO_SHAPE = ("its threshold would have a shape, the paper's is a constant", "--mode exact, or train with ReLU1")  # reason, remedy


def lower_increasing(node: Node, builder: Builder) -> None:
    """f(x), f one of INCREASING."""
    try:
        activation = INCREASING[node.operator](node.attributes)
    except ValueError:
        raise UnsupportedNode(f"it is no increasing function with {_attributes(node)}", "parameters with which it increases") from None
    builder.values[node.outputs[0]] = builder.fire(_potential(node, builder, True), node.outputs[0], activation=activation)


def lower_thresholded_relu(node: Node, builder: Builder) -> None:
    """x if x > alpha, else 0; alpha 0 is a ReLU, a negative one does not increase."""
    alpha = node.attributes.get("alpha", 1.0)
    if alpha < 0:
        raise UnsupportedNode(f"it falls where x rises past {alpha:g}", "alpha 0 or above")
    if alpha == 0:
        lower_relu(node, builder)
    else:
        builder.values[node.outputs[0]] = builder.fire(_potential(node, builder, True), node.outputs[0], activation=Jump(alpha=alpha))


def lower_valley(node: Node, builder: Builder) -> None:
    """f(x), f one of VALLEYS; Swish is x / (1 + exp(-alpha x))."""
    kind, alpha = VALLEYS[node.operator](node.attributes), node.attributes.get("alpha", 1.0) if node.operator == "Swish" else 1.0
    if alpha != 1:
        raise UnsupportedNode(f"alpha {alpha:g}", "write it as Swish(alpha x) / alpha")
    rising, falling = kind(side="rising"), kind(side="falling")
    builder.values[node.outputs[0]] = _valley(node, builder, (rising, falling), rising.depth)


def lower_wave(node: Node, builder: Builder) -> None:
    """sin(x) or cos(x): half waves to either side of an extreme in the middle of what x is known, or seen, to be."""
    potential, tensor = _potential(node, builder, False), node.inputs[0]
    span = builder.ranges.span(potential, tensor)
    low, high = span or (-math.pi, math.pi)
    highest = math.pi / 2 if node.operator == "Sin" else 0.0  # one of its maxima
    turns = math.floor(((low + high) / 2 - highest) / math.pi)
    middle, sign = highest + turns * math.pi, -1.0 if turns % 2 == 0 else 1.0
    above, below = max(1, math.ceil((high - middle) / math.pi)), max(0, math.ceil((middle - low) / math.pi))
    if above + below > MOST_HALF_WAVES:
        raise UnsupportedNode(
            f"x reaches from {low:.4g} to {high:.4g}, where it turns {above + below - 1} times",
            f"values that take at most {MOST_HALF_WAVES} half waves",
        )
    waves = [Term(HalfWave(since=middle + k * math.pi), sign * (-1) ** k) for k in range(above)]
    waves += [Term(HalfWave(since=k * math.pi - middle), sign * (-1) ** k, True) for k in range(below)]
    names = tuple(f"{node.name}/{k}" for k in range(len(waves)))
    builder.values[node.outputs[0]] = _sum_of(Terms(tuple(waves), -sign, (-1.0, 1.0)), names, node, builder)
    if span is None and not builder.ranges.measures:
        builder.ranges.unbounded[tensor] = Unbounded(names[0], tensor, potential.index, potential.shape[-1], -math.inf, math.inf)
        builder.measured[names[0]] = tensor


def lower_written_out(node: Node, builder: Builder) -> None:
    """A function of one tensor that `written_out.py` found, term by term."""
    builder.values[node.outputs[0]] = _sum_of(node.attributes["terms"], (node.name, f"{node.name}/mirrored"), node, builder)


def lower_reciprocal(node: Node, builder: Builder) -> None:
    """1 / x, of values of one sign."""
    _lower_power(node, builder, -1.0)


def lower_pow(node: Node, builder: Builder) -> None:
    """x^p, p one constant number; with an odd or even whole p > 0 of any x, else of x that are not negative."""
    if isinstance(builder.inputs(node)[0], Constant):
        raise UnsupportedNode("it is a power of a constant", "write it as Exp(x log(constant))")
    exponents = np.unique(builder.constant(node, 1, "exponent"))
    if exponents.size != 1 or not np.isfinite(exponents).all():
        raise UnsupportedNode("its exponents differ or are not finite", "one finite exponent for all elements")
    exponent = float(exponents[0])
    if exponent == 1:
        builder.values[node.outputs[0]] = builder.data(node)
    elif exponent == 0:
        raise UnsupportedNode("it is 1 everywhere", "leave it out")
    else:
        _lower_power(node, builder, exponent)


def _lower_power(node: Node, builder: Builder, exponent: float) -> None:
    if exponent > 0 and exponent % 2 == 0:
        half = Power(exponent=exponent)
        builder.values[node.outputs[0]] = _valley(node, builder, (half, half), 0.0)
    elif exponent > 0:
        activation = Power(exponent=exponent, odd=exponent % 2 == 1)
        builder.values[node.outputs[0]] = builder.fire(_potential(node, builder, True), node.outputs[0], activation=activation)
    else:
        potential = _potential(node, builder, False)
        below, above = bool(potential.bounds[1].max() <= 0), bool(potential.bounds[0].min() >= 0)
        if exponent % 2 == 0 and not (below or above):
            raise UnsupportedNode("it has a pole between negative and positive values", "clamp what it reads to numbers of one sign")
        negative = exponent % 2 == 1 and below  # -1 % 2 is 1 too
        rising = potential if exponent % 2 == 0 and below else _mirrored(potential, node, builder)
        activation = Power(exponent=exponent, odd=negative)
        builder.values[node.outputs[0]] = builder.fire(rising, node.outputs[0], activation=activation)


def _potential(node: Node, builder: Builder, increasing: bool) -> Potential:
    """The node's input. Raises UnsupportedNode where the mode has no thresholds with a shape, and in preprocessing, which ONNX Runtime does.
    increasing: whether max-pools that wait may go on waiting."""
    value = builder.data(node)
    if builder.slope == "fan_in":
        raise UnsupportedNode(*NO_SHAPE)
    if isinstance(value, Spikes) and value.raw and node.outputs[0] not in builder.ranges.loose:
        raise UnsupportedNode("nothing has spiked before it", "leave it to ONNX Runtime, as preprocessing")
    if isinstance(value, Potential) and (math.isfinite(value.low) or math.isfinite(value.high) or (value.max_pools and not increasing)):
        value = builder.spikes(value, node)
    return replace(builder.potential(value, node.name) if isinstance(value, Spikes) else value, name=node.name)


def _mirrored(potential: Potential, node: Node, builder: Builder) -> Potential:
    turned = affine(potential, np.full((), -1.0), np.zeros(()), node, builder)
    return builder.potential(turned, potential.name) if isinstance(turned, Spikes) else turned


def _valley(node: Node, builder: Builder, halves: tuple[Activation, Activation], depth: float) -> Spikes | Potential:
    """rising(x) + falling(-x) + depth. halves: rising, falling."""
    terms = Terms((Term(halves[0], 1.0), Term(halves[1], 1.0, True)), depth)
    return _sum_of(terms, (f"{node.name}/rising", f"{node.name}/falling"), node, builder)


def _sum_of(found: Terms, names: tuple[str, ...], node: Node, builder: Builder) -> Spikes | Potential:
    """A population for each term, but for those whose potentials never get to where they are not 0. names: of the populations."""
    potential, parts, which = _potential(node, builder, False), [], "function"
    mirrored = _mirrored(potential, node, builder) if any(term.mirrored for term in found.terms) else potential
    for name, term in zip(names, found.terms):
        own = replace(mirrored if term.mirrored else potential, name=name)
        if len(found.terms) > 1 and term.activation.value(own.bounds[1]).max() <= max(term.activation.bounds[0], 0):
            continue
        fired = builder.fire(own, node.inputs[0], part="mirrored" if term.mirrored else which, activation=term.activation)
        which = which if term.mirrored else "further"
        parts.append(affine(fired, np.full((), term.factor), np.zeros(()), node, builder))
    return _total(parts, found, node, builder)


def _total(parts: list[Spikes], found: Terms, node: Node, builder: Builder) -> Spikes | Potential:
    """The sum of the spike trains of `found` and its constant."""
    if len(parts) == 1:
        return replace(parts[0], offset=parts[0].offset + found.shift)
    result = builder.summed(parts, node.name)
    if found.ends is None:
        ends = [[np.broadcast_to(part.bounds[end], part.shape) for part in parts] for end in (0, 1)]
        bounds = np.minimum.reduce(ends[0]) + found.shift, np.maximum.reduce(ends[1]) + found.shift
    else:
        bounds = np.full(1, found.ends[0]), np.full(1, found.ends[1])
    return replace(result, bias=result.bias + found.shift, bounds=bounds, pooled_only=True)


def _attributes(node: Node) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in sorted(node.attributes.items()))
