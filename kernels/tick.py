"""One time step of a layer's neurons: compare with the threshold, then integrate."""

import numpy as np

from ._jit import jit
from ._threads import SERIAL_ELEMENTS, in_parallel, share

UNFIRED = np.int32(2**30)  # the step of a neuron that has not fired: later than any


def tick(potential, current, threshold, lead, dt, step, times):
    """Fire every neuron that reaches the threshold during this step, then let its current flow for the step: V += I dt.

    A neuron fires if V >= threshold at the step itself, or `lead` after it; the ramp between is straight, so nothing in between is missed.
    potential: V, current: I, (rows, m) float64, V changed in place. threshold: of this step; inf: none fires, -inf: all do.
    lead: how long after the step it still counts as on it, from the rounding rule, in the unit of `dt`. dt: length of the step.
    step: its number, written to times (rows, m) int32 where that is UNFIRED.
    """
    in_parallel(_tick_shared, potential.shape[0], (potential, current, threshold, lead, dt, step, times), potential.size < SERIAL_ELEMENTS)


@jit()
def _tick(first, past, potential, current, threshold, lead, dt, step, times):
    for r in range(first, past):
        for i in range(potential.shape[1]):
            reached = max(potential[r, i], potential[r, i] + current[r, i] * lead) >= threshold
            if reached and times[r, i] == UNFIRED:
                times[r, i] = step
            potential[r, i] += current[r, i] * dt


@jit()
def _tick_shared(state, items, chunk, *arguments):
    share(_tick, state, items, chunk, arguments)
