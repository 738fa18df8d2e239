"""How the work of a layer is cut up: blocks of outputs, chunks of channels, tiles of pixels. Speed alone depends on these choices."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ._llvm import WIDE
from .vector import LANES, MAX_SLIDING, MAX_VECTORS, SLIDING, aligned

TILE_BYTES = 24576  # weights that all pixels of a tile use in turn: they stay in the first-level cache
SERIAL_MACS = 100_000  # a layer with fewer is done before a second thread has begun
TILE_PIXELS = 128  # output positions that share a loaded tile of weights, for the widest blocks: their sums take 32 KiB
CHANNELWISE_SUMS = 4  # times as many sums as that where each is computed once, so that tiles share few rows of inputs
SHORT_RUN = 24  # inputs of one row of taps below which looking for the silent ones costs more than it saves
DENSE_BELOW = {1: 0.8, 2: 0.8, 3: 0.54, 4: 0.49, 5: 0.45, 6: 0.44, 7: 0.4, 8: 0.38}  # silent share below which using all inputs is faster, per
# vectors of a block: a multiply-add takes four cycles and two can start in each, so that events for fewer than eight sums leave gaps
FEW_PIXELS = 8  # output positions below which each weight is loaded for few of them: then those of silent inputs are better left alone
LONG_VECTORS = 128  # of a block in long rows at most: 4 KiB, and as much of sums
LONG_BYTES = 2**26  # of weights that are laid out once more in long rows: beyond, memory matters more
SLIDING_DENSE_BELOW = {1: 0.7, 2: 0.6, 3: 0.35, 4: 0.25}  # the same for `vector.accumulate_row`
if WIDE:  # where `multiply` does two vectors at a time, and events do not
    DENSE_BELOW = {**DENSE_BELOW, 4: 0.62, 6: 0.62, 8: 0.62}
    SLIDING_DENSE_BELOW = {**SLIDING_DENSE_BELOW, 4: 0.57}


class Weights(NamedTuple):
    """Weights of one layer as (groups, blocks, chunks, kernel height, kernel width, chunk, 8 vectors), flattened; padded with zeros.

    `channelwise`: each output has one input channel, its own; (kernel height, kernel width, 8 vectors), and groups are one.
    """

    values: np.ndarray  # float32
    groups: int
    blocks: int
    chunks: int
    chunk: int  # channels
    vectors: int  # of LANES outputs
    channels: int  # per group
    outputs: int  # per group
    kernel_height: int
    kernel_width: int
    channelwise: bool


class Columns(NamedTuple):
    """The columns of an input row in the order in which an output's taps are neighbours, and those of an output row in that of their taps."""

    source: np.ndarray  # (columns,) int64: input column, or -1 where there is padding
    order: np.ndarray  # (out width,) int64: output column
    first: np.ndarray  # (out width,) int64, ascending: where the first tap of each of `order` lies; the others follow


class Tiling(NamedTuple):
    """What one thread does at a time."""

    images: int
    rows: int  # of outputs
    columns: int  # of `Columns.order`
    blocks: int  # of all groups


class Slide(NamedTuple):
    """How a layer's taps lie in its input, and what its inputs and outputs are, in integers."""

    in_height: int
    out_height: int
    out_width: int
    stride: int  # of rows
    dilation: int  # of rows
    pad: int  # rows above the first
    in_steps: int  # of inputs that are spike steps; 0: they are activations
    steps: int  # of outputs that are spike steps; 0: they are potentials
    dense: int  # 1: silent inputs are used like the others
    shortcut_steps: int  # of spikes that add to one potential each, whose number they share; 0: there are none


