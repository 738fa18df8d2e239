"""Fan-out and connections against connections enumerated one by one."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.network.synapses.counts import per_neuron
from ttfs_convert.network.synapses.average_pool import AveragePool
from ttfs_convert.network.synapses.connection import Connection
from ttfs_convert.network.synapses.convolution import Conv
from ttfs_convert.network.synapses.dense import Dense
from ttfs_convert.network.synapses.fan_out import existing_connections, fan_out, virtual_connections
from ttfs_convert.network.synapses.scale import Scale
from ttfs_convert.network.synapses.sparse import Sparse
from ttfs_convert.network.synapses.spread import Spread


def geometry(in_shape, channels, kernel, strides, dilations, pads, pads_end):
    spatial = [
        (size + before + after - dilation * (k - 1) - 1) // stride + 1
        for size, k, stride, dilation, before, after in zip(in_shape, kernel, strides, dilations, pads, pads_end)
    ]
    return dict(in_shape=in_shape, out_shape=(*spatial, channels), kernel=kernel, strides=strides, dilations=dilations, pads=pads, pads_end=pads_end)


def taps(step):
    """(output position, input position) pairs of a sliding step, padding included."""
    for out in product(*map(range, step.out_shape[:-1])):
        for k in product(*map(range, step.kernel)):
            yield out, tuple(o * s - p + i * d for o, s, p, i, d in zip(out, step.strides, step.pads, k, step.dilations))


def inside(position, step):
    return all(0 <= p < size for p, size in zip(position, step.in_shape))


def enumerated(path, start_padding):
    """Set of (source position, target position) with the padding of the first step only, or with real positions only."""
    first = path[0]
    pairs = {(source, out) for out, source in taps(first) if inside(source, first) != start_padding}
    for step in path[1:]:
        if isinstance(step, Dense):
            return {(source, "all") for source, _ in pairs}
        onward = {}
        for out, source in taps(step):
            onward.setdefault(source, set()).add(out)
        pairs = {(source, out) for source, middle in pairs for out in onward.get(middle, ())}
    return pairs


@st.composite
def conv_after_pool(draw):
    axes = draw(st.sampled_from([1, 2]))
    per_axis = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(axes))  # noqa: E731
    channels, groups, outputs = draw(st.sampled_from([(2, 1, 3), (4, 2, 6), (3, 3, 3)]))
    ones = (1,) * axes
    window = per_axis(1, 3)
    include_pad = draw(st.booleans()) or 1 in window  # an average needs something to average
    pool = AveragePool(**geometry((*per_axis(6, 9), channels), channels, window, per_axis(1, 3), ones, ones, ones), include_pad=include_pad)
    kernel = per_axis(1, 2)
    conv = Conv(
        **geometry(pool.out_shape, outputs, kernel, per_axis(1, 2), ones, per_axis(0, 2), per_axis(0, 1)),
        groups=groups,
        weights=np.ones((*kernel, channels // groups, outputs), np.float32),
    )
    dense = Dense(in_shape=(int(np.prod(pool.out_shape)),), out_shape=(7,), weights=np.ones((int(np.prod(pool.out_shape)), 7), np.float32))
    return draw(st.sampled_from([(conv,), (pool, conv), (pool,), (pool, dense)]))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(conv_after_pool())
def test_counts_equal_enumeration(path):
    first = path[0]
    per_pair = next(
        (
            step.out_shape[0] if isinstance(step, Dense) else step.weights.shape[-1] // step.groups
            for step in path
            if not isinstance(step, AveragePool)
        ),
        1,
    )
    pairs = enumerated(path, start_padding=False)
    expected = np.zeros(first.in_shape[:-1], np.int64)
    for source, _ in pairs:
        expected[source] += per_pair
    found = per_neuron(fan_out(path, first.in_shape)).reshape(first.in_shape)
    np.testing.assert_array_equal(found, np.broadcast_to(expected[..., None], found.shape))
    connection = Connection(source="x", path=path)
    assert existing_connections(connection, first.in_shape) == len(pairs) * per_pair * first.in_shape[-1]
    virtual = 0
    for start, step in enumerate(path):
        if isinstance(step, Conv) or (isinstance(step, AveragePool) and step.include_pad):
            virtual += len(enumerated(path[start:], start_padding=True)) * per_pair * step.in_shape[-1]
    assert virtual_connections(connection) == virtual


def test_identity_synapses():
    connection = Connection(source="x", path=())
    assert existing_connections(connection, (3, 4, 5)) == 60
    assert virtual_connections(connection) == 0


def test_dilated_conv_by_hand():
    step = Conv(**geometry((5, 1), 1, (2,), (1,), (2,), (0,), (0,)), groups=1, weights=np.ones((2, 1, 1), np.float32))
    assert fan_out((step,), (5, 1)).positions.tolist() == [1, 1, 2, 1, 1]


def test_overlapping_pools_count_a_connection_once():
    pool = AveragePool(**geometry((4, 1), 1, (2,), (1,), (1,), (0,), (0,)), include_pad=False)
    conv = Conv(**geometry((3, 1), 1, (3,), (1,), (1,), (0,), (0,)), groups=1, weights=np.ones((3, 1, 1), np.float32))
    assert existing_connections(Connection(source="x", path=(pool, conv)), (4, 1)) == 4  # not the 6 paths


@pytest.mark.parametrize("padded,expected", [(False, [2, 3, 2]), (True, [1, 2, 3, 2, 1])])
def test_padding_extends_the_source(padded, expected):
    step = Conv(**geometry((3, 1), 1, (3,), (1,), (1,), (1,), (1,)), groups=1, weights=np.ones((3, 1, 1), np.float32))
    assert fan_out((step,), (3, 1), padded).positions.tolist() == expected


# Any chain, against all its synapses one by one


def reach_of(step, start_padded=False):
    """(inputs, outputs) bool between all neurons of a step; with `start_padded`, inputs include the padded ones around them."""
    if isinstance(step, Dense):
        return np.ones(step.weights.shape, bool)
    if isinstance(step, Sparse):
        reach = np.zeros((step.in_shape[0], step.out_shape[0]), bool)
        reach[step.indices, step.rows] = True
        return np.kron(reach, np.eye(step.in_shape[1])).astype(bool)
    if isinstance(step, Spread):
        wide = np.arange(np.prod(step.out_shape)).reshape(step.out_shape)[tuple(slice(None, None, stride) for stride in step.strides)]
        return np.eye(int(np.prod(step.out_shape)), dtype=bool)[wide.reshape(-1)]
    before, after = (step.pads, step.pads_end) if start_padded else ((0,) * len(step.kernel),) * 2
    size = tuple(b + n + a for b, n, a in zip(before, step.in_shape, after))
    channels, outputs, groups = step.in_shape[-1], step.out_shape[-1], getattr(step, "groups", step.in_shape[-1])
    reach = np.zeros((*size, channels, *step.out_shape), bool)
    for out, source in taps(step):
        at = tuple(p + b for p, b in zip(source, before))
        if all(0 <= p < n for p, n in zip(at, size)):
            for c, o in product(range(channels), range(outputs)):
                reach[(*at, c, *out, o)] |= c // (channels // groups) == o // (outputs // groups)
    return reach.reshape(int(np.prod(size)) * channels, -1)


def reach_through(path, start_padded=False):
    reach = None
    for number, step in enumerate(path):
        if not isinstance(step, Scale):
            here = reach_of(step, start_padded and number == 0)
            reach = here if reach is None else (reach.astype(int) @ here) > 0
    return reach


def any_step(draw, rng, size, channels):
    """A step that reads `size` neurons, of which at most `channels` positions make one."""
    kind = draw(st.sampled_from(("conv", "pool", "line", "sparse", "neurons", "scale", "spread")))
    positions = size // channels
    if kind == "neurons" or kind == "sparse":
        rows, columns, wide = draw(st.integers(1, 8)), size if kind == "neurons" else positions, 1 if kind == "neurons" else channels
        exists = rng.random((rows, columns)) < 0.3
        return Sparse(
            in_shape=(columns, wide),
            out_shape=(rows, wide),
            indptr=np.concatenate([[0], np.cumsum(exists.sum(1))]),
            indices=np.nonzero(exists)[1],
            weights=np.ones(int(exists.sum()), np.float32),
        )
    width = next(w for w in (3, 2, 1) if positions % w == 0) if kind != "line" else None
    shape = (positions, channels) if width is None else (positions // width, width, channels)
    axes = len(shape) - 1
    if kind == "scale":
        return Scale(in_shape=shape, out_shape=shape, weights=np.ones(channels, np.float32))
    each = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(axes))  # noqa: E731
    if kind == "spread":
        strides = each(1, 2)
        return Spread(in_shape=shape, out_shape=(*((n - 1) * s + 1 for n, s in zip(shape, strides)), channels), strides=strides)
    dilations = tuple(1 if n < 3 else d for n, d in zip(shape, each(1, 2)))
    kernel = tuple(min(k, (n - 1) // d + 1) for k, n, d in zip(each(1, 3), shape, dilations))
    pads, pads_end = (tuple(min(p, k - 1) for p, k in zip(each(0, 2), kernel)) for _ in range(2))
    if kind == "pool":
        return AveragePool(**geometry(shape, channels, kernel, each(1, 3), dilations, pads, pads_end), include_pad=draw(st.booleans()))
    groups, outputs = draw(st.sampled_from([(g, o) for g in (1, 2, 3) for o in (2, 3, 4) if channels % g == o % g == 0]))
    return Conv(
        **geometry(shape, outputs, kernel, each(1, 3), dilations, pads, pads_end),
        groups=groups,
        weights=np.ones((*kernel, channels // groups, outputs), np.float32),
    )


@st.composite
def any_chain(draw):
    """Up to four steps of any kind and rank one behind another; each may take its input's channels for positions."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    size, path = 24, []
    for _ in range(draw(st.integers(1, 4))):
        channels = draw(st.sampled_from([c for c in (1, 2, 3, 4) if size % c == 0]))
        if path and draw(st.booleans()):
            channels = path[-1].out_shape[-1]
        step = any_step(draw, rng, size, channels)
        if np.prod(step.out_shape) > 120:
            break
        path.append(step)
        size = int(np.prod(step.out_shape))
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(path)))
        inputs = int(np.prod(path[at - 1].out_shape)) if at else 24
        outputs = int(np.prod(path[at].in_shape)) if at < len(path) else 5
        path.insert(at, Dense(in_shape=(inputs,), out_shape=(outputs,), weights=np.ones((inputs, outputs), np.float32)))
    return tuple(path)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(any_chain())
