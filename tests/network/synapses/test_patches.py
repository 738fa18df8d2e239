"""What convolutions read, against the sums that the simulator makes of it."""

import numpy as np
import pytest

from ttfs_convert.network.synapses.convolution import Conv
from ttfs_convert.network.synapses.dense import Dense


def conv(in_shape, kernel, outputs, strides, dilations, pads, pads_end, grouped=1):
    room = [
        size + before + after - dilation * (taps - 1) - 1 for size, before, after, dilation, taps in zip(in_shape, pads, pads_end, dilations, kernel)
    ]
    out_shape = (*(space // stride + 1 for space, stride in zip(room, strides)), outputs)
    weights = np.random.default_rng(0).normal(size=(*kernel, in_shape[-1] // grouped, outputs)).astype(np.float32)
    return Conv(
        in_shape=in_shape,
        out_shape=out_shape,
        kernel=kernel,
        strides=strides,
        dilations=dilations,
        pads=pads,
        pads_end=pads_end,
        weights=weights,
        groups=grouped,
    )


STEPS = {
    "plain": conv((6, 5, 3), (3, 3), 4, (1, 1), (1, 1), (1, 1), (1, 1)),
    "strided, one-sided": conv((7, 6, 2), (3, 2), 4, (2, 3), (1, 1), (1, 0), (0, 1)),
    "dilated": conv((9, 9, 2), (3, 3), 4, (1, 2), (2, 3), (2, 3), (2, 3)),
    "grouped": conv((5, 5, 6), (3, 3), 9, (1, 1), (1, 1), (1, 1), (1, 1), 3),
    "depthwise": conv((5, 5, 4), (3, 3), 8, (2, 2), (1, 1), (1, 1), (1, 1), 4),
    "one axis": conv((11, 3), (4,), 5, (2,), (2,), (3,), (0,)),
    "cut off": conv((6, 6, 2), (2, 2), 3, (3, 3), (1, 1), (0, 0), (0, 0)),
    "dense": Dense(in_shape=(12,), out_shape=(5,), weights=np.random.default_rng(1).normal(size=(12, 5)).astype(np.float32)),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_weights_times_patches_are_the_sums(step):
    values = np.random.default_rng(2).uniform(0, 1, (3, *step.in_shape)).astype(np.float32)
    outputs = step.out_shape[-1]
    expected = np.stack([step.apply(each) for each in values]).reshape(3, -1, outputs)
    at = np.random.default_rng(3).integers(0, expected.shape[1], (3, 6))
    found = step.patches(values, at)
    assert found.shape == (18, step.channel_groups(), step.fan_in)
    weights = step.weights.reshape(step.fan_in, step.channel_groups(), -1)
    sums = np.einsum("rgk,kgo->rgo", found, weights).reshape(3, 6, outputs)
    np.testing.assert_allclose(sums, expected[np.arange(3)[:, None], at], atol=1e-5)


def test_padded_taps_hold_what_is_asked():
    step = STEPS["plain"]
    corner = step.patches(np.zeros((1, *step.in_shape), np.float32), np.array([[0]]), 1.0).reshape(3, 3, 3)
    assert corner[0].min() == corner[:, 0].min() == 1 and corner[1:, 1:].max() == 0
