"""Engine `exact`: every layer at once, from its window's opening: V0 by event-driven sums, then the crossing in closed form."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Protocol

import numpy as np

from ..kernels._jit import JIT_OFF
from ..kernels._threads import CALLER, threads
from ..kernels.call_table import through_run
from ..kernels.pool import average_pool_steps
from ..kernels.threshold import fire
from ..network.activations.activation_kind import ActivationKind
from ..network.activations.threshold_shape import Crossing
from ..network.network import Network
from ..network.populations import Analog, Concat, Input, Layer, MaxPool, Readout, Reorder, Spiking, sources
from ..network.synapses.average_pool import AveragePool
from ..network.synapses.images import image
from ..network.tensor_order import as_read
from .analog_parts import AnalogParts
from .batch import Batch
from .encoded_inputs import channels_last, given, within_range
from .integrator import Integrator
from .plan import plans
from .prepared_layers import Encoder, Pooled, Ramping, Sums, UnderFallingThreshold
from .recorded_calls import Program
from .recording import EIGHT_BITS, Recording, step_dtype
from .run_size import check_run
from .shared_potentials import shared_potentials
from .wiring import WIRING

SIZES = 16  # of batches that are kept ready
PROGRAM_BYTES = 2**27  # of spike times: in larger batches Python's share is small, and a program keeps its memory


class Disturbance(Protocol):
    """What noise does to the spikes of one population on their way out."""

    def __call__(self, layer: Input | Spiking, times: np.ndarray, steps: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Spike times as other layers receive them, of the same shape and dtype; and where a spike is lost (its time says silent), None
        where none is."""
        ...


