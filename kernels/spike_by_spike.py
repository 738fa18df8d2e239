"""Engine `event`'s neurons in continuous time: spikes one by one in order of arrival, potentials that are straight between them.

dV/dt = I, I = sum of the weights of the spikes that have arrived; fire where V reaches the threshold
"""

import numpy as np

from ._jit import jit
from ._llvm import LANES
from ._threads import SERIAL_ELEMENTS, in_parallel, share
from .charging import charge_between, charge_between_by_factors, switch_on, switch_on_by_factors
from .incoming_spikes import CLOSING, TOGETHER, VIRTUAL, Fields
from .neuron_blocks import TILE, TILE_SPIKES, Rows, Window, start, variant_of

MANY = 16  # spikes in one part of the window from which on exchanging neighbours takes longer than a real sort
NEVER = 1e-300  # a slope with which a potential below 1 stays there
PARTS = 16, 1024  # of the window, at least and at most: one for every neuron that reaches a position, most of which are silent


@jit(inline="always")
def _exchange(time, row, factor, first, past):
    """Sort the spikes first <= j < past by time, neighbour by neighbour."""
    for j in range(first + 1, past):
        k = j
        while k > first and time[k - 1] > time[k]:
            time[k - 1], time[k] = time[k], time[k - 1]
            row[k - 1], row[k] = row[k], row[k - 1]
            if factor.size > 0:
                factor[k - 1], factor[k] = factor[k], factor[k - 1]
            k -= 1


@jit()
def _sort_crowds(time, row, factor, first, ends):
    """Sort by time the spikes of those parts of the window that have many. ends: of each part; the first begins at `first`."""
    for s in range(ends.size):
        past, ordered = ends[s], True
        if past - first > MANY:
            for j in range(first + 1, past):
                ordered &= time[j - 1] <= time[j]
        if not ordered:  # many that come at one time, as those of inputs at the end of their range do, are in order
            order = np.argsort(time[first:past])
            time[first:past] = time[first:past][order]
            row[first:past] = row[first:past][order]
            if factor.size > 0:
                factor[first:past] = factor[first:past][order]
        first = past


@jit(inline="always")
def _list_by_time(
    n, g, p, fields, weighted, arrivals, closing, block, nothing, found_time, found_row, found_factor, count, i, begin, time, row, factor, to
):
    """As `list_by_step`, of `arrivals` (n, source neurons) float64 in [0, 1]: what comes as the window closes, then the rest sorted by time. count:
    room for the parts of the window, int64. begin: (lists, 2) int64: from begin[i, 0] to begin[i, 1] are those of the second kind."""
    early, late = 0, to
    for t in range(fields.first[p], fields.first[p + 1]):
        at, channels, first = fields.relay[t], fields.channels[t], fields.row[t]
        if at == VIRTUAL:
            for c in range(channels if closing else 0):
                row[late] = (first + c) * block
                if weighted:
                    factor[late] = 1
                late += 1
        elif not weighted:
            at += g * channels
            for c in range(channels):
                when = arrivals[n, np.uint64(at + c)]
                found_time[early] = when
                found_row[early] = row[late] = (first + c) * block
                early += when < CLOSING
                late += when >= CLOSING
        else:
            at += g * channels
            for c in range(channels):
                for s in range(fields.start[at + c], fields.start[at + c + 1]):
                    when = CLOSING if fields.source[s] == VIRTUAL else arrivals[n, fields.source[s]]
                    found_time[early] = when
                    found_row[early] = row[late] = (first + c) * block
                    found_factor[early] = factor[late] = fields.factor[s]
                    early += when < CLOSING
                    late += when >= CLOSING
    if not closing:
        late = to
    while (late - to) % TOGETHER > 0:
        row[late] = nothing * block
        if weighted:
            factor[late] = 1
        late += 1
    parts = count.size
    for s in range(parts):
        count[s] = 0
    for e in range(early):
        count[np.uint64(found_time[e] * parts)] += 1
    past, crowded = late, False
    for s in range(parts):
        crowded |= count[s] > MANY
        count[s], past = past, past + count[s]
    for e in range(early):
        s = np.uint64(found_time[e] * parts)
        at = count[s]
        count[s] += 1
        time[at], row[at] = found_time[e], found_row[e]
        if weighted:
            factor[at] = found_factor[e]
    if crowded:
        _sort_crowds(time, row, factor, late, count)
    _exchange(time, row, factor, late, past)  # few neighbours stand in the wrong order
    begin[i, 0], begin[i, 1] = late, past


@jit(inline="always")
def _when(potential, current, closing, fires, rise):
    """When the threshold 1 is reached, 1 if it is not; or the potential."""
    slope = rise + (current if closing else 0.0)
    tau = min(max((1 - potential) / max(slope, NEVER), 0.0), 1.0)
    return tau if fires else potential


