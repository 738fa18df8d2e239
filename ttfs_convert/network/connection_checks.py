"""What the connections of one layer have to agree on: with their sources, along their paths, with each other and with the layer."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .populations import Input, Layer, Readout, Spiking
from .records import Shape, magnitude
from .synapses.connection import Connection
from .synapses.kind import WeightedKind

LARGEST = 1e36  # of |potential| that weights and biases may come to: float32 holds no more than 3.4e38, and no sum may be infinite
LARGEST_CURRENT = 1e15  # of the values of a direct input


def misfit_of_connections(layer: Spiking | Readout, earlier: Mapping[str, Layer]) -> str | None:
    """What of the connections of `layer` contradicts each other or the layers before it."""
    for connection in layer.connections:
        problem = _misfit_of_path(connection, earlier[connection.source].shape, layer.shape)
        if problem is not None:
            return problem
    if len(layer.connections) > 1:
        for connection in layer.connections:
            shape = connection.path[-1].out_shape if connection.path else earlier[connection.source].shape
            if not _is_shape_of(shape, layer.shape):
                return f"a connection from {connection.source!r} that gives {shape} beside others, not {layer.shape}"
    largest = 0.0 if layer.bias is None else magnitude(layer.bias)
    for connection in layer.connections:
        source = earlier[connection.source]
        current = LARGEST_CURRENT if isinstance(source, Input) and source.coding == "direct" else 1.0
        largest += current * largest_potential(connection)
    return None if largest <= LARGEST else f"weights and biases that may add up to {largest:.1e}, more than {LARGEST:g}"


def _misfit_of_path(connection: Connection, source: Shape, shape: Shape) -> str | None:
    sizes = [math.prod(source)]
    for step in connection.path:
        if not (step.in_shape and step.out_shape):
            return f"a connection from {connection.source!r} with a {step.kind} of no axes"
        sizes += [math.prod(step.in_shape), math.prod(step.out_shape)]
    sizes.append(math.prod(shape))
    if any(given != taken for given, taken in zip(sizes[::2], sizes[1::2])):
        return f"a connection from {connection.source!r} of sizes {sizes}"
    return None


def _is_shape_of(given: Shape, shape: Shape) -> bool:
    """Whether `given` is `shape`, or neighbouring axes of it in one, such as images in one column or all neurons in a row; or each neuron as a
    position of its own. Their channels are then the layer's, so that biases and weight sums, which are per channel, are those of all connections."""
    if given == (math.prod(shape), 1):
        return True
    left = list(shape)
    for size in given:
        together = left.pop(0) if left else 0
        while together < size and left:
            together *= left.pop(0)
        if together != size:
            return False
    return not left and (given == shape or len(given) < len(shape))


def largest_potential(connection: Connection) -> float:
    """What |V0| cannot exceed, of this connection alone, whatever the activations, 0 to 1, are: the product over its steps of how large weights are
    times how many there may be."""
    largest = 1.0
    for step in connection.path:
        if isinstance(step, WeightedKind):
            largest *= magnitude(step.weights) * (1 if step.one_to_one else step.weights.size)
    return largest
