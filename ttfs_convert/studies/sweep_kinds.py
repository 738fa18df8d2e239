"""What a sweep can make worse, and at which values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..kernels.rounding import MAX_STEPS, ROUNDINGS
from ..network.network import Network
from .noise import SpikeNoise, with_threshold_mismatch, with_weight_bits, with_weight_noise


@dataclass(frozen=True)
class SweepKind:
    """One way to get worse."""

    values: tuple  # those swept unless others are named
    unit: str  # of a value
    noisy: bool  # whether repeats differ
    prepare: Callable[[Network, Any, tuple[int, ...]], tuple[Network, SpikeNoise | None]]  # (network, value, seed) -> as it runs, noise on its spikes


SWEEP_KINDS: dict[str, SweepKind] = {
    "jitter": SweepKind(
        (0.5, 1, 2, 4),
        "steps, standard deviation of a spike's time",
        True,
        lambda network, value, seed: (network, SpikeNoise(network, value, 0, seed)),
    ),
    "drop": SweepKind(
        (0.001, 0.003, 0.01, 0.03, 0.1),
        "probability that a spike is lost",
        True,
        lambda network, value, seed: (network, SpikeNoise(network, 0, value, seed)),
    ),
    "weight-noise": SweepKind(
        (0.003, 0.01, 0.03, 0.1),
        "standard deviation, of a kernel's largest weight",
        True,
        lambda network, value, seed: (with_weight_noise(network, value, seed), None),
    ),
    "weight-bits": SweepKind((8, 7, 6, 5, 4, 3), "bits", False, lambda network, value, seed: (with_weight_bits(network, int(value)), None)),
    "threshold": SweepKind(
        (0.003, 0.01, 0.03, 0.1),
        "standard deviation of the neurons' thresholds",
        True,
        lambda network, value, seed: (with_threshold_mismatch(network, value, seed), None),
    ),
    "steps": SweepKind((4, 8, 16, 32, 64, 128, 256), "steps per window", False, lambda network, value, seed: (network.with_steps(int(value)), None)),
    "rounding": SweepKind(ROUNDINGS, "rule", False, lambda network, value, seed: (network.changed(rounding=value), None)),
}


def parsed_points(text: str) -> list[tuple[str, float | str]]:
    """Points that `text` names: "all", a kind, or a kind and its values such as "drop=0.01,0.1". Raises UsageError for others."""
    if text == "all":
        return [point for name in SWEEP_KINDS for point in parsed_points(name)]
    name, given, listed = text.partition("=")
    if name not in SWEEP_KINDS:
        raise UsageError("--sweep", f"{name!r}", f"all, {', '.join(SWEEP_KINDS)}")
    if not given:
        return [(name, value) for value in SWEEP_KINDS[name].values]
    return [(name, _value(name, each.strip())) for each in listed.split(",")]


LIMITS = {"jitter": (0, 65535), "drop": (0, 1), "weight-noise": (0, 100), "weight-bits": (2, 24), "threshold": (0, 100), "steps": (1, MAX_STEPS)}


def _value(name: str, text: str) -> float | str:
    if name == "rounding":
        if text not in SWEEP_KINDS[name].values:
            raise UsageError("--sweep rounding", f"{text!r}", " or ".join(ROUNDINGS))
        return text
    low, high = LIMITS[name]
    try:
        value = int(text) if name in ("weight-bits", "steps") else float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise UsageError(f"--sweep {name}", f"{text!r}", f"{SWEEP_KINDS[name].unit}, {low} to {high}")
    return value
