"""Head and tail at run time: the parts of the original model that ONNX Runtime computes around the spiking body."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from .ir import Network
from .recording import Recording
from .reference import Reference, feeds_of
from .simulate.engines import simulate


class Ends:
    """Head and tail of `network`. threads: as for `Reference`."""

    def __init__(self, network: Network, threads: int = 0):
        self._head, self._tail = (None if part is None else Reference(onnx.ModelProto.FromString(part.tobytes()), threads=threads, unbatched=network.without_batch)
                                  for part in (network.head, network.tail))

    def entries(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the input populations encode, by tensor. feeds: the model's inputs, by name."""
        return {**feeds, **(self._head(feeds) if self._head else {})}

    def outputs(self, recording: Recording, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The model's outputs, by name, from the readouts' potentials and, where the tail reads them, its inputs."""
        return self._tail({**feeds, **recording.readouts}) if self._tail else recording.readouts


def run(network: Network, x: np.ndarray | Mapping[str, np.ndarray], engine: str = "exact", threshold: str = "dynamic") -> Recording:
    """Run `network`, its head included, on `x`: (n, ...) in the model's own layout; of several inputs a mapping by name.

    engine, threshold: see `simulate.engines.simulator`. Raises as `simulate`.
    """
    if network.head is None:
        return simulate(network, x, engine, threshold)
    head = onnx.ModelProto.FromString(network.head.tobytes())
    names = [value.name for value in head.graph.input] + [layer.onnx_name for layer in network.inputs
                                                          if layer.onnx_name not in {value.name for value in head.graph.output}]
    return simulate(network, Ends(network).entries(feeds_of(x, list(dict.fromkeys(names)))), engine, threshold)
