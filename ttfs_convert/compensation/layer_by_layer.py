"""Layer by layer in topological order: the original's activations beside the rounded ones, and a fit where there are weights."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from ..kernels._threads import CALLER
from ..network.network import Network
from ..network.populations import Analog, Input, Layer, Readout, Spiking, sources
from ..network.tensor_order import as_read
from ..network.weight_grid import LayerGrid, WeightGrid
from ..progress import counted
from ..simulation.analog_parts import AnalogParts
from ..simulation.encoded_inputs import channels_last, encoded
from ..simulation.integrator import Integrator
from ..simulation.recording import decode
from ..simulation.wiring import WIRING
from .activation_store import Activations
from .firing import fired, original_activation, steps_of
from .layer_change import with_change
from .layer_fit import Fit, fit
from .regression_rows import Rows, Sampler, fitted_steps, unchanged_sums
from .weight_rounding import checked, layer_grid, scales_of, unfitted_rounded

BATCH = 64 << 20  # bytes of activations at a time


def fitted_network(
    network: Network,
    entries: Callable[[slice], Mapping[str, np.ndarray]],
    samples: int,
    progress: Callable[[Spiking | Readout, Fit], None] = lambda layer, fit: None,
    charges_alone: bool = False,
    bits: int | None = None,
) -> Network:
    """`network` with all weights fitted, or with charges_alone all biases; with bits all trained weights are rounded too.

    entries: what the input populations encode, by tensor, for a slice of the samples. progress: told of each layer with weights, as it is
    fitted.
    """
    with tempfile.TemporaryDirectory() as folder, CALLER:
        return _Walk(network, entries, samples, Path(folder), charges_alone, bits).run(progress)


class _Walk:
    def __init__(self, network: Network, entries: Callable, samples: int, folder: Path, charges_alone: bool, bits: int | None):
        self._network, self._entries, self._samples, self._charges_alone, self._bits = network, entries, samples, charges_alone, bits
        self._grids: list[LayerGrid] = []
        self._steps, self._grid, self._analog = network.steps_per_layer(), network.grid(), AnalogParts(network)
        self._read = {name for part in network.analog for name in part.readouts}
        self._original = Activations(samples, folder / "original")
        self._rounded = Activations(samples, folder / "rounded")
        for name in ("original", "rounded"):
            (folder / name).mkdir()
        self._rng = np.random.default_rng(0)

    def run(self, progress: Callable[[Spiking | Readout, Fit], None]) -> Network:
        layers = []
        last = {source: number for number, layer in enumerate(self._network.layers) for source in sources(layer)}
        for number, layer in enumerate(counted("fitting, layers", self._network.layers, len(self._network.layers))):
            if isinstance(layer, Analog):
                self._between(layer)
            elif isinstance(layer, Input):
                if layer.source is None:
                    self._encode(layer)
            elif isinstance(layer, (Spiking, Readout)):
                layer, found = self._fitted(layer)
                if found is not None:
                    progress(layer, found)
            else:
                self._wire(layer)
            layers.append(layer)
            for name in [name for name, reader in last.items() if reader == number and name in self._original]:
                self._original.forget(name)
                self._rounded.forget(name)
        grid = None if self._bits is None else WeightGrid(bits=self._bits, layers=tuple(self._grids))
        return self._network.changed(layers=tuple(layers), weight_grid=grid)

    def _batches(self, *names: str, more: int = 0) -> list[slice]:
        shapes = {layer.name: layer.shape for layer in self._network.layers}
        size = max(1, BATCH // (8 * (sum(math.prod(shapes[name]) for name in names) + more)))
        return [slice(first, min(first + size, self._samples)) for first in range(0, self._samples, size)]

    def _encode(self, layer: Input) -> None:
        for rows in self._batches(layer.name):
            x = self._entries(rows)[layer.onnx_name]
            self._enter(layer, rows, x, x)

    def _enter(self, layer: Input, rows: slice, original: np.ndarray, rounded: np.ndarray) -> None:
        """original, rounded: what `layer` encodes in the original network, and behind spikes on the grid."""
        if layer.coding == "direct":
            values = times = channels_last(layer, original)
        else:
            values = encoded(layer, original)
            times = fired(encoded(layer, rounded), np.ones(1, np.float32), self._grid[layer.name], self._network.half)
        self._original.write(layer.name, rows, values)
        self._rounded.write(layer.name, rows, times)

    def _between(self, part: Analog) -> None:
        """Run an analog part on the original's potentials and on those that rounded spikes give, and encode what it makes of them."""
        read = [layer for layer in self._network.layers if isinstance(layer, Readout) and layer.name in part.readouts]
        behind = [layer for layer in self._network.layers if isinstance(layer, Input) and layer.source == part.name]
        for rows in self._batches(*part.readouts, *(layer.name for layer in behind)):
            original, rounded = (
                self._analog.entries(part, {layer.tensor: as_read(store.read(layer.name, rows), layer) for layer in read}, self._entries(rows))
                for store in (self._original, self._rounded)
            )
            for layer in behind:
                self._enter(layer, rows, original[layer.onnx_name], rounded[layer.onnx_name])

    def _wire(self, layer: Layer) -> None:
        for rows in self._batches(layer.name, *sources(layer)):
            values = {name: 1 - self._original.read(name, rows) for name in sources(layer)}
            self._original.write(layer.name, rows, 1 - WIRING[layer.kind](layer, values, np.inf))  # padded taps never fire first
            times = {name: self._rounded.read(name, rows) for name in sources(layer)}
            self._rounded.write(layer.name, rows, WIRING[layer.kind](layer, times, self._steps[layer.name]))

    def _activations(self, name: str, rows: slice) -> np.ndarray:
        """(n, *shape) float32, as spikes carry them."""
        times = self._rounded.read(name, rows)
        return times if times.dtype.kind == "f" else decode(times, self._steps[name])

    def _potential(self, layer: Spiking | Readout, integrator: Integrator, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """V0, (n, *shape) float32, from activations of its sources."""
        found = np.zeros((len(next(iter(values.values()))), *layer.shape), np.float32)
        if layer.bias is not None:
            found += layer.bias
        for connection in layer.connections:
            integrator.add(connection, values[connection.source], found)
        return found

    def _fitted(self, layer: Spiking | Readout) -> tuple[Spiking | Readout, Fit | None]:
        found, (start, scales) = None, (layer, {}) if self._bits is None else unfitted_rounded(layer, self._bits)
        fitted, integrator = start, Integrator()
        observed = self._observe(layer, start)
        if observed is not None:
            seen, unseen = observed
            sums = None if self._charges_alone and self._bits is None else unchanged_sums(start, integrator)
            found = fit(start, self._steps[layer.name], self._network.half, seen, unseen, sums, self._charges_alone, self._bits)
            if found.change is not None:
                fitted = with_change(start, found.change)
                integrator = Integrator()
                scales |= scales_of(layer, found.change)
        if scales:
            fitted = checked(layer, fitted)
            self._grids.append(layer_grid(layer, scales))
        if isinstance(fitted, Spiking) or layer.name in self._read:
            times = steps_of(fitted, self._grid[layer.name], self._network.half) if isinstance(fitted, Spiking) else None
            for rows in self._batches(layer.name, *sources(layer)):
                values = {name: self._activations(name, rows) for name in sources(layer)}
                potentials = self._potential(fitted, integrator, values)
                self._rounded.write(layer.name, rows, potentials if times is None else times(potentials))
        return fitted, found

    def _observe(self, layer: Spiking | Readout, start: Spiking | Readout) -> tuple[Rows, Rows] | None:
        """Activations of the original `layer`; and, of a layer with weights, rows to fit to and rows that judge the fit, which begins at `start`."""
        sampler = Sampler(start, self._samples, self._rng) if fitted_steps(layer) else None
        original = Integrator()
        integrator = original if start is layer else Integrator()
        for rows in self._batches(layer.name, *sources(layer), more=sampler.width if sampler else 0):
            exact = self._potential(layer, original, {name: self._original.read(name, rows) for name in sources(layer)})
            wanted = exact
            if isinstance(layer, Spiking):
                wanted = original_activation(layer, exact)
            if isinstance(layer, Spiking) or layer.name in self._read:
                self._original.write(layer.name, rows, wanted)
            if sampler is not None:
                values = {name: self._activations(name, rows) for name in sources(layer)}
                sampler.add(rows, integrator, values, self._potential(start, integrator, values), exact, wanted)
        return None if sampler is None else sampler.rows()
