"""A network that enhances recordings, and its original, on recordings of any length."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import onnx

from ..conversion.other_sizes import OtherSizes
from ..data.sound_file import RATE, SoundFile
from ..errors import ModelError
from ..network.network import Network
from ..onnx_model.receptive_field import receptive_field
from ..onnx_model.reference import Reference
from ..simulation.engines import simulator
from ..simulation.head_and_tail import Ends
from .pieces import piece_length, pieces

UNIT = RATE // 10  # samples: recordings are filled up with silence to a multiple of it and of all strides, for both networks: few lengths occur
LONGEST = 20 * RATE  # samples of a recording that is run whole


class Stretch(NamedTuple):
    """The samples from `first` on of a recording, (samples,) float32: as it is, and what either network makes of them."""

    first: int
    noisy: np.ndarray
    ann: np.ndarray
    snn: np.ndarray


class Enhancers:
    """A network and its original. ann_seconds, snn_seconds: wall-clock time of either so far.

    The model has one input and one output, (batch, 1, samples), and leaves the number of samples open; the network is converted again for every
    length (see `OtherSizes`). threads: as for `Reference`. Raises ModelError for models of another kind, else as `OtherSizes`.
    """

    def __init__(self, network: Network, model: onnx.ModelProto, threads: int):
        self._reference, self._threads = Reference(model, threads=threads), threads
        self.ann_seconds = self.snn_seconds = 0.0
        outputs = [value.name for value in model.graph.output]
        shapes = [shape for shape, _ in self._reference.inputs.values()]
        if len(shapes) != 1 or len(outputs) != 1 or len(shapes[0]) != 2 or shapes[0][0] != 1 or isinstance(shapes[0][1], int):
            raise ModelError(
                network.name, f"inputs {shapes}, outputs {outputs}", "one input and one output (batch, 1, samples), the number of samples left open"
            )
        (self._input,), (self._output,) = self._reference.inputs, outputs
        self._name, self._model, self._unit = network.name, model, math.lcm(UNIT, _grain(model))
        self._sizes, self._ready, self._warm = OtherSizes(network, model), None, False

    def __call__(self, noisy: SoundFile) -> Iterator[Stretch]:
        """The whole recording, in one stretch; one that is longer than LONGEST in several, one behind the other, from pieces that overlap by the
        receptive field: they are those of the whole. Raises ModelError for a network that cannot be run in pieces where one is too long."""
        if noisy.samples <= LONGEST:
            sound = noisy.part(0, noisy.samples)
            yield Stretch(0, sound, *self._outputs(np.pad(sound, (0, -noisy.samples % self._unit)), noisy.samples))
            return
        field = receptive_field(self._model)
        filled = noisy.samples + -noisy.samples % self._unit
        for start, end, first, last in pieces(filled, piece_length(LONGEST, field), field):
            sound = noisy.part(start, min(end, noisy.samples))
            outputs = self._outputs(np.pad(sound, (0, end - start - len(sound))), end - start)
            kept = slice(first - start, min(last, noisy.samples) - start)
            yield Stretch(first, sound[kept], *(each[kept] for each in outputs))

    def _outputs(self, sound: np.ndarray, wanted: int) -> list[np.ndarray]:
        """The first `wanted` samples of the original's output and of the spiking network's."""
        feeds = {self._input: sound[None, None].astype(np.float32)}
        network = self._sizes({self._input: (1, len(sound))})
        if self._ready is None or self._ready[0] is not network:
            self._ready = network, Ends(network, self._threads), simulator(network)
        _, ends, simulate = self._ready
        if not self._warm:  # kernels are compiled and laid out outside the time
            simulate(ends.entries(feeds))
            self._warm = True
        start = time.perf_counter()
        ann = self._reference(feeds)[self._output]
        between = time.perf_counter()
        snn = ends.outputs(simulate(ends.entries(feeds)), feeds)[self._output]
        self.ann_seconds += between - start
        self.snn_seconds += time.perf_counter() - between
        if ann.size < wanted:
            raise ModelError(self._name, f"an output of shape {ann.shape} for {len(sound)} samples", "as many samples as the input has")
        return [each.ravel()[:wanted] for each in (ann, snn)]


def _grain(model: onnx.ModelProto) -> int:
    """Of which lengths have to be multiples; 1 where the graph does not say."""
    try:
        return receptive_field(model).grain
    except ModelError:
        return 1
