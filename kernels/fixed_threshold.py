"""Neurons in continuous time whose threshold is 1 at all times: spikes one by one in order of arrival, potentials that are straight between them."""

import numpy as np

from ._jit import jit
from ._threads import in_parallel, share
from .incoming_spikes import CLOSING, VIRTUAL


@jit()
def _arriving(n, g, p, fields, arrivals, latest, time, row, factor):
    """List what reaches position `p`, group `g` of image `n` up to `latest`; return how many. Without arrays it only counts."""
    start, source, strength, first, relay, tap_row, channels, _, _ = fields
    direct = start.size == 0
    count = 0
    for t in range(first[p], first[p + 1]):
        for c in range(channels[t]):
            if relay[t] == VIRTUAL or direct:
                lo, hi = 0, 1
            else:
                r = relay[t] + g * channels[t] + c
                lo, hi = start[r], start[r + 1]
            for s in range(lo, hi):
                if relay[t] == VIRTUAL or (not direct and source[s] == VIRTUAL):
                    when = CLOSING
                else:
                    when = arrivals[n, relay[t] + g * channels[t] + c if direct else source[s]]
                if when <= latest:  # a missing spike arrives never: NaN
                    if time.size:
                        time[count], row[count] = when, tap_row[t] + c
                        factor[count] = 1.0 if relay[t] == VIRTUAL or direct else strength[s]
                    count += 1
    return count


@jit()
def _events(n, g, p, fields, arrivals, latest):
    none = np.empty(0)
    count = _arriving(n, g, p, fields, arrivals, latest, none, np.empty(0, np.int64), none)
    time, row, factor = np.empty(count), np.empty(count, np.int64), np.empty(count)
    _arriving(n, g, p, fields, arrivals, latest, time, row, factor)
    return time, row, factor


def fixed(fields, weights, arrivals, begin, end, bias, reference, threshold, times, potential):
    """Spike times with a threshold that holds at all times, and the potential at `end`; a neuron is done once it has fired.

    fields: `incoming_spikes.Fields`. weights: (groups, rows, outputs) float32.
    arrivals: (n, source neurons) float64 on the clock of the inputs' window, NaN for missing spikes.
    begin, end: of the run on that clock. bias: (neurons,) float64, a current from 0 to CLOSING. reference: (neurons,) float64, weight of
    a spike at CLOSING. threshold: inf for a readout. times: (n, neurons) float64, when each fires on that clock, NaN if it does not;
    potential: (n, neurons) float64; both written.
    """
    in_parallel(
        _fixed_shared,
        arrivals.shape[0] * (fields.first.size - 1) * weights.shape[0],
        (fields, weights, arrivals, begin, end, bias, reference, threshold, times, potential),
    )


@jit()
def _fixed(first, past, fields, weights, arrivals, begin, end, bias, reference, threshold, times, potential):
    groups, outputs = weights.shape[0], weights.shape[2]
    positions = fields.first.size - 1
    for item in range(first, past):
        n, p, g = item // (positions * groups), item // groups % positions, item % groups
        time, row, factor = _events(n, g, p, fields, arrivals, end)
        count, neuron = time.size, (p * groups + g) * outputs
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
                    i[o] += bias[neuron + o]
                elif e == count + 1:
                    i[o] -= bias[neuron + o]
                elif e == count + 2:
                    i[o] += reference[neuron + o]
        for o in range(outputs):
            times[n, neuron + o] = fired[o]
            potential[n, neuron + o] = v[o]


@jit()
def _fixed_shared(state, items, chunk, *arguments):
    share(_fixed, state, items, chunk, arguments)