def _running(weighted):
    """As in `step_by_step`."""

    @jit()
    def run(first, past, rows, fields, closing, window, arrivals, fires, charged, out):
        groups, blocks, vectors, outputs, weights = rows.groups, rows.blocks, rows.vectors, rows.outputs, rows.values
        positions, block, most = fields.first.size - 1, LANES * vectors, fields.most
        longest = most + TOGETHER
        tile = max(1, min(TILE, TILE_SPIKES // longest))
        found_time, found_row = np.empty(most + 1), np.empty(most + 1, np.int32)
        found_factor = np.empty(most + 1 if weighted else 0, np.float32)
        count = np.empty(min(max(most, PARTS[0]), PARTS[1]), np.int64)
        begin, time, row = np.empty((tile, 2), np.int64), np.empty(tile * longest), np.empty(tile * longest, np.int32)
        factor = np.empty(tile * longest if weighted else 0, np.float32)
        current, potential = np.empty(block), np.empty(block)
        image, position = np.empty(tile, np.int64), np.empty(tile, np.int64)
        for begun in range(first, past, tile):
            together = min(tile, past - begun)
            for i in range(together):
                image[i], position[i] = (begun + i) // positions, (begun + i) % positions
            for g in range(groups):
                for i in range(together):
                    n, p, to = image[i], position[i], i * longest
                    _list_by_time(
                        n,
                        g,
                        p,
                        fields,
                        weighted,
                        arrivals,
                        closing,
                        block,
                        rows.rows,
                        found_time,
                        found_row,
                        found_factor,
                        count,
                        i,
                        begin,
                        time,
                        row,
                        factor,
                        to,
                    )
                for b in range(blocks):
                    at_weights = (g * blocks + b) * (rows.rows + 1) * block
                    width = min(block, outputs - b * block)
                    for i in range(together):
                        n, p = image[i], position[i]
                        neuron = (p * groups + g) * outputs + b * block
                        start(n, p, g, b, neuron, width, window, charged, current, potential)
                        if weighted:
                            charge_between_by_factors(vectors, current, potential, weights, at_weights, time, row, factor, begin[i, 0], begin[i, 1])
                            if closing:
                                switch_on_by_factors(vectors, current, weights, at_weights, row, factor, i * longest, begin[i, 0])
                        else:
                            charge_between(vectors, current, potential, weights, at_weights, time, row, factor, begin[i, 0], begin[i, 1])
                            if closing:
                                switch_on(vectors, current, weights, at_weights, row, factor, i * longest, begin[i, 0])
                        variant = variant_of(p, window.rise)
                        for o in range(width):
                            out[n, neuron + o] = _when(potential[o], current[o], closing, fires, window.rise[variant, g, b, o])

    return run


_run_directly, _run_by_factors = _running(False), _running(True)


@jit()
def _run_directly_shared(state, items, chunk, *arguments):
    share(_run_directly, state, items, chunk, arguments)


@jit()
def _run_by_factors_shared(state, items, chunk, *arguments):
    share(_run_by_factors, state, items, chunk, arguments)


@jit()
def _run_channelwise(first, past, rows, fields, closing, window, arrivals, fires, charged, out):
    """Neurons of one position have sources of their own: each has its own order of arrival."""
    outputs, block, most = rows.outputs, LANES * rows.vectors, fields.most
    weighted = fields.start.size > 0
    found_time, found_row = np.empty(most + 1), np.empty(most + 1, np.int32)
    found_factor = np.empty(most + 1 if weighted else 0, np.float32)
    count, begin = np.empty(PARTS[0], np.int64), np.empty((1, 2), np.int64)
    time, row, factor = np.empty(most + TOGETHER), np.empty(most + TOGETHER, np.int32), np.empty(most + TOGETHER if weighted else 0, np.float32)
    for item in range(first, past):
        n, p = item // outputs // (fields.first.size - 1), item // outputs % (fields.first.size - 1)
        c = item % outputs
        b, o = c // block, c % block
        _list_by_time(
            n, c, p, fields, weighted, arrivals, closing, block, rows.rows, found_time, found_row, found_factor, count, 0, begin, time, row, factor, 0
        )
        line, now, current = b * (rows.rows + 1) * block + o, 0.0, 0.0
        potential = window.bias[variant_of(p, window.bias), 0, b, o]
        if charged.shape[1] > 0:
            potential += charged[n, p * outputs + c]
        for j in range(begin[0, 0], begin[0, 1]):
            potential += current * (time[j] - now)
            current += np.float64(rows.values[line + row[j]]) * (factor[j] if weighted else np.float32(1))
            now = time[j]
        potential += current * (1 - now)
        for j in range(begin[0, 0] if closing else 0):
            current += np.float64(rows.values[line + row[j]]) * (factor[j] if weighted else np.float32(1))
        out[n, p * outputs + c] = _when(potential, current, closing, fires, window.rise[variant_of(p, window.rise), 0, b, o])


@jit()
def _run_channelwise_shared(state, items, chunk, *arguments):
    share(_run_channelwise, state, items, chunk, arguments)


def run_spikes(
    rows: Rows, fields: Fields, closing: bool, window: Window, arrivals: np.ndarray, fires: bool, charged: np.ndarray, out: np.ndarray
) -> None:
    """When neurons fire, in their own window, or their potentials as it opens.

    arrivals: (n, source neurons) float64 in [0, 1], 1 for silent; fields: which of them reach which neurons. closing: whether silent and virtual
    neurons spike as the window closes, and currents flow on. window: the neurons' own, without thresholds. fires: whether times are asked for.
    charged: what potentials start from, (n, neurons) float64, or (n, 0). out: (n, neurons) float64, written.
    """
    items, shared = len(out) * (fields.first.size - 1), _run_by_factors_shared if fields.start.size else _run_directly_shared
    if rows.channelwise:
        items, shared = items * rows.outputs, _run_channelwise_shared
    in_parallel(shared, items, (rows, fields, closing, window, arrivals, fires, charged, out), out.size * fields.most < SERIAL_ELEMENTS)
