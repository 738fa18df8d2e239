"""What a conversion chooses between, each list once. The roundings are in `kernels/rounding.py`, beside the arithmetic that they stand for."""

from __future__ import annotations

from typing import Literal, get_args

Mode = Literal["strict", "exact", "unchecked"]  # what is asked of a model: the paper's constraints; ranges from data; nothing
Slope = Literal["fan_in", "reference", "gated"]  # what a neuron's ramp rises with, see `populations.Spiking`
Pooling = Literal["synaptic", "spiking"]  # average pools: weights of the next layer, or neurons with a window of their own

MODES: tuple[Mode, ...] = get_args(Mode)
EXACT_SLOPES: tuple[Slope, ...] = ("gated", "reference")  # of mode exact, the default first; the others have the paper's, fan_in
FEWEST_BITS, MOST_BITS = 2, 8  # of weights that are rounded, see `weight_grid`
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
