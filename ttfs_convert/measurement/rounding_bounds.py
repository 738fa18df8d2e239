"""What float32 rounding may do to a layer's decoded spike times, in units of its range.

Both networks sum n terms, each to within sqrt(n) u times the sum of the terms' magnitudes (u = 2^-24; Higham and Mary, "A new approach to
probabilistic rounding error analysis", SIAM J. Sci. Comput. 41, 2019). Where large terms cancel, that is much of what is left:

    rounding_i = sqrt(n) u (2 G m + |b_i| + q_i) + G e,    G = max_i sum_j |w_ij|,    m = max(1, q of the sources)

Under a falling threshold V0 is in the original's units, and what rounding does to it is multiplied by how steep the activation f is:
at most the largest f(V + rounding) - f(V - rounding) over the values that the original had, in units of the layer's range, and q u for f itself.

q = max(|lo|, |hi|) / (hi - lo) is the largest value that the original holds, in units of the range; e what rounding did to the sources:
as far as it was measured no more than that, so that bounds do not grow from layer to layer. What an analog part makes of it nobody knows: the
encoders behind one are held to their own rounding.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from ..network.activations.activation_kind import FARTHEST, ActivationKind
from ..network.activations.threshold_shape import range_rows, threshold_at
from ..network.populations import Analog, Coded, Input, Layer, Readout, Spiking, sources
from ..network.synapses.connection import Connection

UNIT = 2.0**-24
FUNCTION = 4e-6  # of its largest value: what ONNX Runtime's own exponentials and error functions are off by


def rounding_bounds(
    layers: Sequence[Layer],
    errors: Mapping[str, float],
    cut_off: Container[str],
    largest: Mapping[str, float],
    seen: Mapping[str, tuple[float, float]] = MappingProxyType({}),
) -> dict[str, float]:
    """By population with activations, what its sources' rounding and its own may come to.

    errors: largest measured ones, by population that is compared: rounding did no more than that. cut_off: populations whose errors are
    passed on as they are, for values beyond their ranges are no rounding either. largest: magnitude of a direct input's values, by name.
    seen: smallest and largest activation that the original had, by population that is compared: what lies beyond has no part in its bound.
    """
    found: dict[str, float] = {}
    magnitudes: dict[str, float] = {}
    passed: dict[str, float] = {}
    for layer in (each for each in layers if not isinstance(each, (Analog, Readout))):
        magnitudes[layer.name] = largest.get(layer.name) or (
            _magnitude(layer) if isinstance(layer, Coded) else max(magnitudes[source] for source in sources(layer))
        )
        found[layer.name] = min(1.0, _rounding(layer, passed, magnitudes, seen.get(layer.name, (0.0, 1.0))))  # no activation is further off
        measured = errors.get(layer.name, found[layer.name])
        passed[layer.name] = measured if layer.name in cut_off else min(measured, found[layer.name])
    return found


def _rounding(layer: Layer, passed: Mapping[str, float], magnitudes: Mapping[str, float], seen: tuple[float, float]) -> float:
    if isinstance(layer, Input):
        return 2 * UNIT * (1 + magnitudes[layer.name])
    if not isinstance(layer, Spiking):
        return max(passed[source] for source in sources(layer))
    terms, total, inherited = 2, magnitudes[layer.name] + (float(np.abs(layer.bias).max()) if layer.bias is not None else 0.0), 0.0
    for connection in layer.connections:
        gain, fan_in = _gain(connection)
        terms += fan_in
        total += 2 * gain * max(1.0, magnitudes[connection.source])
        inherited += gain * passed[connection.source]
    rounding = math.sqrt(terms) * UNIT * total + inherited
    if layer.activation is None:
        return rounding
    of_potential = rounding - math.sqrt(terms) * UNIT * magnitudes[layer.name]
    return _through(layer, layer.activation, of_potential, seen) + FUNCTION * magnitudes[layer.name]


def _through(layer: Spiking, activation: ActivationKind, rounding: float, seen: tuple[float, float]) -> float:
    """The largest difference that potentials so far apart make, in units of the layer's range, where activations lie between those seen."""
    smooth = type(activation).inverse is ActivationKind.inverse  # found by halving, 60 times as long; the others include tables with jumps
    first, last = np.clip([1 - seen[1], 1 - seen[0]], 0, 1)
    course = threshold_at(activation, layer.lo, layer.hi, np.linspace(first, last, 65 if smooth else 513))
    course = np.clip(course, -FARTHEST, FARTHEST)
    low, high = (activation.value(course + by) for by in (-rounding, rounding))
    lo, hi = range_rows(layer.lo, layer.hi)
    return float(((np.clip(high, lo, hi) - np.clip(low, lo, hi)) / (hi - lo)).max())


def _magnitude(layer: Coded) -> float:
    lo, hi = layer.lo.astype(np.float64), layer.hi.astype(np.float64)
    return float((np.maximum(np.abs(lo), np.abs(hi)) / np.where(hi > lo, hi - lo, 1)).max())


def _gain(connection: Connection) -> tuple[float, int]:
    """Largest sum of |weights| along a connection, and how many synapses a neuron has at most."""
    gain, fan_in = 1.0, 1
    for step in connection.path:
        own, count = step.gain()
        gain, fan_in = gain * own, fan_in * count
    return gain, fan_in
