"""What hardware does to a network: spikes that jitter or get lost, weights and thresholds that are not what was programmed.

Noise on spikes is drawn anew for every spike; noise on weights and thresholds once per device, that is per seed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import UsageError
from ..network.activations.threshold_shape import potential_range
from ..network.network import Network
from ..network.per_channel import compact
from ..network.populations import Input, Spiking, has_neurons
from ..network.synapses.connection import Connection
from ..network.synapses.kind import WeightedKind
from ..network.synapses.weight_sums import weight_sums


class SpikeNoise:
    """A `simulation.exact_engine.Disturbance` on every spike that encoders and neurons send.

    jitter: standard deviation of a spike's time, in steps of its layer; the sum is rounded to a step and clipped to the window.
    drop: probability that a spike is lost; with slopes fan_in and reference its weight is then missing in the ramp too. seed: of images
    and layers apart, so that no figure depends on how images are batched.
    """

    def __init__(self, network: Network, jitter: float, drop: float, seed: tuple[int, ...]):
        self._jitter, self._drop, self._seed = jitter, drop, seed
        self._index = {layer.name: index for index, layer in enumerate(network.layers)}
        self._silent_ones_spike = network.slope != "gated"
        if drop:
            _refuse_lost_references(network, "lost spikes")
        self._first = 0

    def start(self, image: int) -> None:
        """The next batch begins with this image."""
        self._first = image

    def __call__(self, layer: Input | Spiking, times: np.ndarray, steps: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        if steps is None:
            raise UsageError("noise on spikes", "continuous time", "a number of steps", "set --steps N")
        noisy, lost = times.copy(), np.zeros(times.shape, bool)
        for image in range(len(times)):
            rng = np.random.default_rng([*self._seed, self._first + image, self._index[layer.name]])
            sent = np.ones(times.shape[1:], bool) if self._silent_ones_spike else times[image] < steps
            if self._jitter:
                moved = np.rint(times[image] + self._jitter * rng.standard_normal(times.shape[1:], np.float32)).clip(0, steps)
                noisy[image] = np.where(sent, moved, times[image])
            if self._drop:
                lost[image] = sent & (rng.random(times.shape[1:], np.float32) < self._drop)
                noisy[image][lost[image]] = steps
        return noisy, lost if self._drop and self._silent_ones_spike else None


def _refuse_lost_references(network: Network, noise: str) -> None:
    """Raise UsageError where noise would let potentials ramp that are to stay: no engine meets a falling threshold on the way."""
    shaped = [layer.name for layer in network.layers if isinstance(layer, Spiking) and layer.activation is not None and layer.slope != "gated"]
    if shaped:
        raise UsageError(
            noise,
            f"slope reference in {', '.join(shaped[:5])}, whose thresholds have a shape",
            "slope gated, whose potentials stay what they are",
            "convert with --slope gated",
        )


def with_weight_noise(network: Network, deviation: float, seed: tuple[int, ...]) -> Network:
    """Every weight w + deviation max|w| normal(0, 1), the maximum of its own kernel or matrix; the slopes follow. A reference neuron keeps the
    weight it was given, so its slope is off by what the weights' sum is off: such a network is one for engine `exact` alone, which takes slopes
    as they are said."""
    _refuse_lost_references(network, "weight noise")
    rng = np.random.default_rng(list(seed))
    return _with_weights(network, lambda w: w + np.float32(deviation) * np.abs(w).max() * rng.standard_normal(w.shape, np.float32), False)


def with_weight_bits(network: Network, bits: int) -> Network:
    """Every weight on a symmetric grid of 2^bits - 1 levels from -max|w| to max|w|, the maximum of its own kernel or matrix; the slopes follow. A
    reference neuron is given what the weights on the grid leave to 1."""
    levels = 2 ** (bits - 1) - 1

    def rounded(w: np.ndarray) -> np.ndarray:
        step = np.abs(w).max() / levels
        return (np.rint(w / step) * step).astype(np.float32) if step else w

    return _with_weights(network, rounded, True)


def with_threshold_mismatch(network: Network, deviation: float, seed: tuple[int, ...]) -> Network:
    """Every neuron's threshold is 1 + deviation normal(0, 1) instead of 1. As V >= 1 + d says V - d >= 1, that is a charge of -d. A threshold
    with a shape is moved by d times the potentials between which the middle 98 % of the layer's values lie."""
    rng = np.random.default_rng(list(seed))

    def mismatched(layer):
        if not isinstance(layer, Spiking):
            return layer
        charge = -deviation * rng.standard_normal(layer.shape)
        if layer.activation is not None:
            low, high = potential_range(layer.activation, layer.lo, layer.hi)
            charge = charge * (high - low)
        return layer.changed(bias=(charge + (0 if layer.bias is None else layer.bias)).astype(np.float32))

    return network.changed(layers=tuple(map(mismatched, network.layers)))


def _with_weights(network: Network, change: Callable[[np.ndarray], np.ndarray], reference_follows: bool) -> Network:
    def changed(layer):
        if not has_neurons(layer):
            return layer
        connections = tuple(_connection(connection, change) for connection in layer.connections)
        sums = compact(np.asarray(sum(weight_sums(connection, layer.shape) for connection in connections)))
        update: dict = {"connections": connections, "weight_sums": sums.astype(np.float32)}
        if isinstance(layer, Spiking) and layer.slope == "reference" and not reference_follows:
            update |= {"slope": "fan_in", "weight_sums": (1 + sums - layer.weight_sums).astype(np.float32)}
        return layer.changed(**update)

    return network.changed(layers=tuple(map(changed, network.layers)), weight_grid=None)


def _connection(connection: Connection, change: Callable[[np.ndarray], np.ndarray]) -> Connection:
    """Pools' and sparse maps' weights are wiring; convolutions', matrix products' and scales' are devices."""
    path = tuple(
        step.changed(weights=change(step.weights)) if isinstance(step, WeightedKind) and step.programmed else step for step in connection.path
    )
    return connection.changed(path=path)
