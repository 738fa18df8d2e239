"""One time step of a layer's neurons: compare with the threshold, then integrate."""

import numba as nb
import numpy as np

from ._jit import jit

UNFIRED = np.int32(2**30)  # the step of a neuron that has not fired: later than any


@jit(parallel=True)
def tick(potential, current, threshold, lead, dt, step, times):
    """Fire every neuron that reaches the threshold during this step, then let its current flow for the step: V += I dt.

    A neuron fires if V >= threshold at the step itself, or `lead` after it; the ramp between is straight, so nothing in between is missed.
    potential: V, current: I, (rows, m) float64, V changed in place. threshold: of this step; inf: none fires, -inf: all do.
    lead: how long after the step it still counts as on it, from the rounding rule, in the unit of `dt`. dt: length of the step.
    step: its number, written to times (rows, m) int32 where that is UNFIRED.
    """
    for r in nb.prange(potential.shape[0]):
        for i in range(potential.shape[1]):
            reached = max(potential[r, i], potential[r, i] + current[r, i] * lead) >= threshold
            if reached and times[r, i] == UNFIRED:
                times[r, i] = step
            potential[r, i] += current[r, i] * dt
