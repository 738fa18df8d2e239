"""Layer errors: how far every layer's decoded spike times are from ONNX Runtime's activations of the same data.

Errors of layers are in units of their range: |a_ANN - a|, a_ANN = (x - lo) / (hi - lo). The readout's are in the output's own units.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..kernels.spike_errors import NONE, Errors, compare
from ..network.network import Network
from ..network.populations import Coded, Input, Layer, MaxPool, Readout, Spiking, neurons, sources
from ..network.tensor_order import in_neuron_order, in_tensor_order, of_readout, part_of
from ..simulation.recording import ROUNDING as SILENT_ROUNDING
from ..simulation.recording import Recording
from .mean_interval import mean_interval
from .rounding_bounds import rounding_bounds

CONTINUOUS_TOLERANCE = 1e-4  # on a layer's largest error
SAYS_LITTLE = 0.01  # of a layer's range: a tolerance above that
SATURATION_WARNING = 1e-3  # share of a layer's values that its range cuts off
ROUNDING = 1e-6  # of the range: values this little beyond it are not cut off but rounded


@dataclass
class LayerError:
    """Streaming statistics of one population. Per neuron, `active` counts the images in which a > 0, `sent` those in which it spikes, int32: of
    large networks these are as large as the weights."""

    active: np.ndarray
    sent: np.ndarray
    images: int = 0
    compared: int = 0  # values
    max_error: float = 0.0
    sum_error: float = 0.0
    smallest: float = np.inf  # of the reference
    largest: float = -np.inf
    of_images: list[np.ndarray] = field(default_factory=list)  # each image's mean error, batch by batch; of layers whose spikes are compared
    saturated: int = 0  # values that the original network has outside the layer's range, which a spike time cannot carry

    @property
    def excess(self) -> float:
        """How far beyond the range the original's values lie, in units of it."""
        return max(0.0, self.largest - 1, -self.smallest) if self.saturated else 0.0

    @property
    def magnitude(self) -> float:
        """Of the values of an input that sends no spikes."""
        return max(abs(self.smallest), abs(self.largest)) if np.isfinite([self.smallest, self.largest]).all() else 1.0

    @property
    def largest_error(self) -> float | None:
        """Largest |decoded spike time - activation|, in units of the range; None where nothing was compared."""
        return self.max_error if self.compared else None

    @property
    def saturated_share(self) -> float | None:
        """Share of the original's values outside the range; None likewise."""
        return self.saturated / self.compared if self.compared else None

    @property
    def mean_error(self) -> float | None:
        """Mean of the same errors; None likewise."""
        return self.sum_error / self.compared if self.compared else None

    @property
    def mean_error_interval(self) -> tuple[float, float] | None:
        """95 %, of the mean error over images; None for fewer than two, or where no spikes were compared."""
        return mean_interval(np.concatenate(self.of_images)) if self.of_images else None

    @property
    def silent_share(self) -> float:
        """Share of neurons and images with a = 0."""
        return 1 - float(self.active.sum()) / (self.active.size * self.images)

    def add(self, found: Errors, values: int) -> None:
        """Errors of so many values of one batch."""
        self.smallest, self.largest = min(self.smallest, found.low), max(self.largest, found.high)
        self.max_error = max(self.max_error, found.largest)
        self.sum_error += found.total
        self.saturated += found.outside
        self.compared += values

    def compare(self, ours: np.ndarray, reference: np.ndarray) -> None:
        """Add |ours - reference|, float32 arrays of equal shape (one buffer is reused)."""
        difference = np.subtract(reference, ours, dtype=np.float32)
        np.abs(difference, out=difference)
        self.add(
            Errors(float(difference.max()), float(difference.sum(dtype=np.float64)), float(reference.min()), float(reference.max()), 0),
            difference.size,
        )


def original_activations(layer: Coded, tensor: np.ndarray, images: int) -> np.ndarray:
    """a_ANN = (x - lo) / (hi - lo) of each neuron, (images, *shape of the layer); below 0 or above 1 outside the layer's range.

    tensor: the original's values of `layer.tensor`, as ONNX Runtime gives them.
    """
    return (_part(in_neuron_order(tensor, layer, images), layer) - layer.lo) / _width(layer)


