"""The threshold of a layer over its window: any of the functions, as a table of one threshold per time step, or in continuous time."""

from __future__ import annotations

import zlib
from typing import Annotated

import numpy as np
from pydantic import Field

from ...kernels.rounding import TIE
from ...kernels.shaped_crossing import course, fire_by_function
from .activation_kind import ActivationKind
from .arctangent import Arctangent
from .erf import Erf
from .exponential import Exponential
from .exponential_linear import ExponentialLinear
from .gelu import Gelu, TanhGelu
from .half_wave import HalfWave
from .hard_swish import HardSwish
from .jump import Jump
from .logarithm import Logarithm
from .mish import Mish
from .monotone_table import MonotoneTable
from .power import Power
from .shrinkage import Shrinkage
from .sigmoid import Sigmoid
from .silu import Silu
from .softplus import Softplus
from .softsign import Softsign
from .tanh import Tanh

Activation = Annotated[
    Arctangent
    | Erf
    | Exponential
    | ExponentialLinear
    | Gelu
    | HalfWave
    | HardSwish
    | Jump
    | Logarithm
    | Mish
    | MonotoneTable
    | Power
    | Shrinkage
    | Sigmoid
    | Silu
    | Softplus
    | Softsign
    | Tanh
    | TanhGelu,
    Field(discriminator="kind"),
]


def label(activation: Activation) -> str:
    """Its kind, with the parameters that are not the usual ones: no two functions of one tensor have the same."""
    fields, own = type(activation).model_fields, []
    for name, value in activation:
        if isinstance(value, np.ndarray):
            own.append(f"{name} {zlib.crc32(value.tobytes()):08x}")
        elif name in fields and name not in ("kind", "side") and value != fields[name].default:
            own.append(f"{name} {value:g}")
    return f"{activation.kind} ({', '.join(own)})" if own else activation.kind


def thresholds(activation: ActivationKind, lo: np.ndarray, hi: np.ndarray, steps: int, half: float) -> np.ndarray:
    """theta[c, k], float64, falling along k: the neuron fires at the first of the N = `steps` steps k with V0 >= theta[c, k], else it is silent.

        theta_k = f^-1(hi - (hi - lo) (k + h + 1e-4) / N)

    That is `threshold.time_step` of the decoded value. lo, hi: (channels,), of the layer's values; one row where all channels are alike.
    half: h of `rounding.HALF`.
    """
    low, high = range_rows(lo, hi)
    passed = (np.arange(steps, dtype=np.float64) + half + TIE) / steps
    return activation.inverse(high - (high - low) * passed)


def threshold_at(activation: ActivationKind, lo: np.ndarray, hi: np.ndarray, tau: np.ndarray) -> np.ndarray:
    """theta(tau), (channels, times) float64, in continuous time. tau: (times,) in [0, 1]; otherwise as for `thresholds`."""
    low, high = range_rows(lo, hi)
    return activation.inverse(high - (high - low) * tau)


def potential_range(activation: ActivationKind, lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The potentials between which the middle 98 % of the layer's values lie, (channels,) float64 each: the threshold's course without its ends,
    which may lie at infinity."""
    course = threshold_at(activation, lo, hi, np.array([0.99, 0.01]))
    low, high = np.broadcast_to(course, (len(lo), 2)).T
    return low, high


def steepness(activation: ActivationKind, lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
    """How many times more a decoded activation moves with its potential, in shares of the largest one, than behind a clamp, where it is once:
    max(1, |V| da/dV), (channels,) float64. The largest secant of the threshold's course without its ends."""
    moments = np.linspace(0.01, 0.99, 99)
    course = threshold_at(activation, lo, hi, moments)
    falls = -np.diff(course, axis=1)
    slopes = np.divide(moments[1] - moments[0], falls, out=np.zeros_like(falls), where=falls > 0)  # where it jumps, no rounding crosses
    return np.broadcast_to(np.maximum(1, slopes.max(1) * np.abs(course).max(1)), len(lo))


def spike_times(activation: ActivationKind, lo: np.ndarray, hi: np.ndarray, potential: np.ndarray) -> np.ndarray:
    """tau = clip((hi - f(V0)) / (hi - lo), 0, 1), the crossing in closed form, float64. potential: V0, (..., channels)."""
    low, high = lo.astype(np.float64), hi.astype(np.float64)
    return np.clip((high - activation.value(potential.astype(np.float64))) / (high - low), 0, 1)


class Crossing:
    """When the neurons of a layer fire: the crossing in closed form, made ready once. lo, hi: (channels,). turned: their potentials are those that
    it is given times -1."""

    def __init__(self, activation: ActivationKind, lo: np.ndarray, hi: np.ndarray, turned: bool = False):
        self._by_definition, self._turned, self._function = (activation, lo, hi), turned, activation.compiled
        if self._function is not None:
            if turned:
                self._function = self._function.turned()
            self._course = course(self._function, lo, hi)

    def fire(self, potential: np.ndarray, steps: int | None, half: float, times: np.ndarray) -> None:
        """Write spike times. potential: V0, (..., channels) float32. steps: N, None in continuous time. half: h of `rounding.HALF`. times: of that
        shape and of `recording.step_dtype`; both contiguous."""
        if self._function is not None:
            fire_by_function(potential, self._function, self._course, steps or 0, half, times)
            return
        tau = spike_times(*self._by_definition, -potential if self._turned else potential)
        times[...] = tau if steps is None else np.clip(np.ceil(steps * tau - half - TIE), 0, steps)


def range_rows(lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """lo and hi, (channels, 1) float64 each; one row of them where all channels are alike."""
    ends = np.stack([lo, hi], axis=1).astype(np.float64)
    ends = ends[:1] if (ends == ends[0]).all() else ends
    return ends[:, :1], ends[:, 1:]
