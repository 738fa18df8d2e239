"""The grid of N time steps per window, and the two ways in which spike times are rounded to it.

    k = clip(ceil(N tau - h - TIE), 0, N)

Rounding   h, steps   A neuron due between two steps fires at
nearest    1/2        the nearer one
ceil       0          the first one after it is due, so that its spike is half a step late on average

tau: spike time in [0, 1], the share of the window that has passed; k: the step; k = N is silent.
"""

from typing import Literal, get_args

Rounding = Literal["nearest", "ceil"]
ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)
HALF: dict[Rounding, float] = {"nearest": 0.5, "ceil": 0.0}  # h by rounding, in steps
TIE = 1e-4  # in steps: a crossing this little after a grid point counts as on it, so that ties fire earlier in every engine
MAX_STEPS = 65535  # the largest N: steps are stored as unsigned integers of at most 16 bits
