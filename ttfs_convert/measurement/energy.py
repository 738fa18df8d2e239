"""Energy of one inference under a cost table: operations, spikes and bytes, each times what one takes."""

from __future__ import annotations

from dataclasses import dataclass

from .cost_table import Cost, CostTable
from .hardware_work import HardwareWork

JOULES_PER_PICOJOULE = 1e-12


@dataclass(frozen=True)
class Energy:
    """Joules per inference. None where the table prices nothing of the kind; neurons and memory also in continuous time."""

    synapses: float | None  # synaptic operations and multiply-accumulates
    neurons: float | None  # updates
    spikes: float | None  # sent
    memory: float | None  # bytes of weights, potentials and spikes

    @property
    def total(self) -> float | None:
        """Of what is priced; None where nothing is."""
        priced = [part for part in (self.synapses, self.neurons, self.spikes, self.memory) if part is not None]
        return sum(priced) if priced else None


def energy(table: CostTable, work: HardwareWork, spiking: bool | None = None) -> Energy | None:
    """What `work` takes; None where the table has no figure for what it mostly does: an ANN on a chip without multiply-accumulates, a spiking
    network where none of synaptic operations is; and in continuous time, where updates of neurons are priced. Without a figure for
    multiply-accumulates those of an analog input are left out. spiking: whether `work` is a spiking network's, or a layer's of one, which may be
    without synaptic operations; by default it is one if it has some."""
    spiking = bool(work.synops) if spiking is None else spiking
    if (table.synop if spiking else table.mac) is None:
        return None
    if work.neuronops is None and (table.neuronop is not None or table.state_byte is not None):
        return None
    memory = ((table.weight_byte, work.weight_bytes), (table.state_byte, work.state_bytes), (table.spike_byte, work.spike_bytes))
    return Energy(
        _sum((table.mac if work.macs else None, work.macs), (table.synop if spiking else None, work.synops)),
        _sum((table.neuronop if spiking else None, work.neuronops)),
        _sum((table.spike if spiking else None, work.spikes)),
        _sum(*memory),
    )


def _sum(*parts: tuple[Cost | None, float | None]) -> float | None:
    priced = [cost.pj * JOULES_PER_PICOJOULE * (count or 0.0) for cost, count in parts if cost is not None]
    return sum(priced) if priced else None
