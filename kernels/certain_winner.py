"""The step from which on a readout's winner is certain, whatever the spikes do that are still to arrive."""

import numpy as np

from ._jit import jit
from ._threads import in_parallel, share


def certain_winner(times, weights, bias, winners, group, start, steps, latency, decided):
    """decided[n] = the first step at which the winner of image n beats every other class for all completions of its spikes; `latency` at the latest.

    times: (n, m) integers, in the window of each neuron, N silent. weights: (m, classes) float64. bias: (classes,) float64. winners: (n,) int64.
    group: (m,) int64, which window each neuron spikes in: steps start[g] to start[g] + steps[g]. decided: (n,) int64.
    """
    in_parallel(_certain_winner_shared, times.shape[0], (times, weights, bias, winners, group, start, steps, latency, decided))


@jit()
def _certain_winner(first, past, times, weights, bias, winners, group, start, steps, latency, decided):
    opening = start.min()
    for n in range(first, past):
        classes, winner = bias.size, winners[n]
        margin = bias[winner] - bias  # over each class, by what has arrived
        worst = np.zeros((start.size, classes))  # what those to arrive may take from it, each at a = 1
        arrivals = np.zeros(latency + 2, np.int64)
        for j in range(times.shape[1]):
            g = group[j]
            for i in range(classes):
                worst[g, i] += min(0.0, weights[j, winner] - weights[j, i])
            if times[n, j] < steps[g]:
                arrivals[start[g] + times[n, j] + 2] += 1
        for t in range(1, arrivals.size):
            arrivals[t] += arrivals[t - 1]
        order, place = np.empty(arrivals[-1], np.int64), arrivals.copy()
        for j in range(times.shape[1]):
            if times[n, j] < steps[group[j]]:
                at = start[group[j]] + times[n, j] + 1
                order[place[at]] = j
                place[at] += 1
        decided[n] = latency
        for t in range(opening, latency):
            for o in range(arrivals[t], arrivals[t + 1]):
                j = order[o]
                g = group[j]
                a = 1 - times[n, j] / steps[g]
                for i in range(classes):
                    ahead = weights[j, winner] - weights[j, i]
                    margin[i] += ahead * a
                    worst[g, i] -= min(0.0, ahead)
            certain = True
            for i in range(classes):
                least = margin[i]
                for g in range(start.size):
                    least += worst[g, i] * min(1.0, max(0.0, 1 - (t - start[g]) / steps[g]))
                certain = certain and (i == winner or least > 0)
            if certain:
                decided[n] = t
                break


@jit()
def _certain_winner_shared(state, items, chunk, *arguments):
    share(_certain_winner, state, items, chunk, arguments)
