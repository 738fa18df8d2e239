"""Connections: spikes of one source through a chain of synapses. `Synapses` is the list of all kinds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..records import Record
from .average_pool import AveragePool
from .axis_product import AxisProduct
from .convolution import Conv
from .dense import Dense
from .scale import Scale
from .sparse import Sparse
from .spread import Spread

Synapses = Annotated[Conv | Dense | AxisProduct | AveragePool | Scale | Spread | Sparse, Field(discriminator="kind")]


class Connection(Record):
    """Spikes of one source through a chain of linear synapses that no neuron interrupts; an empty path is the identity."""

    source: str
    path: tuple[Synapses, ...]
