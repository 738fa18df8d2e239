import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttfs_convert.kernels.blocking import FEW_PIXELS, LONG_VECTORS, TILE_PIXELS, block_vectors, columns, in_long_rows, long_row_blocks, pack, tiling
from ttfs_convert.kernels.vector import ALIGNMENT, LANES, MAX_SLIDING, MAX_VECTORS


@pytest.mark.parametrize("most", (MAX_SLIDING, MAX_VECTORS))
@pytest.mark.parametrize("outputs", (*range(1, 140), 255, 256, 257, 1000))
def test_blocks_are_the_fewest_with_the_least_padding(outputs, most):
    def blocks(vectors):
        return -(-outputs // (LANES * vectors))

    chosen = block_vectors(outputs, most)
    fitting = [vectors for vectors in range(1, most + 1) if blocks(vectors) == blocks(most)]
    assert chosen == min(fitting)


@pytest.mark.parametrize("outputs", (1, 8, 10, 24, 64, 65, 130))
@pytest.mark.parametrize("groups, channels", ((1, 5), (3, 5), (1, 300)))
def test_pack_keeps_every_weight_once(outputs, groups, channels):
    weights = np.random.default_rng(outputs).normal(size=(2, 3, channels, groups * outputs)).astype(np.float32)
    packed = pack(weights, groups)
    block = LANES * packed.vectors
    tiles = packed.values.reshape(groups, packed.blocks, packed.chunks, 2, 3, packed.chunk, block)
    for g in range(groups):
        for o in range(outputs):
            mine = tiles[g, o // block, :, :, :, :, o % block].transpose(1, 2, 0, 3).reshape(2, 3, -1)
            np.testing.assert_array_equal(mine[:, :, :channels], weights[..., g * outputs + o])
    assert np.count_nonzero(packed.values) == np.count_nonzero(weights)
    assert packed.values.ctypes.data % ALIGNMENT == 0


def test_depthwise_weights_keep_to_their_channels():
    weights = np.random.default_rng(0).normal(size=(3, 2, 1, 11)).astype(np.float32)
    packed = pack(weights, 11)
    assert packed.channelwise and packed.groups == 1
    np.testing.assert_array_equal(packed.values.reshape(3, 2, 16)[:, :, :11], weights[:, :, 0])


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 20), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(0, 5), st.integers(1, 9))
def test_taps_are_neighbours(width, kernel, stride, dilation, pad, out_width):
    source, order, first = columns(width, kernel, stride, dilation, pad, out_width)
    assert sorted(order) == list(range(out_width)) and (np.diff(first) > 0).all()
    for x, at in zip(order, first):
        for k in range(kernel):
            column = x * stride - pad + k * dilation
            assert source[at + k] == (column if 0 <= column < width else -1)


@pytest.mark.parametrize("threads", (1, 2, 16))
@pytest.mark.parametrize("images, height, width, blocks", ((1, 1, 1, 1), (1, 4, 4, 8), (64, 4, 4, 8), (3, 32, 32, 1), (5, 7, 7, 3), (2, 1, 5000, 2)))
@pytest.mark.parametrize("vectors", (1, 8, 63, 2000))
def test_tiles_keep_to_the_layer(images, height, width, blocks, threads, vectors):
    cut, tiles = tiling(images, height, width, blocks, vectors, threads)
    assert 1 <= cut.images <= images and 1 <= cut.rows <= height and 1 <= cut.columns <= width and 1 <= cut.blocks <= blocks
    assert cut.images == 1 or cut.rows == height
    assert cut.rows == 1 or cut.columns == width
    assert cut.rows * cut.columns <= max(1, TILE_PIXELS * MAX_VECTORS // vectors)
    assert tiles == -(-images // cut.images) * -(-height // cut.rows) * -(-width // cut.columns) * -(-blocks // cut.blocks)


@pytest.mark.parametrize("tiles, blocks, threads", ((1, 16, 2), (3, 16, 2), (1, 4, 2), (64, 4, 2), (1, 6, 3)))
def test_all_threads_have_as_much_to_do(tiles, blocks, threads):
    """Images of 16 x 16, a tile each."""
    cut, items = tiling(tiles, 16, 16, blocks, MAX_SLIDING, threads)
    assert items % threads == 0 and items >= threads and blocks % cut.blocks == 0
    assert tiles % threads or cut.blocks == blocks  # no tile is gathered twice for nothing


@pytest.mark.parametrize("threads", (1, 2, 10, 11, 16, 64))
@pytest.mark.parametrize("outputs", (65, 641, 705, 1036, 9000))
def test_no_block_of_long_rows_is_empty(outputs, threads):
    packed = pack(np.ones((1, 1, 2, outputs), np.float32))
    rows = in_long_rows(packed, threads)
    block = LANES * rows.vectors
    assert rows.vectors <= LONG_VECTORS and (rows.blocks - 1) * block < outputs <= rows.blocks * block
    assert rows.values.size == rows.blocks * 2 * block and rows.values.sum() == 2 * outputs


def test_long_rows_are_for_few_positions():
    packed, narrow = pack(np.zeros((3, 3, 100, 200), np.float32)), pack(np.zeros((1, 1, 100, 64), np.float32))
    assert long_row_blocks(packed, FEW_PIXELS - 1, False, 2) == 2
    assert long_row_blocks(packed, FEW_PIXELS - 1, False, packed.blocks) == 0  # nothing would change
    assert long_row_blocks(pack(np.zeros((1, 1, 100, 200), np.float32)), 1, False, 2) == 1  # too little work for two
    grouped = pack(np.zeros((1, 1, 50, 400), np.float32), 2)
    for weights, pixels, dense in ((packed, FEW_PIXELS, False), (packed, 1, True), (narrow, 1, False), (grouped, 1, False)):
        assert long_row_blocks(weights, pixels, dense, 2) == 0


@pytest.mark.parametrize("blocks", (1, 2, 3))
@pytest.mark.parametrize("sliding", (False, True))
def test_long_rows_hold_every_weight(blocks, sliding):
    weights = np.random.default_rng(blocks).normal(size=(2, 3, 300, 203)).astype(np.float32)
    packed = pack(weights, sliding=sliding)
    assert packed.chunks > 1 and packed.blocks > 1
    rows = in_long_rows(packed, blocks)
    assert (rows.blocks, rows.chunks, rows.chunk) == (blocks, packed.chunks, packed.chunk) and rows.vectors * LANES * blocks >= 203
    parts = rows.values.reshape(blocks, rows.chunks, 2, 3, rows.chunk, -1)
    whole = np.concatenate(list(parts), axis=-1).transpose(1, 2, 0, 3, 4).reshape(2, 3, rows.chunks * rows.chunk, -1)
    np.testing.assert_array_equal(whole[:, :, :300, :203], weights)
    assert not whole[:, :, 300:].any() and not whole[..., 203:].any()
