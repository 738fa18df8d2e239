"""Neurons in blocks of a few vectors: how their weights, and what else is known of them, are laid out for engines that follow spikes one by one."""

from typing import NamedTuple

import numpy as np

from ._jit import jit
from ._llvm import LANES
from .charging import MOST_VECTORS
from .vector import aligned

TILE = 32  # lists of spikes that are made before the weights of a block are used for all of them
TILE_SPIKES = 2**18  # in all of these


class Rows(NamedTuple):
    """Weights as (groups, blocks, rows + 1, block), flattened; the last row and what pads the blocks are zeros.

    `channelwise`: every group has one output; the groups are then laid out as outputs of one.
    """

    values: np.ndarray  # float32
    groups: int
    blocks: int  # of one group
    rows: int
    vectors: int  # of LANES outputs in a block
    outputs: int  # of one group
    channelwise: bool


class Window(NamedTuple):
    """What is known of a layer's neurons, from `in_blocks`: (variants, groups, blocks, block) float64; position p is like p % variants."""

    bias: np.ndarray  # a charge
    rise: np.ndarray  # the current that is switched on as the window opens
    threshold: np.ndarray  # (steps, *those), falling; or empty: it is 1


def in_rows(weights: np.ndarray) -> Rows:
    """Lay out weights (groups, rows, outputs of a group) float32."""
    channelwise = weights.shape[0] > 1 and weights.shape[2] == 1
    weights = weights.transpose(2, 1, 0) if channelwise else weights
    groups, rows, outputs = weights.shape
    vectors = -(-outputs // LANES)
    blocks = -(-vectors // MOST_VECTORS)
    vectors = -(-vectors // blocks)
    block = LANES * vectors
    values = aligned(groups * blocks * (rows + 1) * block)
    packed = values.reshape(groups, blocks, rows + 1, block)
    for b in range(blocks):
        part = weights[:, :, b * block : (b + 1) * block]
        packed[:, b, :rows, : part.shape[2]] = part
    return Rows(values, groups, blocks, rows, vectors, outputs, channelwise)


def in_blocks(values: np.ndarray, rows: Rows) -> np.ndarray:
    """`values` (..., m) of channels, of all neurons or of one, as (..., variants, groups, blocks, block) float64: neuron i has values[..., i % m]."""
    per_position = rows.groups * rows.outputs
    variants = np.lcm(values.shape[-1], per_position) // per_position if values.shape[-1] > 1 else 1
    block = LANES * rows.vectors
    laid = np.zeros((*values.shape[:-1], variants, rows.groups, rows.blocks * block))
    index = np.arange(variants * per_position, dtype=np.int64) % values.shape[-1]
    laid[..., : rows.outputs] = values[..., index].reshape(*values.shape[:-1], variants, rows.groups, rows.outputs)
    return laid.reshape(*laid.shape[:-1], rows.blocks, block)


@jit(inline="always")
def variant_of(p, values):
    variants = values.shape[0]
    return p % variants if variants > 1 else 0


@jit(inline="always")
def start(n, p, g, b, neuron, width, window, charged, current, potential):
    """What neurons hold before any spike arrives."""
    variant = variant_of(p, window.bias)
    for o in range(current.size):
        current[o] = 0
        potential[o] = window.bias[variant, g, b, o]
    if charged.shape[1] > 0:
        for o in range(width):
            potential[o] += charged[n, neuron + o]
