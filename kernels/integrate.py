"""Membrane potentials of any sliding layer, from events or densely, and their firing, tile by tile: see `layout` for the cuts.

A tile is a few rows of outputs, or a few small images. For each tile the inputs are gathered once, either as events (the inputs that are
not silent, with their place) or as plain values. Then each block of outputs adds up one tile of weights after the other, all pixels in turn.
"""

import numba as nb
import numpy as np

from ._jit import jit
from .events import compress, decode
from .threshold import fire_at
from .vector import LANES, PASSES, PIXELS, SPARE_PIXELS, accumulate, add, multiply, multiply_channels

_PASSES = np.array([PASSES[vectors] if len(PASSES[vectors]) == 2 else (*PASSES[vectors], 0) for vectors in PASSES])
_PIXELS = np.array([PIXELS.get(vectors, 0) for vectors in range(5)])


@jit(parallel=True)
def integrate(inputs, weights, columns, rows, tiling, dense, start, ramp, potential, times):
    """Add a layer's potentials to `start`, and write them to `potential` or the spike times to `times`; the empty one is not written.

    inputs: (times, N, activation): (n, height, width, channels) uint8 steps, or float32 activations; the other one is empty. weights, columns, tiling: see `layout`. rows: (stride, dilation, pad). dense:
    whether to use all inputs. start: (m, outputs) float32, where position p, counted over all images, starts from row p % m; may be
    `potential` itself. ramp: (2, m', outputs) float64, see `threshold.ramp`, and N. potential: (n, out height, out width, outputs) float32.
    times: the same, uint8.
    """
    n, out_height, out_width, _ = potential.shape if times.size == 0 else times.shape
    units = weights.groups * weights.blocks
    groups_of_images, bands, parts = (-(-n // tiling.images), -(-out_height // tiling.rows), -(-units // tiling.blocks))
    for item in nb.prange(groups_of_images * bands * parts):
        part, rest = item % parts, item // parts
        band, together = rest % bands, rest // bands
        first = together * tiling.images, band * tiling.rows, part * tiling.blocks
        past = min(first[0] + tiling.images, n), min(first[1] + tiling.rows, out_height), min(first[2] + tiling.blocks, units)
        _tile(inputs, weights, columns, rows, first, past, dense, start, ramp, potential, times)


@jit()
def _tile(inputs, weights, columns, rows, first, past, dense, start, ramp, potential, out):
    """One tile: images, output rows and blocks from `first` to `past`."""
    times, steps, activation = inputs
    stride, dilation, pad = rows
    groups = first[2] // weights.blocks, (past[2] - 1) // weights.blocks + 1
    in_rows = (past[1] - first[1] - 1) * stride + (weights.kernel_height - 1) * dilation + 1
    lines = _lines(first[0], past[0], first[1] * stride - pad, in_rows, max(times.shape[1], activation.shape[1]))
    area, down = lines.shape[0] * columns.source.size, dilation * columns.source.size
    dense = dense or weights.channelwise
    parts = (groups[1] - groups[0]) * weights.chunks
    value = np.empty(parts * area * weights.chunk + LANES, np.float32)
    row, begin = np.empty(0 if dense else value.size, np.int32), np.empty(0 if dense else parts * area + 1, np.int64)
    if dense and times.size > 0:
        _gather_values(times, steps, lines, columns.source, weights, groups, value)
    elif dense:
        _gather_values(activation, steps, lines, columns.source, weights, groups, value)
    elif times.size > 0:
        _gather_events(times, steps, lines, columns.source, weights, groups, row, value, begin)
    else:
        _gather_events(activation, steps, lines, columns.source, weights, groups, row, value, begin)
    place = _places(past[0] - first[0], past[1] - first[1], in_rows, stride, columns)
    block = LANES * weights.vectors
    sums = np.empty(place.size * block, np.float32)
    for unit in range(first[2], past[2]):
        sums[:] = 0
        if weights.channelwise:
            _sum_channelwise(weights, down, place, value, sums)
        else:
            _sum_block(weights, unit, unit // weights.blocks - groups[0], area, down, place, dense, value, row, begin, sums)
        _finish(weights, unit, first, past, block, sums, start, ramp, potential, out)


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
def _places(images, out_rows, in_rows, stride, columns):
    """Where the first tap of each output position of a tile lies; some spare ones repeat the last."""
    width = columns.first.size
    place = np.empty(images * out_rows * width + SPARE_PIXELS, np.int64)
    k = 0
    for image in range(images):
        for y in range(out_rows):
            for x in range(width):
                place[k] = (image * in_rows + y * stride) * columns.source.size + columns.first[x]
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
                for x in source:
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
                for x in source:
                    filled = count if x >= 0 and lines[line, 1] >= 0 else 0
                    decode(flat, (first + x) * channels + c0, filled, steps, value, at)
                    for k in range(filled, weights.chunk):
                        value[at + k] = 0
                    at += weights.chunk


@jit()
def _sum_block(weights, unit, group, area, down, place, dense, value, row, begin, sums):
    """Add all taps and channels of one block of outputs to `sums`. down: places from one tap to the one below."""
    block, width = LANES * weights.vectors, weights.kernel_width
    pixels, tile = place.size - SPARE_PIXELS, unit * weights.chunks * weights.kernel_height * width * weights.chunk * block
    for chunk in range(weights.chunks):
        part = (group * weights.chunks + chunk) * area
        for ky in range(weights.kernel_height):
            if dense:
                _sum_dense(weights, tile, (part + ky * down) * weights.chunk, place * weights.chunk, value, sums)
            else:
                for pixel in range(pixels):
                    at = place[pixel] + ky * down
                    accumulate(weights.vectors, sums, pixel * block, weights.values, tile - at * weights.chunk * block,
                               row, value, begin[part + at], begin[part + at + width])
            tile += width * weights.chunk * block


@jit()
def _sum_dense(weights, tile, offset, starts, value, sums):
    """Add one tile of weights, times all its inputs, to `sums`; where a pixel's inputs start: `offset` + `starts`."""
    block, lanes = LANES * weights.vectors, 0
    for vectors in _PASSES[weights.vectors - 1]:
        if vectors > 0:
            for pixel in range(0, starts.size - SPARE_PIXELS, _PIXELS[vectors]):
                multiply(vectors, sums, pixel * block + lanes, block, weights.values, tile + lanes, value, offset, starts, pixel,
                         weights.kernel_width * weights.chunk)
        lanes += LANES * vectors


@jit()
def _sum_channelwise(weights, down, place, value, sums):
    """Add all taps of a layer whose outputs have one input channel each."""
    block = LANES * weights.vectors
    for pixel in range(place.size - SPARE_PIXELS):
        multiply_channels(sums, pixel * block, weights.values, value, place[pixel] * block, block, weights.kernel_height, weights.kernel_width,
                          down)


@jit()
def _finish(weights, unit, first, past, block, sums, start, ramp, potential, times):
    """Write one block of a tile's potentials or spike times."""
    _, height, width, outputs = potential.shape if times.size == 0 else times.shape
    (rise, steps), potentials, spikes, starts = ramp, potential.reshape(-1), times.reshape(-1), start.reshape(-1)
    rises, offset = rise.reshape(-1), rise.shape[1] * outputs
    lo = unit // weights.blocks * weights.outputs + unit % weights.blocks * block
    count = min(block, weights.outputs - unit % weights.blocks * block)
    at = 0
    for image in range(first[0], past[0]):
        for y in range(first[1], past[1]):
            position = (image * height + y) * width
            to, begin, ramp_at = (position * outputs + lo, position % start.shape[0] * outputs + lo, position % rise.shape[1] * outputs + lo)
            for _ in range(width):
                if times.size == 0:
                    add(sums, at, starts, begin, count, potentials, to)
                else:
                    fire_at(sums, at, starts, begin, count, rises, ramp_at, offset, steps, spikes, to)
                at += block
                to += outputs
                begin += outputs if start.shape[0] > 1 else 0
                ramp_at += outputs if rise.shape[1] > 1 else 0
