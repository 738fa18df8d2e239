"""Sparse linear maps between positions, the same for every channel."""

import numpy as np

from ._jit import jit
from ._threads import SERIAL_ELEMENTS, in_parallel, share


def sparse(activation, indptr, indices, weights, potential):
    """potential[n, o, c] += sum over the synapses s of row o of weights[s] activation[n, indices[s], c].

    activation: (n, positions, channels) float32. indptr: (positions out + 1,) int64, where each row's synapses begin. indices: (synapses,)
    int64, input positions. weights: (synapses,) float32. potential: (n, positions out, channels) float32, added to in place. Sums are of
    float64, as rows may be long.
    """
    activation = np.ascontiguousarray(activation)
    arguments = activation, indptr, indices, weights, potential
    work = len(activation) * max(indices.size, potential.shape[1]) * potential.shape[2]
    in_parallel(_sparse_shared, len(activation) * potential.shape[1], arguments, work < SERIAL_ELEMENTS)


@jit()
def _sparse(first, past, activation, indptr, indices, weights, potential):
    rows, channels = potential.shape[1], potential.shape[2]
    total = np.empty(channels)
    for item in range(first, past):
        n, row = item // rows, item % rows
        total[:] = 0
        for synapse in range(indptr[row], indptr[row + 1]):
            at, weight = indices[synapse], np.float64(weights[synapse])
            for c in range(channels):
                total[c] += weight * activation[n, at, c]
        for c in range(channels):
            potential[n, row, c] += np.float32(total[c])


@jit()
def _sparse_shared(state, items, chunk, *arguments):
    share(_sparse, state, items, chunk, arguments)
