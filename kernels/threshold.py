"""When a neuron fires: the crossing of its ramp with the threshold, in continuous time and on a grid of N steps."""

import math

import numba as nb

from ._jit import jit

TIE = 1e-4  # in steps: a crossing this little after a grid point counts as on it, so that ties fire earlier in every engine


@jit()
def crossing_time(potential, slope):
    """First tau in [0, 1] with potential + slope tau >= 1; 1 (silent) if there is none. Scalars, float64 arithmetic.

    potential: V0, the membrane potential when the window opens. slope: S of the ramp. For slope <= 0: 0 if V0 >= 1, else 1.
    """
    if slope <= 0:
        return 0.0 if potential >= 1 else 1.0
    return min(max((1.0 - potential) / slope, 0.0), 1.0)


@jit()
def time_step(tau, steps, half):
    """The step at which a spike due at `tau` fires: k = clip(ceil(N tau - h - 1e-4), 0, N).

    tau: spike time in [0, 1]. steps: N. half: h, 0.5 for rounding `nearest` and 0 for `ceil`. Returns a float with an integer value.
    """
    return min(max(math.ceil(steps * tau - half - TIE), 0.0), steps)


@jit(parallel=True)
def fire(potential, slope, steps, half, times):
    """Write every neuron's spike time: `times[r, i]` from V0 = `potential[r, i]` and S = `slope[i]`.

    potential: (rows, m) float32. slope: (m,) float32. steps: N, or 0 for continuous time. half: h of `time_step`.
    times: (rows, m), unsigned integers (steps) when N > 0, float32 (tau) otherwise.
    """
    for r in nb.prange(potential.shape[0]):
        for i in range(potential.shape[1]):
            tau = crossing_time(nb.float64(potential[r, i]), nb.float64(slope[i]))
            times[r, i] = time_step(tau, steps, half) if steps > 0 else tau


@jit(parallel=True)
def encode(activation, steps, half, times):
    """Write the spike times of analog values in [0, 1]: tau = 1 - a, on the grid if N > 0.

    activation: (rows, m) float32. steps, half, times: as for `fire`.
    """
    for r in nb.prange(activation.shape[0]):
        for i in range(activation.shape[1]):
            tau = 1.0 - nb.float64(activation[r, i])
            times[r, i] = time_step(tau, steps, half) if steps > 0 else tau
