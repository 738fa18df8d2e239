"""Head and tail: what of the original model ONNX Runtime computes before and after the spiking part.

    the model's inputs -> head -> input populations -> body: layers that spike -> readouts -> tail -> the model's outputs

What ONNX Runtime computes in the middle of the body is not theirs: see `analog_parts.py`.

Head: the preprocessing in front of the first layer, such as a cast, a normalisation that is not linear, or a choice of channels. It ends in
the tensors that the input populations encode; without one, these are the model's inputs.
Tail: the postprocessing behind the last layer, such as Softmax or ArgMax and what follows. It starts at the readouts' potentials, and reads
the model's inputs where it needs them; without one, the potentials are the outputs.
Both are ONNX models of their own, which the network holds. Lowering decides what belongs to them (`lowering/graph_walk.py`), conversion
cuts them out (`conversion/cut.py`), and here they run.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from ..errors import ModelError
from ..network.network import Network
from ..network.populations import Readout
from ..onnx_model.dataflow import floats
from ..onnx_model.embedded import embedded_model
from ..onnx_model.reference import Reference, feeds_of
from .encoded_inputs import checked
from .engines import simulate
from .parts_fit import check_tail
from .recording import Recording

POTENTIALS = 3.0  # standard deviation of those on which a tail is tried


class _End:
    """Head or tail. threads: as for `Reference`."""

    def __init__(self, part: np.ndarray, where: str, unbatched: tuple[str, ...], threads: int):
        self.model, self._unbatched = embedded_model(part, where), unbatched
        self.session = Reference(self.model, threads=threads, unbatched=unbatched)

    def settle(self, feeds: Mapping[str, np.ndarray], unit: int) -> str | None:
        """As `Reference.settle`, but it watches all tensors inside."""
        watched = Reference(self.model, floats(self.model), unbatched=self._unbatched)
        mixed = watched.settle(feeds, unit)
        self.session.together = watched.together
        return mixed


class Ends:
    """Head and tail of `network`. threads: as for `Reference`. Samples are taken to be independent, see `settle`."""

    def __init__(self, network: Network, threads: int = 0):
        self._inputs, self._readouts = network.inputs, network.readouts
        self._potentials = [layer for layer in network.layers if isinstance(layer, Readout)]
        self._head, self._tail = (
            None if part is None else _End(part, where, network.without_batch, threads)
            for part, where in ((network.head, "head"), (network.tail, "tail"))
        )
        if self._tail is not None:
            check_tail(network, self._tail.model)

    @property
    def head(self) -> onnx.ModelProto | None:
        """What makes the tensors that are encoded; None where these are the model's inputs."""
        return None if self._head is None else self._head.model

    @property
    def tail(self) -> onnx.ModelProto | None:
        """What is made of the potentials; None where they are the outputs."""
        return None if self._tail is None else self._tail.model

    def settle(self, feeds: Mapping[str, np.ndarray], unit: int = 1) -> str | None:
        """The tensor in which head or tail mixes the samples of a batch, tried on `feeds`, a few different ones, and on random potentials;
        None if samples are independent. A part that mixes them is run `unit` at a time from now on. Raises as `Reference.settle`."""
        rng, samples = np.random.default_rng(0), len(next(iter(feeds.values())))
        potentials = {layer.tensor: rng.normal(0, POTENTIALS, (samples, *layer.onnx_shape)).astype(np.float32) for layer in self._potentials}
        mixed = self.settle_head(feeds, unit)
        return (self._tail and self._tail.settle({**feeds, **potentials}, unit)) or mixed

    def settle_head(self, feeds: Mapping[str, np.ndarray], unit: int = 1) -> str | None:
        """As `settle`, for the head alone."""
        return self._head and self._head.settle(feeds, unit)

    def run_by(self, unit: int) -> None:
        """Run both parts `unit` samples at a time."""
        for part in (self._head, self._tail):
            if part is not None:
                part.session.together = part.session.fixed_batch or unit

    def entries(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the input populations encode, by tensor. feeds: the model's inputs, by name. Raises DataError for what the head makes of them
        that is outside its range."""
        computed = self._head.session(feeds) if self._head else {}
        samples = len(next(iter(feeds.values())))
        for layer in self._inputs:
            if layer.onnx_name in computed:
                rows = len(checked(layer, computed[layer.onnx_name]))
                if rows != samples:
                    raise ModelError(
                        "head", f"{rows} rows of {layer.onnx_name!r} for {samples} samples", "a row for each, whatever the data", "convert again"
                    )
        return {**feeds, **computed}

    def outputs(self, recording: Recording, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The model's outputs, by name, from the readouts' potentials and, where the tail reads them, its inputs."""
        if self._tail is None:
            return {layer.tensor: recording.readouts[layer.tensor] for layer in self._readouts}
        computed = self._tail.session({**feeds, **recording.readouts})
        return {name: recording.readouts.get(name, value) for name, value in computed.items()}  # what passes through may share memory that ends here


def run(network: Network, x: np.ndarray | Mapping[str, np.ndarray], engine: str = "exact", threshold: str = "dynamic") -> Recording:
    """Run `network`, its head included, on `x`: (n, ...) in the model's own layout; of several inputs a mapping by name.

    engine, threshold: see `simulation.engines.simulator`. Raises as `simulate`.
    """
    if network.head is None:
        return simulate(network, x, engine, threshold)
    head = embedded_model(network.head, "head")
    names = [value.name for value in head.graph.input] + [
        layer.onnx_name for layer in network.inputs if layer.onnx_name not in {value.name for value in head.graph.output}
    ]
    feeds, ends = feeds_of(x, list(dict.fromkeys(names))), Ends(network)
    ends.settle_head(feeds)
    return simulate(network, {**(x if isinstance(x, Mapping) else {}), **ends.entries(feeds)}, engine, threshold)