def _part(values: np.ndarray, layer: Coded) -> np.ndarray:
    return part_of(values, layer.part, layer.activation if isinstance(layer, Spiking) else None)


def _width(layer: Coded) -> np.ndarray:
    return np.where(layer.hi > layer.lo, layer.hi - layer.lo, np.float32(1))


def _ends(layer: Coded) -> tuple[np.ndarray, np.ndarray] | None:
    """lo and hi - lo of each neuron, as `compare` wants them."""
    if not np.any(layer.lo) and np.all(layer.hi == 1):
        return None
    lo, width = (np.array(np.broadcast_to(each, layer.shape), np.float32).reshape(-1, layer.shape[-1]) for each in (layer.lo, _width(layer)))
    return lo, width


@dataclass
class LayerErrors:
    """Errors of all populations and of the readout's potentials, added batch by batch."""

    network: Network
    layers: dict[str, LayerError] = field(default_factory=dict)
    _tolerances: dict[str, float] | None = field(default=None, init=False)  # of what was added so far, once somebody has asked

    def add(self, recording: Recording, reference: Mapping[str, np.ndarray]) -> None:
        """recording: of one batch. reference: ONNX Runtime's tensors for it, by name; missing ones are not compared."""
        images, self._tolerances = len(recording.potentials), None
        for layer in self.network.layers:
            if layer.name not in self.layers:
                self.layers[layer.name] = LayerError(np.zeros(layer.shape, np.int32), np.zeros(layer.shape, np.int32))
            errors = self.layers[layer.name]
            errors.images += images
            if isinstance(layer, Readout):
                if layer.tensor is not None and layer.tensor in reference:
                    potentials = recording.readouts[layer.tensor]
                    errors.compare(potentials, of_readout(reference[layer.tensor], layer, images))
            elif layer.name in recording.spike_times:
                self._compare(layer, errors, recording, reference)
            elif isinstance(layer, Input):
                errors.active += images  # a direct input: every current flows
                errors.sent += images
                values = reference.get(layer.onnx_name, np.ones(1, np.float32))
                errors.smallest, errors.largest = min(errors.smallest, float(values.min())), max(errors.largest, float(values.max()))

    @functools.cached_property
    def _ends(self) -> dict[str, tuple[np.ndarray, np.ndarray] | None]:
        return {layer.name: _ends(layer) for layer in self.network.layers if isinstance(layer, Coded)}

    def _compare(self, layer: Layer, errors: LayerError, recording: Recording, tensors: Mapping[str, np.ndarray]) -> None:
        values = None if layer.tensor is None else tensors.get(layer.tensor)
        times, plane, reference = recording.spike_times[layer.name], (-1, layer.shape[-1]), NONE
        if isinstance(layer, Coded) and values is not None:
            reference = np.ascontiguousarray(_part(in_tensor_order(values, layer, len(times)), layer), np.float32)
        totals = np.zeros(len(times))
        found = compare(
            times.reshape(len(times), *plane),
            recording.steps[layer.name] or 0,
            1 - SILENT_ROUNDING,
            reference,
            layer.channels_first,
            self._ends.get(layer.name),
            ROUNDING,
            errors.active.reshape(plane),
            errors.sent.reshape(plane),
            totals,
        )
        errors.add(found, times.size if reference.size else 0)
        if reference.size:
            errors.of_images.append(totals / times[0].size)

    def saturated(self) -> list[str]:
        """Names of layers whose range cuts off more than 0.1 % of the values."""
        return [name for name, errors in self.layers.items() if (errors.saturated_share or 0) > SATURATION_WARNING]

    def worst_readout(self) -> LayerError | None:
        """Of the readout whose largest error is the largest share of its range; None where nothing matches."""
        compared = [self.layers[layer.name] for layer in self.network.readouts if self.layers[layer.name].compared]
        return max(compared, key=lambda errors: errors.max_error / max(errors.largest - errors.smallest, 1e-30), default=None)

    def active_shares(self) -> dict[str, np.ndarray]:
        """Per population, the share of images in which each neuron has a > 0."""
        return {name: errors.active / errors.images for name, errors in self.layers.items()}

    def sent_shares(self) -> dict[str, np.ndarray]:
        """Per population, the share of images in which each neuron spikes at all; with the dynamic threshold 1."""
        return {name: errors.sent / errors.images for name, errors in self.layers.items()}

    def tolerance(self) -> tuple[str, float]:
        """Which error is held against what: in continuous time a layer's largest, 1e-4; on a grid its mean, one time step (the longest)."""
        if self.network.steps is None:
            return "max", CONTINUOUS_TOLERANCE
        return "mean", 1 / min(steps for steps in self.network.steps_per_layer().values() if steps)

    def tolerances(self) -> dict[str, float]:
        """By layer whose spikes are compared, what its error may be: that of `tolerance` and, in continuous time, all that rounding may
        come to, see `rounding_bounds`; behind a layer that cuts values off also what that passes on."""
        if self._tolerances is None:
            self._tolerances = self._worked_out()
        return self._tolerances

    def _worked_out(self) -> dict[str, float]:
        which, limit = self.tolerance()
        compared = {
            layer.name: self.layers[layer.name]
            for layer in self.network.layers
            if not isinstance(layer, Readout) and self.layers[layer.name].compared
        }
        if which == "mean":
            return dict.fromkeys(compared, limit)
        cut_off = {name for name, errors in compared.items() if errors.saturated}
        direct = {layer.name: self.layers[layer.name].magnitude for layer in self.network.inputs if layer.coding == "direct"}
        seen = {name: (errors.smallest, errors.largest) for name, errors in compared.items()}
        bounds = rounding_bounds(self.network.layers, {name: errors.max_error for name, errors in compared.items()}, cut_off, direct, seen)
        return {name: limit + bounds[name] for name in compared}

    def hardly_judged(self) -> list[str]:
        """Names of layers of which rounding alone may move a value by more than 1 % of the range, so that their tolerance says little."""
        which, _ = self.tolerance()
        return [name for name, limit in self.tolerances().items() if limit > SAYS_LITTLE] if which == "max" else []

    def not_compared(self) -> list[str]:
        """Names of layers with neurons that have no matching tensor in the original graph, not even behind the max-pools that alone read
        them: a pool that stands in front of its activation there is compared behind both."""
        covered = {name for name, errors in self.layers.items() if errors.compared}
        for layer in reversed(self.network.layers):
            readers = [other for other in self.network.layers if layer.name in sources(other)]
            if readers and all(isinstance(reader, MaxPool) and reader.name in covered for reader in readers):
                covered.add(layer.name)
        return [layer.name for layer in self.network.layers if neurons(layer) and layer.name not in covered]

    def first_out_of_tolerance(self) -> str | None:
        """Name of the first spiking layer whose error leaves its tolerance by more than its own range, or that of a layer before it, cuts
        off; None if none does."""
        return next((name for name, explained in self._beyond_tolerance() if not explained), None)

    def first_cut_off(self) -> str | None:
        """Name of the first spiking layer whose error leaves its tolerance because values lie beyond its calibrated range."""
        return next((name for name, explained in self._beyond_tolerance() if explained), None)

    def _beyond_tolerance(self) -> Iterator[tuple[str, bool]]:
        """Layers whose error leaves the tolerance, and whether values beyond a range explain that."""
        which, _ = self.tolerance()
        layers, limits, behind = {layer.name: layer for layer in self.network.layers}, self.tolerances(), set()
        for name, limit in limits.items():
            errors = self.layers[name]
            error, excess = (errors.max_error, errors.excess) if which == "max" else (errors.mean_error, 0.0)
            if error is None:
                continue
            if which == "mean" and (name in self.saturated() or behind.intersection(sources(layers[name]))):
                behind.add(name)
                excess = np.inf
            if not error <= limit:
                yield name, error <= limit + excess
