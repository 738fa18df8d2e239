"""Membrane potentials of any sliding layer, from events or densely, and their firing, tile by tile: see `blocking` for the cuts.

A tile is a few rows of outputs, a few small images, or a strip of a wide row. For each tile the inputs are gathered once, either as
events (the inputs that are not silent, with their place) or as plain values. Then each block of outputs adds up one tile of weights after
the other, all pixels in turn.
"""

import numpy as np

from ._jit import jit
from ._threads import share
from .blocking import TILE_BYTES, Slide, Weights
from .events import compress, decode, decoded
from .threshold import fire_at
from .vector import (
    LANES,
    MAX_SLIDING,
    MAX_VECTORS,
    PASSES,
    PIXELS,
    SLIDING,
    SPARE_PIXELS,
    accumulate,
    accumulate_long,
    accumulate_row,
    add,
    multiply,
    multiply_channels,
    prefetch,
)

FLOATS_PER_LINE = 16
SHARED_BY = 8  # pixels from which a tile of weights is fetched whole, ahead of its use: each pixel alone needs only some of its rows
_PASSES = np.array([PASSES[vectors] if len(PASSES[vectors]) == 2 else (*PASSES[vectors], 0) for vectors in PASSES])
_PIXELS = np.array([PIXELS.get(vectors, 0) for vectors in range(MAX_VECTORS + 1)])


