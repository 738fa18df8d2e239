"""Fan-out and connections against connections enumerated one by one."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttfs_convert.measure.fan_out import existing_connections, position_fan_out, virtual_connections
from ttfs_convert.synapses import AveragePool, Connection, Conv, Dense


def geometry(in_shape, channels, kernel, strides, dilations, pads, pads_end):
    spatial = [(size + before + after - dilation * (k - 1) - 1) // stride + 1 for size, k, stride, dilation, before, after
               in zip(in_shape, kernel, strides, dilations, pads, pads_end)]
    return dict(in_shape=in_shape, out_shape=(*spatial, channels), kernel=kernel, strides=strides, dilations=dilations, pads=pads,
                pads_end=pads_end)


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
    pool = AveragePool(**geometry((*per_axis(6, 9), channels), channels, per_axis(1, 3), per_axis(1, 3), ones, ones, ones),
                       include_pad=draw(st.booleans()))
    kernel = per_axis(1, 2)
    conv = Conv(**geometry(pool.out_shape, outputs, kernel, per_axis(1, 2), ones, per_axis(0, 2), per_axis(0, 1)),
                groups=groups, weights=np.ones((*kernel, channels // groups, outputs), np.float32))
    dense = Dense(in_shape=(int(np.prod(pool.out_shape)),), out_shape=(7,), weights=np.ones((int(np.prod(pool.out_shape)), 7), np.float32))
    return draw(st.sampled_from([(conv,), (pool, conv), (pool,), (pool, dense)]))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(conv_after_pool())
def test_counts_equal_enumeration(path):
    first = path[0]
    per_pair = next((step.out_shape[0] if isinstance(step, Dense) else step.weights.shape[-1] // step.groups
                     for step in path if not isinstance(step, AveragePool)), 1)
    pairs = enumerated(path, start_padding=False)
    expected = np.zeros(first.in_shape[:-1], np.int64)
    for source, _ in pairs:
        expected[source] += per_pair
    np.testing.assert_array_equal(position_fan_out(path, first.in_shape), expected)
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
    assert position_fan_out((step,), (5, 1)).tolist() == [1, 1, 2, 1, 1]


def test_overlapping_pools_count_a_connection_once():
    pool = AveragePool(**geometry((4, 1), 1, (2,), (1,), (1,), (0,), (0,)), include_pad=False)
    conv = Conv(**geometry((3, 1), 1, (3,), (1,), (1,), (0,), (0,)), groups=1, weights=np.ones((3, 1, 1), np.float32))
    assert existing_connections(Connection(source="x", path=(pool, conv)), (4, 1)) == 4  # not the 6 paths


@pytest.mark.parametrize("padded,expected", [(False, [2, 3, 2]), (True, [1, 2, 3, 2, 1])])
def test_padding_extends_the_source(padded, expected):
    step = Conv(**geometry((3, 1), 1, (3,), (1,), (1,), (1,), (1,)), groups=1, weights=np.ones((3, 1, 1), np.float32))
    assert position_fan_out((step,), (3, 1), padded).tolist() == expected
