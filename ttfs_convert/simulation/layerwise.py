"""What the engines that follow single spikes share: they run a network population by population, in whole windows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..files.mapped import let_go
from ..kernels._threads import CALLER
from ..kernels.incoming_spikes import Fields
from ..kernels.neuron_blocks import Rows, Window, in_blocks, in_rows
from ..network.network import Network
from ..network.populations import Analog, Input, Layer, Readout, Spiking, ramp_slope
from ..network.synapses.connection import Connection
from ..network.synapses.kind import WeightedKind
from ..network.tensor_order import as_read
from .analog_parts import AnalogParts
from .encoded_inputs import channels_last, given
from .integrator import Integrator
from .receptive_fields import receptive_fields
from .recording import Recording
from .run_size import check_run
from .wiring import WIRING

SMALL = 1 << 20  # bytes of what is made of a layer


class LayerwiseSimulator:
    """Base of engines: they say when encoders and layers of neurons fire. Arrays are (n, *shape of the population)."""

    def __init__(self, network: Network):
        check_run(network)
        self.network = network
        self._integrator, self._analog = Integrator(), AnalogParts(network)
        self._sizes = {layer.name: math.prod(layer.shape) for layer in network.layers}
        self._kept: dict[str, Neurons] = {}
        self._asked: set[str] = set()
        self._direct = {layer.name for layer in network.inputs if layer.coding == "direct"}

    def __call__(self, entries: Mapping[str, np.ndarray]) -> Recording:
        """Spike times and potentials of one batch. entries: arrays by ONNX tensor of what the input populations encode."""
        times: dict[str, np.ndarray] = {}
        analog: dict[str, np.ndarray] = {}
        readouts = {}
        given(self.network, entries)
        with CALLER:
            for layer in self.network.layers:
                if isinstance(layer, Input) and layer.coding == "direct":
                    analog[layer.name] = channels_last(layer, entries[layer.onnx_name])
                elif isinstance(layer, Analog):
                    entries = {**entries, **self._analog.entries(layer, readouts, entries)}
                elif isinstance(layer, Input):
                    times[layer.name] = self._encode(layer, entries[layer.onnx_name])
                elif isinstance(layer, Readout):
                    readouts[layer.tensor] = as_read(self._live(layer, times, analog), layer).astype(np.float32)
                elif isinstance(layer, Spiking):
                    times[layer.name] = self._live(layer, times, analog)
                else:
                    times[layer.name] = self._passed_on(layer, times)
        return self._recording(times, self._analog.outer_first(readouts))

    def _encode(self, layer: Input, x: np.ndarray) -> np.ndarray:
        """When encoders fire."""
        raise NotImplementedError

    def _live(self, layer: Spiking | Readout, times: Mapping[str, np.ndarray], analog: Mapping[str, np.ndarray]) -> np.ndarray:
        """When neurons fire, or the potentials of a readout. times: of populations so far; analog: of direct inputs, which are constant currents."""
        raise NotImplementedError

    def _passed_on(self, layer: Layer, times: Mapping[str, np.ndarray]) -> np.ndarray:
        return WIRING[layer.kind](layer, times, self._silent(layer))

    def _silent(self, layer: Layer) -> float:
        """The spike time of a silent neuron."""
        raise NotImplementedError

    def _recording(self, times: dict[str, np.ndarray], readouts: dict[str, np.ndarray]) -> Recording:
        raise NotImplementedError

    def _arrivals(self, layer: Spiking | Readout, times: Mapping[str, np.ndarray], images: int) -> np.ndarray:
        """Spike times of the neurons that reach a layer, one source behind another, (n, source neurons)."""
        sources = [times[connection.source].reshape(images, -1) for connection in self._spiking(layer)]
        return sources[0] if len(sources) == 1 else np.concatenate([np.empty((images, 0), np.uint8), *sources], axis=1)

    def _charged(self, layer: Spiking | Readout, times: Mapping[str, np.ndarray], analog: Mapping[str, np.ndarray], steps: int = 1) -> np.ndarray:
        """What constant currents have charged in so many steps of a window, (n, neurons) float64; (n, 0) where there are none."""
        constant = [connection for connection in layer.connections if connection.source in self._direct]
        images = len(next(iter(analog.values() if constant else times.values())))
        charged = np.zeros((images, self._sizes[layer.name] if constant else 0))
        for connection in constant:
            flowing = np.zeros(charged.shape, np.float32)
            self._integrator.add(connection, analog[connection.source], flowing)
            for _ in range(steps):
                charged += flowing / np.float64(steps)
        return charged

    def _spiking(self, layer: Spiking | Readout) -> tuple[Connection, ...]:
        return tuple(connection for connection in layer.connections if connection.source not in self._direct)

    def _ready(self, layer: Spiking | Readout) -> Neurons:
        """`_made_ready`, kept from the second time on: a simulator that runs one batch, to verify another one, never holds what it needs of more than
        one large layer. Small ones are kept at once."""
        if layer.name in self._kept:
            return self._kept[layer.name]
        made = self._made_ready(layer)
        if layer.name in self._asked or made.nbytes <= SMALL:
            self._kept[layer.name] = made
        self._asked.add(layer.name)
        for step in (step for each in layer.connections for step in each.path if isinstance(step, WeightedKind)):
            let_go(step.weights)
        return made

    def _made_ready(self, layer: Spiking | Readout) -> Neurons:
        """A layer's neurons."""
        raise NotImplementedError

    def _neurons(
        self, layer: Spiking | Readout, thresholds: np.ndarray | None = None, clocks: Sequence[int] | None = None, starts: Sequence[int] = ()
    ) -> Neurons:
        """A layer's neurons made ready. thresholds: (steps, channels) float64, if they fall. clocks: see `ReceptiveFields.listed`. starts: see
        `Neurons.clocks`."""
        fields = receptive_fields(layer.copied({"connections": self._spiking(layer)}), self._sizes)
        rows, bias, rise = in_rows(fields.weights), np.zeros(1) if layer.bias is None else layer.bias, np.zeros(1)
        if isinstance(layer, Spiking) and layer.slope != "fan_in":
            rise = rise + ramp_slope(layer)
        if isinstance(layer, Spiking) and layer.slope == "reference":
            rise = rise - layer.weight_sums.astype(np.float64)
        closing = isinstance(layer, Spiking) and layer.slope != "gated"  # a readout is over when its window would open
        falling = np.empty((0, 1)) if thresholds is None else thresholds
        window = Window(*(in_blocks(each, rows) for each in (bias.reshape(-1), rise.reshape(-1), falling)))
        return Neurons(rows, fields.listed(clocks), closing, window, np.array(starts, np.int64))


@dataclass(frozen=True)
class Neurons:
    """A layer's neurons as the kernels want them."""

    rows: Rows
    fields: Fields
    closing: bool  # whether silent neurons and padded taps spike as their window closes, and currents flow on
    window: Window
    clocks: np.ndarray  # int64: where the steps of each of their inputs' windows begin, side by side, and end; empty in continuous time

    @property
    def nbytes(self) -> int:
        """Of all arrays."""
        arrays = (self.rows.values, *self.fields, *self.window)
        return sum(each.nbytes for each in arrays if isinstance(each, np.ndarray))
