"""Engine `clock`'s neurons: every time step of their inputs' windows and of their own, while currents and potentials stay in registers.

    I(k) = sum of the weights of the spikes up to step k;  V(k + 1) = V(k) + I(k) / N;  fire at the first step with V >= threshold

Nothing here knows V0 = sum w a, nor a sum of weights.
"""

import numpy as np

from ._jit import jit
from ._llvm import LANES
from ._threads import SERIAL_ELEMENTS, in_parallel, share
from .charging import MOST_VECTORS, charge, charge_by_factors, charge_in_place, climb, switch_on, switch_on_by_factors
from .incoming_spikes import TOGETHER, VIRTUAL, Fields, Room, list_by_step
from .neuron_blocks import TILE, TILE_SPIKES, Rows, Window, start, variant_of

ENCODERS = 1024  # that one thread takes at a time


@jit(inline="always")
def _put_by(current, total, first):
    """Add to `total` what has been switched on in one window, so that the next one starts with none."""
    for o in range(current.size):
        total[o] = current[o] + (0.0 if first else total[o])
        current[o] = 0


@jit(inline="always")
def _open(vectors, n, p, g, b, neuron, width, window, closing, lead, steps, current, potential, rise, threshold, fired, times):
    """The neurons' own window: write when they fire."""
    variant, dt = variant_of(p, window.rise), 1 / steps
    for o in range(current.size):
        slope = window.rise[variant, g, b, o] + (current[o] if closing else 0.0)
        rise[o] = slope * dt
        threshold[o] = 1 - max(rise[o], 0.0) * lead
    course, at, stride = threshold, 0, 0
    if window.threshold.size > 0:
        _, variants, groups, blocks, block = window.threshold.shape
        course, stride = window.threshold.reshape(-1), variants * groups * blocks * block
        at = (((p % variants if variants > 1 else 0) * groups + g) * blocks + b) * block
    climb(vectors, potential, rise, course, at, stride, steps, fired)
    for o in range(width):
        times[n, neuron + o] = fired[o]


