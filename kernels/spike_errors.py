"""A layer's spike times beside what the original network computes: errors and silence in one pass over both."""

from typing import NamedTuple

import numpy as np
from numba.core import types
from numba.extending import overload

from ._jit import jit
from ._threads import SERIAL_ELEMENTS, in_parallel, share

BLOCK = 16  # positions that are compared in all images before the next ones, while their counts and ranges are in the cache
_NEUTRAL = np.array([0, 0, np.inf, -np.inf, 0])


class Errors(NamedTuple):
    """Of all values compared, a' = (x - lo) / width being the original's activation and a the spike's."""

    largest: float  # |a' - a|
    total: float  # of |a' - a|
    low: float  # smallest a'
    high: float  # largest a'
    outside: int  # values with a' outside [-margin, 1 + margin]


def compare(times, steps, silent_from, reference, channels_first, lo, width, margin, active, sent, totals):
    """Compare spike times with a tensor, and count in which images each neuron is active and sends a spike.

    times: (n, positions, channels), unsigned steps of which `steps` = N is silent, or float32 tau, silent from `silent_from` on, NaN where a
    spike is missing. reference: float32 (n, positions * channels) in the order of the neurons, or of channels first; or no rows: then nothing
    is compared, and the errors are 0, 0, inf, -inf, 0. lo, width: (positions, channels) float32. active, sent: (positions, channels) int32,
    added to in place. totals: (n,) float64, to which the sum of each image's errors is added. Returns Errors.
    """
    if times.shape[1] == 1:  # positions are what threads share
        times, lo, width, active, sent = (each.reshape(*each.shape[:-2], -1, 1) for each in (times, lo, width, active, sent))
    found, activation = np.tile(_NEUTRAL, (times.shape[1], 1)), (1 - np.arange(steps + 1) / max(steps, 1)).astype(np.float32)
    if times.dtype.kind == "u":
        sent += len(times)
    as_it_is = not lo.any() and (width == 1).all()
    sums = np.zeros((times.shape[1], len(times)))  # by first position of a block: threads share none
    ends = lo, width, np.float32(margin)
    arguments = times, activation, np.float32(silent_from), reference, channels_first, as_it_is, *ends, active, sent, sums, found
    in_parallel(_compare_shared, times.shape[1], arguments, times.size < SERIAL_ELEMENTS)
    totals += sums.sum(axis=0)
    return Errors(found[:, 0].max(), found[:, 1].sum(), found[:, 2].min(), found[:, 3].max(), int(found[:, 4].sum()))


@jit()
def _compare(first, past, times, activation, silent_from, reference, channels_first, as_it_is, lo, width, margin, active, sent, sums, found):
    images, positions, channels = times.shape
    largest, total, low, high, outside = np.float32(0), 0.0, np.float32(np.inf), np.float32(-np.inf), 0
    top, compared = np.float32(1) + margin, reference.shape[0] > 0
    for place in range(images * -(-(past - first) // BLOCK)):
        image, start = place % images, first + place // images * BLOCK
        before = total
        for position in range(start, min(start + BLOCK, past)):
            at, step = (position, positions) if channels_first else (position * channels, 1)
            for c in range(channels):
                a, is_active = _spike(times[image, position, c], activation, silent_from)
                active[position, c] += is_active
                _count(times[image, position, c], sent, position, c)
                if compared:
                    theirs = reference[image, at]
                    if not as_it_is:  # a division takes as long as all the rest
                        theirs = (theirs - lo[position, c]) / width[position, c]
                    at += step
                    error = abs(theirs - a)
                    total += np.float64(error)
                    outside += (theirs > top) | (theirs < -margin)
                    if error > largest:  # branches that are seldom taken cost less than selections
                        largest = error
                    if theirs < low:
                        low = theirs
                    if theirs > high:
                        high = theirs
        sums[start, image] = total - before
    found[first, 0], found[first, 1], found[first, 2], found[first, 3] = largest if total == total else total, total, low, high  # NaN stays
    found[first, 4] = outside


@jit()
def _compare_shared(state, items, chunk, *arguments):
    share(_compare, state, items, chunk, arguments)


def _spike(time, activation, silent_from):
    """What one spike time means: the activation, and whether it is above 0."""
    return (_of_tau if isinstance(time, np.floating) else _of_step)(time, activation, silent_from)


def _of_step(time, activation, silent_from):
    return activation[time], time < activation.size - 1


def _of_tau(time, activation, silent_from):
    return np.float32(0) if np.isnan(time) else np.float32(1) - time, time < silent_from


@overload(_spike, inline="always")
def _spike_typed(time, activation, silent_from):
    return _of_tau if isinstance(time, types.Float) else _of_step


def _count(time, sent, position, c):
    """Count a spike, where some neurons send none: steps are all of spikes, and counted already."""
    if isinstance(time, np.floating):
        sent[position, c] += not np.isnan(time)


def _count_tau(time, sent, position, c):
    sent[position, c] += not np.isnan(time)


def _count_step(time, sent, position, c):
    pass


@overload(_count, inline="always")
def _count_typed(time, sent, position, c):
    return _count_tau if isinstance(time, types.Float) else _count_step
