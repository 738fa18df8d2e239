"""Connections: spikes of one source through a chain of synapses."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..records import Record
from .average_pool import AveragePool
from .convolution import Conv
from .dense import Dense
from .scale import Scale
from .sparse import Sparse
from .spread import Spread

Synapses = Annotated[Conv | Dense | AveragePool | Scale | Spread | Sparse, Field(discriminator="kind")]


class Connection(Record):
    """Spikes of one source through a chain of linear synapses that no neuron interrupts; an empty path is the identity."""

    source: str
    path: tuple[Synapses, ...]


def has_virtual_neurons(step: Synapses, before: Synapses | None) -> bool:
    """Whether padded taps of `step`, which follows `before` in its path, are synapses: a pool's only if they count in its divisor; a
    transposed convolution has none. Zeros that a sparse map makes are none either."""
    return (isinstance(step, Conv) and not isinstance(before, Spread)) or (isinstance(step, AveragePool) and step.include_pad)
