"""One time step of rate-coded neurons: charge, compare, subtract."""

from ._jit import jit
from ._threads import SERIAL_ELEMENTS, in_parallel, share


def integrate_and_fire(potential, charge, threshold, spikes, counts):
    """V += charge; where V >= threshold a neuron spikes and V -= threshold (reset by subtraction: Rueckauer et al., 2017).

    potential: V, (rows, m) float32, with what arrived in this step added already; changed in place. charge: of every step, (rows, m) float32.
    threshold: (m,) float32, above 0. spikes: (rows, m) float32, the threshold where a neuron spikes, else 0: what a spike is worth.
    counts: (rows, m) int32, spikes so far.
    """
    in_parallel(_integrate_and_fire_shared, potential.shape[0], (potential, charge, threshold, spikes, counts), potential.size < SERIAL_ELEMENTS)


@jit()
def _integrate_and_fire(first, past, potential, charge, threshold, spikes, counts):
    for r in range(first, past):
        for i in range(potential.shape[1]):
            reached = potential[r, i] + charge[r, i]
            if reached >= threshold[i]:
                spikes[r, i] = threshold[i]
                counts[r, i] += 1
                potential[r, i] = reached - threshold[i]
            else:
                spikes[r, i] = 0
                potential[r, i] = reached


@jit()
def _integrate_and_fire_shared(state, items, chunk, *arguments):
    share(_integrate_and_fire, state, items, chunk, arguments)
