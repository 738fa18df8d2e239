"""Neurons in continuous time: spikes one by one in order of arrival, potentials that are straight between them."""

import numba as nb
import numpy as np

from ._jit import jit

VIRTUAL = -1  # instead of a neuron: a padded tap, which spikes as its window closes
CLOSING = 1.0  # when the window of a layer's inputs closes and its own opens


@jit()
def _arriving(n, g, p, fields, arrivals, latest, time, row, factor):
    """List what reaches position `p`, group `g` of image `n` up to `latest`; return how many. Without arrays it only counts."""
    start, source, strength, first, relay, tap_row, channels = fields
    count = 0
    for t in range(first[p], first[p + 1]):
        for c in range(channels[t]):
            if relay[t] == VIRTUAL:
                lo, hi = 0, 1
            else:
                r = relay[t] + g * channels[t] + c
                lo, hi = start[r], start[r + 1]
            for s in range(lo, hi):
                virtual = relay[t] == VIRTUAL or source[s] == VIRTUAL
                when = CLOSING if virtual else arrivals[n, source[s]]
                if when <= latest:  # a missing spike arrives never: NaN
                    if time.size:
                        time[count], row[count] = when, tap_row[t] + c
                        factor[count] = 1.0 if relay[t] == VIRTUAL else strength[s]
                    count += 1
    return count


@jit()
def _events(n, g, p, fields, arrivals, latest):
    none = np.empty(0)
    count = _arriving(n, g, p, fields, arrivals, latest, none, np.empty(0, np.int64), none)
    time, row, factor = np.empty(count), np.empty(count, np.int64), np.empty(count)
    _arriving(n, g, p, fields, arrivals, latest, time, row, factor)
    return time, row, factor


@jit()
def _in_order(time):
    """Indices of `time` by size; those at CLOSING, often half of them, all stand at the end of the window and need no sorting."""
    order = np.empty(time.size, np.int64)
    early = np.empty(time.size, np.int64)
    late = np.empty(time.size, np.int64)
    e = c = k = 0
    for i in range(time.size):
        if time[i] < CLOSING:
            early[e] = i
            e += 1
        elif time[i] > CLOSING:
            late[k] = i
            k += 1
    order[:e] = early[:e][np.argsort(time[early[:e]])]
    for i in range(time.size):
        if time[i] == CLOSING:
            order[e + c] = i
            c += 1
    order[e + c :] = late[:k][np.argsort(time[late[:k]])]
    return order


@jit(parallel=True)
def dynamic(fields, weights, arrivals, latest, current, potential):
    """Potential and current of every neuron as its window opens: dV/dt = I, I = sum of the weights of the spikes that have arrived.

    fields: see `simulation.receptive_fields`, without the weights. weights: (groups, rows, outputs) float32. arrivals: (n, source neurons)
    float64 in [0, 1]. latest: spikes after it are not sent. current, potential: (n, neurons) float64, written.
    """
    groups, outputs = weights.shape[0], weights.shape[2]
    positions = fields[3].size - 1
    for item in nb.prange(arrivals.shape[0] * positions * groups):
        n, p, g = item // (positions * groups), item // groups % positions, item % groups
        time, row, factor = _events(n, g, p, fields, arrivals, latest)
        order = _in_order(time)
        v, i = np.zeros(outputs), np.zeros(outputs)
        now = 0.0
        for e in order:
            dt, f, w = time[e] - now, factor[e], weights[g, row[e]]
            now = time[e]
            for o in range(outputs):
                v[o] += i[o] * dt
                i[o] += f * w[o]
        first = (p * groups + g) * outputs
        for o in range(outputs):
            potential[n, first + o] = v[o] + i[o] * (CLOSING - now)
            current[n, first + o] = i[o]


@jit(parallel=True)
def fixed(fields, weights, arrivals, begin, end, bias, reference, threshold, times, potential):
    """Spike times with a threshold that holds at all times, and the potential at `end`; a neuron is done once it has fired.

    fields, weights: as for `dynamic`. arrivals: (n, source neurons) float64 on the clock of the inputs' window, NaN for missing spikes.
    begin, end: of the run on that clock. bias: (neurons,) float64, a current from 0 to CLOSING. reference: (neurons,) float64, weight of
    a spike at CLOSING. threshold: inf for a readout. times: (n, neurons) float64, when each fires on that clock, NaN if it does not;
    potential: (n, neurons) float64; both written.
    """
    groups, outputs = weights.shape[0], weights.shape[2]
    positions = fields[3].size - 1
    for item in nb.prange(arrivals.shape[0] * positions * groups):
        n, p, g = item // (positions * groups), item // groups % positions, item % groups
        time, row, factor = _events(n, g, p, fields, arrivals, end)
        count, first = time.size, (p * groups + g) * outputs
        time = np.concatenate((time, np.array([0.0, CLOSING, CLOSING, end])))
        order = np.argsort(time)
        v, i, fired = np.zeros(outputs), np.zeros(outputs), np.full(outputs, np.nan)
        now, waiting = begin, outputs
        for e in order:
            dt = time[e] - now
            if dt > 0:
                for o in range(outputs):
                    after = v[o] + i[o] * dt
                    if after >= threshold and np.isnan(fired[o]):
                        fired[o] = now + max(threshold - v[o], 0.0) / i[o] if i[o] > 0 else now
                        waiting -= 1
                    v[o] = after
            now = time[e]
            if waiting == 0:
                break
            for o in range(outputs):
                if e < count:
                    i[o] += factor[e] * weights[g, row[e], o]
                elif e == count:
                    i[o] += bias[first + o]
                elif e == count + 1:
                    i[o] -= bias[first + o]
                elif e == count + 2:
                    i[o] += reference[first + o]
        for o in range(outputs):
            times[n, first + o] = fired[o]
            potential[n, first + o] = v[o]
