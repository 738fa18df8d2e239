"""What a network's weights take in memory."""

from __future__ import annotations

from ..network.network import Network
from ..network.populations import trained_steps
from .hardware_work import FLOAT


def weight_bytes(network: Network) -> int:
    """Of trained weights, shared ones once: 4 bytes each, or of few bits these packed, in whole bytes per kernel or matrix, and a float32 scale
    per output of each."""
    weights = [step.weights for layer in network.layers for step in trained_steps(layer)]
    if network.weight_grid is None:
        return FLOAT * sum(each.size for each in weights)
    return sum(-(-each.size * network.weight_grid.bits // 8) + FLOAT * each.shape[-1] for each in weights)
