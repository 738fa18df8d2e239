"""The closed form of `exact` held against an engine that simulates every step or spike, on a few samples of a run."""

from __future__ import annotations

from ..measurement.engine_agreement import EngineCheck
from ..network.network import Network
from ..simulation.engines import simulator
from .comparison import Comparison

SAMPLES = 16  # by default, or a share of the data where that is less: then it takes about a tenth of the run's time at most
SHARE = 64


def samples_to_verify(asked: int | None, total: int) -> int:
    """How many of `total` samples: as many as are asked for, or a few."""
    return min(SAMPLES, -(-total // SHARE)) if asked is None else min(asked, total)


def verified(network: Network, comparison: Comparison, samples: int) -> EngineCheck:
    """Engine `clock`, or `event` in continuous time, on the first samples. It is the last that is run: the original's sessions are given back."""
    comparison.close()
    check = EngineCheck(network, by="event" if network.steps is None else "clock", samples=samples)
    simulate = simulator(network, check.by)
    for first in range(0, samples, comparison.batch):
        entries = comparison.ends.entries(comparison.inputs(slice(first, min(first + comparison.batch, samples))))
        check.add(simulate(entries), entries)
    return check