def block_vectors(outputs: int, most: int) -> int:
    """Vectors per block, 1 to `most`, so that `outputs` split into the fewest blocks with the least padding."""
    return _evenly(-(-outputs // LANES), most)


def slides(kernel_width: int, stride: int, dilation: int) -> bool:
    """Whether the taps of neighbouring outputs of a row are neighbours, and as many as `vector.accumulate_row` takes."""
    return kernel_width == SLIDING and stride == dilation


def pack(weights: np.ndarray, groups: int = 1, sliding: bool = False) -> Weights:
    """Lay out weights (kernel height, kernel width, channels / groups, outputs). sliding: in blocks for `vector.accumulate_row`."""
    height, width, channels, outputs = weights.shape
    if channels == 1 and outputs == groups > 1:
        return _pack_channelwise(weights)
    per_group = outputs // groups
    vectors = block_vectors(per_group, MAX_SLIDING if sliding else MAX_VECTORS)
    block = LANES * vectors
    blocks = -(-per_group // block)
    chunks = -(-channels * width * block * 4 // TILE_BYTES)
    chunk = -(-channels // chunks)
    chunks = -(-channels // chunk)
    values = aligned(groups * blocks * chunks * height * width * chunk * block)
    packed = values.reshape(groups, blocks, chunks, height, width, chunk, block)
    split = weights.reshape(height, width, channels, groups, per_group)
    for b in range(blocks):
        for c in range(chunks):
            part = split[:, :, c * chunk : (c + 1) * chunk, :, b * block : (b + 1) * block]
            packed[:, b, c, :, :, : part.shape[2], : part.shape[4]] = part.transpose(3, 0, 1, 2, 4)
    return Weights(values, groups, blocks, chunks, chunk, vectors, channels, per_group, height, width, False)


def long_row_blocks(weights: Weights, pixels: int, dense: bool, threads: int) -> int:
    """In how many blocks `in_long_rows` pays for a layer with so many output positions in all images; 0: not at all."""
    blocks = 1 if weights.values.size * pixels < SERIAL_MACS else threads
    worth_it = pixels < FEW_PIXELS and weights.blocks > blocks and weights.values.nbytes <= LONG_BYTES
    return blocks if worth_it and not (dense or weights.channelwise or weights.groups > 1) else 0


def in_long_rows(weights: Weights, blocks: int) -> Weights:
    """The same weights in about so many blocks of outputs, for `vector.accumulate_long`: what an event needs of a tap is then one stretch of
    memory, and no more is read than that. Chunks stay as they are, and with them the order of sums."""
    w = weights
    vectors = min(-(-w.outputs // (LANES * blocks)), LONG_VECTORS)
    blocks, block = -(-w.outputs // (LANES * vectors)), LANES * vectors
    outputs_last = w.values.reshape(w.blocks, -1, LANES * w.vectors).swapaxes(0, 1).reshape(-1, w.blocks * LANES * w.vectors)
    values = aligned(len(outputs_last) * blocks * block)
    rows = values.reshape(blocks, len(outputs_last), block)
    for b in range(blocks):
        part = outputs_last[:, b * block : (b + 1) * block]
        rows[b, :, : part.shape[1]] = part
    return w._replace(values=values, blocks=blocks, vectors=vectors)


def dense_is_faster(weights: Weights, silent: float, sliding: bool = False, pixels: int = TILE_PIXELS) -> bool:
    """Whether to use all inputs of a layer of which a share is silent. The result has the same bits either way. pixels: output positions of
    all images."""
    if pixels < FEW_PIXELS:
        return False
    below = SLIDING_DENSE_BELOW if sliding and weights.vectors <= MAX_SLIDING else DENSE_BELOW
    return weights.channelwise or weights.kernel_width * weights.chunk < SHORT_RUN or silent < below[weights.vectors]


def _pack_channelwise(weights: np.ndarray) -> Weights:
    height, width, _, outputs = weights.shape
    vectors = -(-outputs // LANES)
    values = aligned(height * width * LANES * vectors)
    values.reshape(height, width, -1)[:, :, :outputs] = weights[:, :, 0]
    return Weights(values, 1, 1, 1, LANES * vectors, vectors, outputs, outputs, height, width, True)


def columns(width: int, kernel: int, stride: int, dilation: int, pad: int, out_width: int) -> Columns:
    """Columns whose distance is a multiple of `dilation` go together, so that taps k = 0, 1, ... are neighbours."""
    taps = np.arange(out_width, dtype=np.int64) * stride - pad
    place = taps // dilation
    phases, of = np.unique(taps % dilation, return_inverse=True)
    start, end = np.full(phases.size, place.max()), np.full(phases.size, place.min())
    np.minimum.at(start, of, place)
    np.maximum.at(end, of, place + kernel)
    counts = end - start
    before = np.cumsum(counts) - counts
    first = before[of] + place - start[of]
    source = np.repeat(phases + dilation * (start - before), counts) + dilation * np.arange(counts.sum(), dtype=np.int64)
    source[(source < 0) | (source >= width)] = -1
    order = np.argsort(first)
    return Columns(source, order, first[order])


@lru_cache(maxsize=4096)
def tiling(images: int, out_height: int, out_width: int, blocks: int, vectors: int, threads: int) -> tuple[Tiling, int]:
    """Tiles of about TILE_PIXELS output positions, and how many; where these are too few for the threads, the blocks are divided too."""
    pixels = max(1, TILE_PIXELS * MAX_VECTORS // vectors)
    columns = _evenly(out_width, pixels)
    rows = min(out_height, max(1, pixels // columns))
    if blocks < 2 * threads and images < 2 * threads:
        rows = min(rows, -(-out_height * images // (2 * threads)))
    rows = _evenly(out_height, rows)
    together = _evenly(images, max(1, pixels // (out_height * out_width)) if rows == out_height else 1)
    tiles = -(-images // together) * -(-out_height // rows) * -(-out_width // columns)
    some = _blocks_together(tiles, blocks, threads)
    return Tiling(together, rows, columns, some), tiles * -(-blocks // some)


def _blocks_together(tiles: int, blocks: int, threads: int) -> int:
    """How many blocks of a tile one thread computes: as many as leave all threads busy, since each part of a tile gathers its inputs anew."""

    def busy(some):  # share of all threads' time, where every block takes as long
        items = tiles * -(-blocks // some)
        return tiles * blocks / (-(-items // threads) * some * threads)

    best = max(busy(some) for some in range(1, blocks + 1))
    return max(some for some in range(1, blocks + 1) if busy(some) >= 0.95 * best)


def _evenly(count: int, most: int) -> int:
    """Into as few parts as have `most` at most, but of one size: how large these are."""
    return -(-count // -(-count // most))