@jit()
def integrate(
    first_item,
    past_item,
    in_times,
    in_values,
    weight_values,
    integers,
    source,
    order,
    first_tap,
    cut,
    start,
    shortcut,
    rise,
    single_rise,
    potential,
    times,
):
    """Of a layer, add the potentials of some tiles to `start`, and write them to `potential` or the spike times to `times`.

    in_times, in_values: (n, height, width, channels) uint8 steps, or float32 activations; the other one is empty. weight_values, source, order,
    first_tap: the arrays of `blocking.Weights` and `blocking.Columns`. integers: int64, see `_read`. cut: int64, `blocking.Tiling`. start:
    (m, outputs) float32, where position p, counted over all images, starts from row p % m; may be `potential` itself. shortcut: (n, out
    height, out width, outputs) uint8 steps, whose activations are added to it; or empty. rise, single_rise: a `threshold.Ramp` of slopes
    (m', outputs). potential: (n, out height, out width, outputs) float32. times: the same, uint8. One of the two is written, the other is empty.
    """
    n = max(in_times.shape[0], in_values.shape[0])
    weights, slide = _read(integers, weight_values)
    units = weights.groups * weights.blocks
    images, rows, columns, blocks = cut
    bands, strips, parts = -(-slide.out_height // rows), -(-slide.out_width // columns), -(-units // blocks)
    for item in range(first_item, past_item):
        part, rest = item % parts, item // parts
        strip, rest = rest % strips, rest // strips
        band, together = rest % bands, rest // bands
        first = together * images, band * rows, part * blocks
        past = min(first[0] + images, n), min(first[1] + rows, slide.out_height), min(first[2] + blocks, units)
        left, right = strip * columns, min(strip * columns + columns, slide.out_width)
        begin, end = first_tap[left], first_tap[right - 1] + weights.kernel_width
        _tile(
            in_times,
            in_values,
            weights,
            slide,
            source[begin:end],
            order[left:right],
            first_tap[left:right] - begin,
            first,
            past,
            start,
            shortcut,
            rise,
            single_rise,
            potential,
            times,
        )


@jit()
def _read(integers, weight_values):
    """What `integers` holds: all of `blocking.Weights` but the array, and `blocking.Slide`."""
    i = integers
    weights = Weights(weight_values, i[0], i[1], i[2], i[3], i[4], i[5], i[6], i[7], i[8], i[9])
    return weights, Slide(i[10], i[11], i[12], i[13], i[14], i[15], i[16], i[17], i[18], i[19])


@jit()
def integrate_shared(state, items, chunk, *arguments):
    """`integrate` as a part of what `in_parallel` hands out."""
    share(integrate, state, items, chunk, arguments)


@jit(inline="always")
def _tile(in_times, in_values, weights, slide, source, order, first_tap, first, past, start, shortcut, rise, single_rise, potential, times):
    """One tile: images, output rows and blocks from `first` to `past`, and the output columns of `order`, whose `blocking.Columns` also are
    `source` and `first_tap`."""
    groups = first[2] // weights.blocks, (past[2] - 1) // weights.blocks + 1
    in_rows = (past[1] - first[1] - 1) * slide.stride + (weights.kernel_height - 1) * slide.dilation + 1
    lines = _lines(first[0], past[0], first[1] * slide.stride - slide.pad, in_rows, slide.in_height)
    area, down = lines.shape[0] * source.size, slide.dilation * source.size
    parts, events = (groups[1] - groups[0]) * weights.chunks, slide.dense == 0 and weights.channelwise == 0
    value = np.empty(parts * area * weights.chunk + LANES, np.float32)
    row, begin = np.empty(value.size if events else 0, np.int32), np.empty(parts * area + 1 if events else 0, np.int64)
    if slide.in_steps > 0:
        _gather(in_times, slide.in_steps, lines, source, weights, groups, events, row, value, begin)
    else:
        _gather(in_values, slide.in_steps, lines, source, weights, groups, events, row, value, begin)
    neighbours = 1 < first_tap.size == first_tap[-1] + 1 and weights.kernel_width == SLIDING and weights.vectors <= MAX_SLIDING
    row_pixels = first_tap.size if neighbours else 0
    place = _places(past[0] - first[0], past[1] - first[1], in_rows, slide.stride, source.size, first_tap)
    block = LANES * weights.vectors
    sums = np.empty((place.size - SPARE_PIXELS if events else place.size) * block, np.float32)
    # flat here and not in _finish, where each view would be made once per block
    starts, exact, single, potentials, spikes = (
        start.reshape(-1),
        rise.reshape(-1),
        single_rise.reshape(-1),
        potential.reshape(-1),
        times.reshape(-1),
    )
    for unit in range(first[2], past[2]):
        sums[:] = 0
        if slide.shortcut_steps > 0:
            _begin_with(shortcut, weights, slide, unit, order, first, past, block, sums)
        if weights.channelwise:
            _sum_channelwise(weights, down, place, value, sums)
        else:
            _sum_block(weights, unit, unit // weights.blocks - groups[0], area, down, place, row_pixels, events, value, row, begin, sums)
        _finish(weights, slide, unit, order, first, past, block, sums, starts, start.shape[0], exact, single, rise.shape[1], potentials, spikes)


@jit()
def _begin_with(shortcut, weights, slide, unit, order, first, past, block, sums):
    """Let a block's sums begin with the activations of a shortcut."""
    lo, count = _outputs(weights, unit, block)
    at = 0
    for image in range(first[0], past[0]):
        for y in range(first[1], past[1]):
            for column in range(order.size):
                line = shortcut[image, y, order[column]]
                for k in range(count):
                    sums[at + k] = decoded(slide.shortcut_steps, line[lo + k])
                at += block


@jit(inline="always")
def _outputs(weights, unit, block):
    """The first output of a block, and how many it has."""
    return unit // weights.blocks * weights.outputs + unit % weights.blocks * block, min(block, weights.outputs - unit % weights.blocks * block)


@jit(inline="always")
def _gather(inputs, steps, lines, source, weights, groups, events, row, value, begin):
    if events:
        _gather_events(inputs, steps, lines, source, weights, groups, row, value, begin)
    else:
        _gather_values(inputs, steps, lines, source, weights, groups, value)


@jit()
def _lines(first_image, past_image, first_row, rows, height):
    """(lines, 2) int64: image and row of each input line of a tile; row -1 for padding."""
    lines = np.empty(((past_image - first_image) * rows, 2), np.int64)
    for image in range(first_image, past_image):
        for y in range(rows):
            at = (image - first_image) * rows + y
            lines[at, 0] = image
            lines[at, 1] = first_row + y if 0 <= first_row + y < height else -1
    return lines


@jit()
def _places(images, out_rows, in_rows, stride, columns, first_tap):
    """Where the first tap of each output position of a tile lies; some spare ones repeat the last."""
    place = np.empty(images * out_rows * first_tap.size + SPARE_PIXELS, np.int64)
    k = 0
    for image in range(images):
        for y in range(out_rows):
            for x in range(first_tap.size):
                place[k] = (image * in_rows + y * stride) * columns + first_tap[x]
                k += 1
    place[k:] = place[k - 1]
    return place


@jit()
def _gather_events(inputs, steps, lines, source, weights, groups, row, value, begin):
    """The events of a tile, place after place and chunk after chunk of channels; `begin[part * area + place]` is the first of each."""
    flat, channels, width = inputs.reshape(-1), inputs.shape[3], inputs.shape[2]
    event, at = 0, 0
    for group in range(groups[0], groups[1]):
        for chunk in range(weights.chunks):
            c0 = group * weights.channels + chunk * weights.chunk
            count = min(weights.chunk, weights.channels - chunk * weights.chunk)
            place = 0
            for line in range(lines.shape[0]):
                first = (lines[line, 0] * inputs.shape[1] + lines[line, 1]) * width
                for column in range(source.size):
                    x = source[column]
                    begin[at] = event
                    at += 1
                    if x >= 0 and lines[line, 1] >= 0:
                        event = compress(flat, (first + x) * channels + c0, count, steps, place, row, value, event)
                    place += weights.chunk
    begin[at] = event


@jit()
def _gather_values(inputs, steps, lines, source, weights, groups, value):
    """The same inputs, silent or not, with zeros for padding."""
    flat, channels, width = inputs.reshape(-1), inputs.shape[3], inputs.shape[2]
    at = 0
    for group in range(groups[0], groups[1]):
        for chunk in range(weights.chunks):
            c0 = group * weights.channels + chunk * weights.chunk
            count = min(weights.chunk, weights.channels - chunk * weights.chunk)
            for line in range(lines.shape[0]):
                first = (lines[line, 0] * inputs.shape[1] + lines[line, 1]) * width
                place = 0
                while place < source.size:
                    x, run = source[place], 1
                    while weights.chunk == channels and x >= 0 and place + run < source.size and source[place + run] == x + run:
                        run += 1
                    filled = run * count if x >= 0 and lines[line, 1] >= 0 else 0
                    decode(flat, (first + x) * channels + c0, filled, steps, value, at)
                    value[at + filled : at + run * weights.chunk] = 0
                    at += run * weights.chunk
                    place += run


@jit(inline="always")
def _sum_block(weights, unit, group, area, down, place, row_pixels, events, value, row, begin, sums):
    """Add all taps and channels of one block of outputs to `sums`. down: places from one tap to the one below. row_pixels: how many outputs
    of a row lie one place behind another; 0 where `accumulate_row` does not apply."""
    block, width = LANES * weights.vectors, weights.kernel_width
    pixels, tile = place.size - SPARE_PIXELS, unit * weights.chunks * weights.kernel_height * width * weights.chunk * block
    size = width * weights.chunk * block
    lines = size // FLOATS_PER_LINE // pixels if pixels >= SHARED_BY else 0
    rows = weights.kernel_height if weights.kernel_height * size <= TILE_BYTES // 4 else 1  # of taps that share a visit of the sums
    starts = place if events else place * weights.chunk
    for chunk in range(weights.chunks):
        part = (group * weights.chunks + chunk) * area
        if not events:
            for ky in range(0, weights.kernel_height, rows):
                _sum_dense(weights, tile, (part + ky * down) * weights.chunk, starts, rows, down * weights.chunk, value, sums)
                tile += rows * size
            continue
        for ky in range(weights.kernel_height):
            if row_pixels > 0:
                for pixel in range(0, pixels, row_pixels):
                    _prefetch(weights.values, tile + size, pixel * lines, (pixel + row_pixels) * lines)
                    at = place[pixel] + ky * down
                    accumulate_row(
                        weights.vectors,
                        sums,
                        pixel * block,
                        weights.values,
                        tile - at * weights.chunk * block,
                        weights.chunk * block,
                        row,
                        value,
                        begin,
                        part + at,
                        row_pixels,
                    )
            else:
                for pixel in range(pixels):
                    _prefetch(weights.values, tile + size, pixel * lines, (pixel + 1) * lines)
                    at = place[pixel] + ky * down
                    here, first, past = tile - at * weights.chunk * block, begin[part + at], begin[part + at + width]
                    if weights.vectors > MAX_VECTORS:
                        accumulate_long(block, sums, pixel * block, weights.values, here, row, value, first, past)
                    else:
                        accumulate(weights.vectors, sums, pixel * block, weights.values, here, row, value, first, past)
            tile += size


@jit(inline="always")
def _prefetch(values, tile, first, past):
    for line in range(first, past):
        prefetch(values, tile + line * FLOATS_PER_LINE)


@jit(inline="always")
def _sum_dense(weights, tile, offset, starts, rows, down, value, sums):
    """Add so many rows of taps, times all their inputs, to `sums`; where a pixel's inputs start: `offset` + `starts`, and `down` from there for
    each row."""
    block, lanes = LANES * weights.vectors, 0
    for vectors in _PASSES[weights.vectors - 1]:
        if vectors > 0:
            for pixel in range(0, starts.size - SPARE_PIXELS, _PIXELS[vectors]):
                multiply(
                    vectors,
                    sums,
                    pixel * block + lanes,
                    block,
                    weights.values,
                    tile + lanes,
                    value,
                    offset,
                    starts,
                    pixel,
                    weights.kernel_width * weights.chunk,
                    rows,
                    down,
                )
        lanes += LANES * vectors


@jit(inline="always")
def _sum_channelwise(weights, down, place, value, sums):
    """Add all taps of a layer whose outputs have one input channel each."""
    block = LANES * weights.vectors
    for pixel in range(place.size - SPARE_PIXELS):
        multiply_channels(sums, pixel * block, weights.values, value, place[pixel] * block, block, weights.kernel_height, weights.kernel_width, down)


@jit()
def _finish(weights, slide, unit, order, first, past, block, sums, starts, start_rows, exact, single, rise_rows, potentials, spikes):
    """Write one block of a tile's potentials or spike times. start_rows, rise_rows: after how many positions `starts` and the ramp repeat."""
    outputs = weights.groups * weights.outputs
    lo, count = _outputs(weights, unit, block)
    at = 0
    for image in range(first[0], past[0]):
        for y in range(first[1], past[1]):
            row = (image * slide.out_height + y) * slide.out_width
            for column in range(order.size):
                position = row + order[column]
                to = position * outputs + lo
                begin, rise_at = lo, lo
                if start_rows > 1:
                    begin += position % start_rows * outputs
                if rise_rows > 1:
                    rise_at += position % rise_rows * outputs
                if slide.steps > 0:
                    fire_at(sums, at, starts, begin, count, exact, single, rise_at, rise_rows * outputs, slide.steps, spikes, to)
                else:
                    add(sums, at, starts, begin, count, potentials, to)
                at += block
