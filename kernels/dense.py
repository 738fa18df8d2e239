"""Membrane potentials of a fully connected layer, from events: a silent input costs one comparison."""

import numba as nb

from ._jit import jit

IMAGES = 8  # images that share one pass over the weights, which seldom fit the cache


@jit(parallel=True, fastmath={"contract"})
def dense(activation, weights, potential):
    """potential[n, o] += sum_i activation[n, i] weights[i, o].

    activation: (n, inputs) float32. weights: (inputs, outputs) float32. potential: (n, outputs) float32, added to in place.
    """
    images = activation.shape[0]
    for block in nb.prange((images + IMAGES - 1) // IMAGES):
        for i in range(activation.shape[1]):
            for n in range(block * IMAGES, min((block + 1) * IMAGES, images)):
                a = activation[n, i]
                if a != 0:
                    for o in range(weights.shape[1]):
                        potential[n, o] += a * weights[i, o]
