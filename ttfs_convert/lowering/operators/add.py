"""Add, Sub, Sum and Mean, and what Gemm adds: a weighted sum of tensors that broadcast to one shape.

1. Of constants and one computed tensor -> a shift (`affine.py`).
2. Of several computed tensors          -> one neuron with the fan-ins of all; a bare spike train enters through one connection per neuron.
   Potentials stay potentials, in the order of the first; those that repeat or have been max-pooled are spike-coded first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...onnx_model.node import Node
from ..builder import Builder
from ..sums_of_trains import spike_trains
from ..unsupported import UnsupportedNode
from ..values import Constant, Potential, Spikes, Value, same_index
from .affine import affine
from .linear_map import in_order_of


@dataclass(frozen=True)
class Term:
    """factor * value. position: of the node's input that `value` is; what no input is has to come first in a sum."""

    value: Value | None
    factor: float
    position: int


@dataclass(frozen=True)
class _Computed(Term):
    value: Spikes | Potential


def lower_add(node: Node, builder: Builder) -> None:
    """a + b."""
    builder.values[node.outputs[0]] = weighted_sum(_terms(node, builder, (1.0, 1.0)), node, builder)


def lower_sub(node: Node, builder: Builder) -> None:
    """a - b."""
    builder.values[node.outputs[0]] = weighted_sum(_terms(node, builder, (1.0, -1.0)), node, builder)


def lower_sum(node: Node, builder: Builder) -> None:
    """The sum of its inputs, element by element."""
    builder.values[node.outputs[0]] = weighted_sum(_terms(node, builder, (1.0,) * len(node.inputs)), node, builder)


def lower_mean(node: Node, builder: Builder) -> None:
    """The mean of its inputs, element by element."""
    builder.values[node.outputs[0]] = weighted_sum(_terms(node, builder, (1 / len(node.inputs),) * len(node.inputs)), node, builder)


def _terms(node: Node, builder: Builder, factors: Sequence[float]) -> list[Term]:
    return [Term(value, factor, position) for position, (value, factor) in enumerate(zip(builder.inputs(node), factors))]


def weighted_sum(terms: Sequence[Term], node: Node, builder: Builder) -> Spikes | Potential:
    """The sum of `terms`, of which one at least is computed. Raises UnsupportedNode where none is or shapes do not fit."""
    constants = [term.factor * term.value.array.astype(np.float64) for term in terms if isinstance(term.value, Constant)]
    computed = [_Computed(term.value, term.factor, term.position) for term in terms if isinstance(term.value, (Spikes, Potential))]
    if not computed or len(constants) + len(computed) < len(terms):
        raise UnsupportedNode("its data input is a constant", "fold constants before export")
    shapes = [term.value.index.shape for term in computed]
    try:
        shift = sum(constants, np.zeros(()))
        shape = np.broadcast_shapes(shift.shape, *shapes)
    except ValueError:
        raise UnsupportedNode(f"shapes {', '.join(map(str, shapes))} differ", "add tensors that broadcast to one shape") from None
    if len(computed) == 1:
        (term,) = computed
        return affine(term.value, np.full((), term.factor), shift, node, builder, term.position)
    computed = [replace(term, value=builder.broadcast(term.value, shape, node, term.position)) for term in computed]
    return affine(_of_computed(computed, node, builder), np.ones(()), shift, node, builder, computed[0].position)


def _of_computed(terms: Sequence[_Computed], node: Node, builder: Builder) -> Potential:
    """One neuron per element with the fan-ins of all terms, which have one shape."""
    potentials = [term.value for term in terms if isinstance(term.value, Potential) and not term.value.max_pools]
    order = next((value for value in potentials if spike_trains(value) is None), potentials[0] if potentials else None)
    parts = [
        affine(part, np.full((), term.factor), np.zeros(()), node, builder, term.position)
        for term in terms
        for part in _parts(term, order, node, builder)
    ]
    first = next((part for part in parts if isinstance(part, Potential)), None)
    if first is None:
        train, *parts = [part for part in parts if isinstance(part, Spikes)]
        first = builder.potential(train, node.name)
    connections, bias = first.connections, first.bias
    for part in (part for part in parts if part is not first):
        if isinstance(part, Spikes):
            aligned = builder.aligned(part, first)
            values = builder.linear(aligned, aligned.index)
            connections, bias = (*connections, values.connection), bias + values.offset
        else:
            connections, bias = connections + part.connections, bias + part.bias
    return Potential(node.name, connections, bias, first.shape, first.index)


def _parts(term: _Computed, order: Potential | None, node: Node, builder: Builder) -> Sequence[Spikes | Potential]:
    """What adds up to a term: itself in the order of the potential `order`, or spike trains."""
    value = term.value
    trains = spike_trains(value)
    if isinstance(value, Potential) and order is not None and not value.max_pools and (trains is None or same_index(value.index, order.index)):
        return [in_order_of(value, order)]
    return trains or [builder.spikes(value, node, term.position)]