def test_any_chain_equals_all_its_synapses_one_by_one(path):
    shape = path[0].in_shape if path else (8, 3)
    reach = reach_through(path)
    reach = np.eye(24, dtype=bool) if reach is None else reach
    found = fan_out(path, shape)
    np.testing.assert_array_equal(per_neuron(found).reshape(-1), reach.sum(1))
    connection = Connection(source="x", path=path)
    assert existing_connections(connection, shape) == reach.sum()
    share = np.random.default_rng(0).uniform(size=24)
    assert found.weighted(share) == pytest.approx(share @ reach.sum(1))
    virtual = sum(
        int(reach_through(path[start:], True).sum() - reach_through(path[start:]).sum())
        for start, (before, step) in enumerate(zip((None, *path), path))
        if step.has_virtual_neurons(before)
    )
    assert virtual_connections(connection) == virtual


def test_a_minute_of_sound_takes_no_time_and_little_memory():
    """Of 960,000 samples, by one layer in closed form, and by a pool and a layer in parts."""
    size, kernel = 960_000, 31
    first = Conv(**geometry((size, 8), 128, (kernel,), (1,), (512,), (7680,), (7680,)), groups=1, weights=np.ones((kernel, 8, 128), np.float32))
    inside = sum(size - abs(k - 15) * 512 for k in range(kernel))
    assert existing_connections(Connection(source="x", path=(first,)), first.in_shape) == inside * 8 * 128
    assert virtual_connections(Connection(source="x", path=(first,))) == (size * kernel - inside) * 8 * 128
    pool = AveragePool(**geometry((size, 8), 8, (4,), (4,), (1,), (0,), (0,)), include_pad=False)
    behind = Conv(**geometry((size // 4, 8), 8, (3,), (1,), (1,), (1,), (1,)), groups=8, weights=np.ones((3, 1, 8), np.float32))
    assert existing_connections(Connection(source="x", path=(pool, behind)), pool.in_shape) == (size // 4 * 3 - 2) * 4 * 8