class Simulator:
    """Runs batches on one network, whose weights are laid out for the kernels once. disturb: noise on the spikes of every population."""

    def __init__(self, network: Network, disturb: Disturbance | None = None):
        check_run(network)
        self.network, self._disturb = network, disturb
        self.steps, self._grid = network.steps_per_layer(), network.grid()
        self._integrator, self._plans, self._same = Integrator(), plans(network), shared_potentials(network)
        self._last = {first: name for name, (first, _) in self._same.items()}
        self._first_input, self._analog = network.inputs[0].onnx_name, AnalogParts(network)
        self._crossings: dict[tuple[str, bool], Crossing] = {}
        self._ready: dict[tuple[int, int], Callable[[Batch], None] | Program] = {}

    def __call__(self, x: np.ndarray | Mapping[str, np.ndarray]) -> Recording:
        """As `simulate`."""
        entries = self._entries(x)
        with CALLER:
            key = len(entries[self._first_input]), threads()
            ready = self._ready.get(key)
            if isinstance(ready, Program):
                times, readouts, done = ready(entries)
                return Recording(times, readouts, self.steps, done)
            batch = self._batch(entries)
            if ready is None:
                if len(self._ready) == SIZES:
                    self._ready.clear()
                self._ready[key] = self._first(batch)
            else:
                ready(batch)
        return Recording(batch.times, self._analog.outer_first(batch.readouts), self.steps)

    def _first(self, batch: Batch) -> Callable[[Batch], None] | Program:
        """Run a batch of a size that is new, and return what runs others of that size."""
        check_run(self.network, batch.images)
        runs, compiled = zip(*(self._run(layer, batch.images) for layer in self.network.layers))
        if JIT_OFF or not all(compiled):
            by_layer = functools.partial(_one_by_one, runs, nullcontext)
        elif batch.images * sum(math.prod(layer.shape) for layer in self.network.layers) > PROGRAM_BYTES:
            by_layer = functools.partial(_one_by_one, runs, through_run)
        else:
            calls, results = [], []
            batch.results = results
            _one_by_one(runs, functools.partial(through_run, calls), batch)
            return Program(batch, results, calls)
        by_layer(batch)
        return by_layer

    def again(
        self, recording: Recording, x: np.ndarray | Mapping[str, np.ndarray]
    ) -> Iterator[tuple[Input | Spiking, np.ndarray, Callable[[], np.ndarray]]]:
        """What this engine makes of another one's spikes: for every encoder and layer of neurons its spike times if its sources fired as
        `recording` says, so that each layer is judged alone; and a function that gives them before they are rounded, tau."""
        batch = self._batch(self._entries(x))
        for layer in self.network.layers:
            if isinstance(layer, Input) and layer.coding == "direct":
                _direct(layer, batch)
            elif isinstance(layer, Analog):
                self._between(layer, batch, recording.readouts)
            elif isinstance(layer, (Input, Spiking)):
                with CALLER:
                    times = self._computed(layer, batch.images)(batch)
                yield layer, times, functools.partial(self._any, layer, None, batch)
            if layer.name in recording.spike_times:
                batch.times[layer.name] = recording.spike_times[layer.name]

    def potentials(self, recording: Recording, x: np.ndarray | Mapping[str, np.ndarray]) -> Iterator[tuple[Spiking, np.ndarray]]:
        """V0 of every layer of neurons as its window opens, (n, *shape) float32, if its sources fired as `recording`, of any engine, says:
        sum_j w_ij max(0, 1 - tau_j) + b_i. With a fixed threshold a spike that is late or missing adds nothing by then."""
        batch = replace(self._batch(self._entries(x)), steps=recording.steps)
        for layer in self.network.layers:
            if isinstance(layer, Input) and layer.coding == "direct":
                _direct(layer, batch)
                continue
            if isinstance(layer, Analog):
                continue
            if isinstance(layer, Spiking):
                with CALLER:
                    found = batch.potential(layer)
                yield layer, found
            for name in batch.decoded.keys() & batch.times.keys():  # one layer's at a time
                del batch.decoded[name]
            if layer.name in recording.spike_times:
                times = recording.spike_times[layer.name]
                batch.times[layer.name] = times if times.dtype.kind == "u" else np.fmin(times, np.float32(1))

    def _entries(self, x: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        entries = x if isinstance(x, Mapping) else {self._first_input: x}
        given(self.network, entries)
        encoded = {layer.onnx_name: np.ascontiguousarray(within_range(layer, entries[layer.onnx_name]), np.float32) for layer in self.network.inputs}
        return {**entries, **encoded} if self._analog.any else encoded

    def _batch(self, entries: Mapping[str, np.ndarray]) -> Batch:
        return Batch(self.steps, self._integrator, len(entries[self._first_input]), entries)

    def _run(self, layer: Layer, images: int) -> tuple[Callable[[Batch], None], bool]:
        """What runs a layer, and whether it is nothing but calls of kernels."""
        disturb = self._disturb
        if isinstance(layer, Input) and layer.coding == "direct":
            return functools.partial(_direct, layer), False
        if isinstance(layer, MaxPool) and self._grid.get(layer.name) in EIGHT_BITS and disturb is None:
            return functools.partial(_spike, layer.name, Pooled(layer, self._grid[layer.name], images)), Pooled.compiled
        if isinstance(layer, (MaxPool, Reorder, Concat)):
            return functools.partial(_wire, layer), False
        if isinstance(layer, Analog):
            return functools.partial(self._between, layer), False
        computed = self._computed(layer, images)
        compiled = getattr(computed, "compiled", False)
        if isinstance(layer, Readout):
            shaped = _shaped(layer)
            return functools.partial(_read_out, layer, computed, shaped), compiled and shaped is not None
        if disturb is None:
            return functools.partial(_spike, layer.name, computed), compiled

        def spike_in_noise(batch: Batch) -> None:
            times = computed(batch) if not batch.lost else self._any(layer, self.steps[layer.name], batch)
            batch.times[layer.name], lost = disturb(layer, times, self.steps[layer.name])
            if lost is not None:
                batch.lost[layer.name] = lost.astype(np.uint8)

        return spike_in_noise, False

    def _between(self, layer: Analog, batch: Batch, readouts: Mapping[str, np.ndarray] | None = None) -> None:
        """Run an analog part. readouts: the potentials that it reads, if not those of the batch."""
        batch.entries = {**batch.entries, **self._analog.entries(layer, batch.readouts if readouts is None else readouts, batch.entries)}

    def _computed(self, layer: Input | Spiking | Readout, images: int) -> Callable[[Batch], np.ndarray]:
        """What gives spike times of an encoder or of neurons, (n, *shape), or a readout's potentials, where no spikes are lost."""
        if isinstance(layer, Input):
            return Encoder(layer, self.steps[layer.name], self.network.half, images)
        sums = Sums(self._plans[layer.name], self._grid, self._integrator, images) if layer.name in self._plans else None
        if isinstance(layer, Spiking) and layer.activation is not None:
            return self._shared(layer, layer.activation, sums or _potentials(layer))
        steps = self.steps[layer.name]
        if sums is not None and isinstance(layer, Spiking) and steps not in EIGHT_BITS:
            return Ramping(sums, _slopes(layer), steps, self.network.half)
        return sums or functools.partial(self._any, layer, steps)

    def _under(
        self, layer: Spiking, activation: ActivationKind, potentials: Callable[[Batch], np.ndarray], steps: int | None, turned: bool = False
    ) -> UnderFallingThreshold:
        """What fires a layer whose threshold has a shape. turned: `potentials` are its own times -1."""
        key = layer.name, turned
        if key not in self._crossings:
            self._crossings[key] = Crossing(activation, layer.lo, layer.hi, turned)
        return UnderFallingThreshold(self._crossings[key], potentials, steps, self.network.half)

    def _shared(self, layer: Spiking, activation: ActivationKind, potentials: Callable[[Batch], np.ndarray]) -> UnderFallingThreshold:
        """As `_under`, with potentials that are worked out once for all layers that have the same ones, be it turned round."""
        steps = self.steps[layer.name]
        if layer.name in self._same:
            first, sign = self._same[layer.name]

            def again(batch: Batch) -> np.ndarray:
                return batch.potentials.pop(first) if self._last[first] == layer.name else batch.potentials[first]

            return self._under(layer, activation, again, steps, turned=sign < 0)
        if layer.name not in self._last:
            return self._under(layer, activation, potentials, steps)

        def kept(batch: Batch) -> np.ndarray:
            batch.potentials[layer.name] = found = potentials(batch)
            return found

        return self._under(layer, activation, kept, steps)

    def _any(self, layer: Input | Spiking | Readout, steps: int | None, batch: Batch) -> np.ndarray:
        """As `_computed`, of any layer; `steps` for its spike times."""
        if isinstance(layer, Readout):
            return batch.potential(layer)
        if isinstance(layer, Input):
            return Encoder(layer, steps, self.network.half, batch.images)(batch)
        if layer.activation is not None:
            return self._under(layer, layer.activation, _potentials(layer), steps)(batch)
        return _fire(batch, layer, steps, self.network.half)


def _one_by_one(runs: Sequence[Callable[[Batch], None]], how: Callable[[], AbstractContextManager], batch: Batch) -> None:
    with how():
        for run in runs:
            run(batch)


def _direct(layer: Input, batch: Batch) -> None:
    batch.decoded[layer.name] = channels_last(layer, batch.entries[layer.onnx_name])


def _spike(name: str, computed: Callable[[Batch], np.ndarray], batch: Batch) -> None:
    batch.times[name] = computed(batch)


def _read_out(layer: Readout, computed: Callable[[Batch], np.ndarray], shaped: Callable[[np.ndarray], np.ndarray] | None, batch: Batch) -> None:
    potentials = computed(batch)
    batch.readouts[layer.tensor] = as_read(potentials, layer) if shaped is None else shaped(potentials)


def _shaped(layer: Readout) -> Callable[[np.ndarray], np.ndarray] | None:
    """Potentials (n, *shape) as (n, *onnx_shape) without a copy; None where neurons are in an order that no axes can give."""
    neurons = np.arange(layer.index.size, dtype=np.int64).reshape(layer.shape)
    if np.array_equal(layer.index, neurons.ravel()):
        return lambda potentials: potentials.reshape(-1, *layer.onnx_shape)
    channels_first = np.moveaxis(neurons, -1, 0)
    if channels_first.shape == layer.onnx_shape and np.array_equal(layer.index, channels_first.ravel()):
        return lambda potentials: np.moveaxis(potentials.reshape(-1, *layer.shape), -1, 1)
    return None


def _potentials(layer: Spiking) -> Callable[[Batch], np.ndarray]:
    return lambda batch: batch.potential(layer)


def _wire(layer: MaxPool | Reorder | Concat, batch: Batch) -> None:
    batch.times[layer.name] = WIRING[layer.kind](layer, batch.times, batch.steps[layer.name] or 1)
    if any(source in batch.lost for source in sources(layer)):  # of a pool's window all spikes must be lost
        whole = {source: batch.lost.get(source, np.zeros(batch.times[source].shape, np.uint8)) for source in sources(layer)}
        batch.lost[layer.name] = WIRING[layer.kind](layer, whole, 1)


def _fire(batch: Batch, layer: Spiking, steps: int | None, half: float) -> np.ndarray:
    """Spike times (n, *shape) out of potentials in memory."""
    times = np.empty((batch.images, *layer.shape), step_dtype(steps))
    pool = _single_pool(layer)
    source = layer.connections[0].source
    if pool is not None and steps is not None and source in batch.times and source not in batch.lost:
        average_pool_steps(image(batch.times[source], pool.in_shape), batch.steps[source], *pool.windows(), steps, half, image(times, pool.out_shape))
        return times
    slopes = _slopes_of_batch(batch, layer)
    fire(batch.potential(layer).reshape(-1, slopes.size), slopes, steps or 0, half, times.reshape(-1, slopes.size))
    return times


def _single_pool(layer: Spiking) -> AveragePool | None:
    path = layer.connections[0].path
    alone = len(layer.connections) == 1 and len(path) == 1 and layer.bias is None and layer.activation is None
    return path[0] if alone and isinstance(path[0], AveragePool) else None


def _slopes(layer: Spiking) -> np.ndarray:
    """S of each channel or neuron, flat float32."""
    sums = layer.weight_sums if layer.slope == "fan_in" else np.ones(1, np.float32)
    return np.broadcast_to(sums, layer.shape if sums.ndim > 1 else layer.shape[-1:]).reshape(-1)


def _slopes_of_batch(batch: Batch, layer: Spiking) -> np.ndarray:
    """As `_slopes`; of each image's neurons where lost spikes take their weights out of it."""
    slopes = _slopes(layer)
    lossy = [connection for connection in layer.connections if connection.source in batch.lost]
    if layer.slope != "gated" and lossy:
        missing = np.zeros((batch.images, *layer.shape), np.float32)
        for connection in lossy:
            batch.integrator.add(connection, batch.lost[connection.source].astype(np.float32), missing)
        return (slopes - missing.reshape(batch.images, -1, slopes.size)).reshape(-1)
    return slopes