def _running(weighted):
    """The kernel for relays with factors, or for neurons themselves: each is compiled when it is needed."""

    @jit()
    def run(first, past, rows, fields, windows, closing, window, spikes, lead, steps, charged, times, potentials):
        groups, blocks, vectors, outputs, weights = rows.groups, rows.blocks, rows.vectors, rows.outputs, rows.values
        positions, block, ticks = fields.first.size - 1, LANES * vectors, windows[-1]
        most = fields.most
        longest = most + LANES + TOGETHER * (ticks + 1)  # the list of each step is filled up
        tile = max(1, min(TILE, TILE_SPIKES // longest))
        found, factors = most + LANES, most + LANES if weighted else 0
        room = Room(np.empty(found, np.int32), np.empty(found, np.int32), np.empty(factors, np.float32), np.empty(ticks, np.int64))
        begin, row, factor = (
            np.empty((tile, ticks + 1), np.int64),
            np.empty(tile * longest, np.int32),
            np.empty(tile * longest if weighted else 0, np.float32),
        )
        current, total, potential, rise, threshold = np.empty(block), np.empty(block), np.empty(block), np.empty(block), np.empty(block)
        fired = np.empty(block, np.int64)
        image, position = np.empty(tile, np.int64), np.empty(tile, np.int64)
        for begun in range(first, past, tile):
            together = min(tile, past - begun)
            for i in range(together):
                image[i], position[i] = (begun + i) // positions, (begun + i) % positions
            for g in range(groups):
                for i in range(together):
                    n, p = image[i], position[i]
                    list_by_step(n, g, p, fields, weighted, spikes, windows, closing, block, rows.rows, room, i, begin, row, factor, i * longest)
                for b in range(blocks):
                    at_weights = (g * blocks + b) * (rows.rows + 1) * block
                    width = min(block, outputs - b * block)
                    for i in range(together):
                        n, p = image[i], position[i]
                        neuron = (p * groups + g) * outputs + b * block
                        start(n, p, g, b, neuron, width, window, charged, current, potential)
                        for w in range(windows.size - 1):
                            length, at = windows[w + 1] - windows[w], i * (ticks + 1) + windows[w]
                            if weighted:
                                charge_by_factors(vectors, current, potential, weights, at_weights, row, factor, begin, at, length, 1 / length)
                            else:
                                charge(vectors, current, potential, weights, at_weights, row, factor, begin, at, length, 1 / length)
                            if windows.size > 2:  # each has a clock of its own
                                _put_by(current, total, w == 0)
                        if windows.size > 2:
                            _put_by(total, current, True)
                        if steps == 0:
                            for o in range(width):
                                potentials[n, neuron + o] = potential[o]
                            continue
                        if weighted:
                            switch_on_by_factors(vectors, current, weights, at_weights, row, factor, i * longest, begin[i, 0])
                        else:
                            switch_on(vectors, current, weights, at_weights, row, factor, i * longest, begin[i, 0])
                        _open(vectors, n, p, g, b, neuron, width, window, closing, lead, steps, current, potential, rise, threshold, fired, times)

    return run


_run_directly, _run_by_factors = _running(False), _running(True)


@jit()
def _run_directly_shared(state, items, chunk, *arguments):
    share(_run_directly, state, items, chunk, arguments)


@jit()
def _run_by_factors_shared(state, items, chunk, *arguments):
    share(_run_by_factors, state, items, chunk, arguments)


@jit()
def _run_channelwise(first, past, rows, fields, windows, closing, window, spikes, lead, steps, charged, times, potentials):
    blocks, vectors, outputs, weights = rows.blocks, rows.vectors, rows.outputs, rows.values
    positions, block, ticks = fields.first.size - 1, LANES * vectors, windows[-1]
    current, total, potential, rise, threshold = np.empty(block), np.empty(block), np.empty(block), np.empty(block), np.empty(block)
    fired, switched = np.empty(block, np.int64), np.empty((ticks + 1, block))
    direct = fields.start.size == 0
    for item in range(first, past):
        n, p = item // positions, item % positions
        for b in range(blocks):
            width, neuron = min(block, outputs - b * block), p * outputs + b * block
            for s in range(ticks + 1):
                for o in range(block):
                    switched[s, o] = 0
            for t in range(fields.first[p], fields.first[p + 1]):
                offset, channels = windows[fields.window[t]], fields.channels[t]
                length = windows[fields.window[t] + 1] - offset
                for c in range(channels):
                    line = (b * (rows.rows + 1) + fields.row[t] + c) * block
                    if fields.relay[t] == VIRTUAL:
                        for o in range(width):
                            switched[ticks, o] += weights[line + o]
                    elif direct:
                        at = fields.relay[t] + b * block * channels + c
                        for o in range(width):
                            k = np.int64(spikes[n, at + o * channels])
                            switched[offset + k if k < length else ticks, o] += weights[line + o]
                    else:
                        for o in range(width):
                            r = fields.relay[t] + (b * block + o) * channels + c
                            for s in range(fields.start[r], fields.start[r + 1]):
                                k = length if fields.source[s] == VIRTUAL else np.int64(spikes[n, fields.source[s]])
                                switched[offset + k if k < length else ticks, o] += weights[line + o] * fields.factor[s]
            start(n, p, 0, b, neuron, width, window, charged, current, potential)
            for w in range(windows.size - 1):
                length = windows[w + 1] - windows[w]
                charge_in_place(vectors, current, potential, switched[windows[w] :], length, 1 / length)
                if windows.size > 2:
                    _put_by(current, total, w == 0)
            if windows.size > 2:
                _put_by(total, current, True)
            if steps == 0:
                for o in range(width):
                    potentials[n, neuron + o] = potential[o]
                continue
            if closing:
                for o in range(block):
                    current[o] += switched[ticks, o]
            _open(vectors, n, p, 0, b, neuron, width, window, closing, lead, steps, current, potential, rise, threshold, fired, times)


@jit()
def _run_channelwise_shared(state, items, chunk, *arguments):
    share(_run_channelwise, state, items, chunk, arguments)


def run_windows(
    rows: Rows,
    fields: Fields,
    windows: np.ndarray,
    closing: bool,
    window: Window,
    spikes: np.ndarray,
    lead: float,
    steps: int,
    charged: np.ndarray,
    out: np.ndarray,
) -> None:
    """Every step of the windows of a layer's inputs, then of its own: when its neurons fire, or the potentials of readouts.

    spikes: (n, source neurons) unsigned integers, the step of each in its own window, silent from that window's N on; fields: which of them reach
    which neurons. windows: (windows + 1,) int64, where the steps of each begin, counted one window behind another. closing: whether silent and
    virtual neurons spike as their window closes, and currents flow on.
    window: the neurons' own. lead: how long after a step a crossing still counts as on it, in steps.
    steps: N; 0: a readout, whose window does not open. charged: what potentials start from, (n, neurons) float64, or (n, 0). out: (n, neurons)
    unsigned integers, N for silent; of a readout float32; written.
    """
    fires = steps > 0
    times, potentials = (out, np.empty((0, 0), np.float32)) if fires else (np.empty((0, 0), spikes.dtype), out)
    arguments = rows, fields, windows, closing, window, spikes, lead, steps, charged, times, potentials
    shared = _run_channelwise_shared if rows.channelwise else _run_by_factors_shared if fields.start.size else _run_directly_shared
    alone = out.size * max(int(windows[-1]) + steps, 1) < SERIAL_ELEMENTS
    in_parallel(shared, len(out) * (fields.first.size - 1), arguments, alone)


def encode_step_by_step(values: np.ndarray, lead: float, steps: int, times: np.ndarray) -> None:
    """When encoders fire: charged to a at once, they ramp with unit current. values: a, float32; times: unsigned integers; both contiguous."""
    in_parallel(
        _encode_shared, -(-values.size // ENCODERS), (values.reshape(-1), lead, steps, times.reshape(-1)), values.size * steps < SERIAL_ELEMENTS
    )


@jit()
def _encode(first, past, values, lead, steps, times):
    block = LANES * MOST_VECTORS
    potential, rise, threshold, fired = np.empty(block), np.full(block, 1 / steps), np.full(block, 1 - lead / steps), np.empty(block, np.int64)
    for at in range(first * ENCODERS, min(past * ENCODERS, values.size), block):
        width = min(block, values.size - at)
        for o in range(width):
            potential[o] = values[at + o]
        for o in range(width, block):
            potential[o] = 1
        climb(MOST_VECTORS, potential, rise, threshold, 0, 0, steps, fired)
        for o in range(width):
            times[at + o] = fired[o]


@jit()
def _encode_shared(state, items, chunk, *arguments):
    share(_encode, state, items, chunk, arguments)
