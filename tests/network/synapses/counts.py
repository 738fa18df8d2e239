"""Fan-out as the tests compare it."""

import numpy as np

from ttfs_convert.network.synapses.fan_out import FanOut


def per_neuron(found: FanOut) -> np.ndarray:
    """Neurons that a spike of each source neuron reaches, (positions, channels) int64."""
    return np.multiply.outer(found.positions, found.channels)
