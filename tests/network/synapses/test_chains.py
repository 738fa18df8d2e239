"""Chains of synapses after folding against the same chain as one plain computation, and each folding rule by its result."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import naive
from tests.naive_network import connection_weights
from tests.test_naive_network import sparse
from ttfs_convert.network.synapses.average_pool import AveragePool
from ttfs_convert.network.synapses.chains import Linear, scaled, then
from ttfs_convert.network.synapses.connection import Connection
from ttfs_convert.network.synapses.convolution import Conv
from ttfs_convert.network.synapses.dense import Dense
from ttfs_convert.network.synapses.scale import Scale
from ttfs_convert.network.synapses.weight_sums import weight_sums

QUICK = settings(derandomize=True, deadline=None, max_examples=100)


def sliding(in_shape, channels, kernel, strides, pads, dilations=None, pads_end=None):
    axes = len(kernel)
    dilations, pads_end = dilations or (1,) * axes, pads if pads_end is None else pads_end
    out = (naive.out_size(*axis) for axis in zip(in_shape, kernel, strides, dilations, pads, pads_end))
    return {
        "in_shape": in_shape,
        "out_shape": (*out, channels),
        "kernel": kernel,
        "strides": strides,
        "dilations": dilations,
        "pads": pads,
        "pads_end": pads_end,
    }


def conv(rng, in_shape, channels, kernel, strides, pads, groups=1, **geometry):
    weights = rng.normal(size=(*kernel, in_shape[-1] // groups, channels)).astype(np.float32)
    return Conv(**sliding(in_shape, channels, kernel, strides, pads, **geometry), groups=groups, weights=weights)


def dense(rng, in_shape, outputs):
    inputs = int(np.prod(in_shape))
    return Dense(in_shape=(inputs,), out_shape=(outputs,), weights=rng.normal(size=(inputs, outputs)).astype(np.float32))


def average(in_shape, kernel, strides, pads, include_pad):
    return AveragePool(**sliding(in_shape, in_shape[-1], kernel, strides, pads), include_pad=include_pad)


def scale(weights, shape):
    return Scale(in_shape=shape, out_shape=shape, weights=np.asarray(weights, np.float32))


# The plain computation, in float64 and without the package


def two_axes(step):
    fields = ("kernel", "strides", "dilations", "pads")
    return [(1, 1, 1, 0)[k : k + 1] * (2 - len(step.kernel)) + getattr(step, name) for k, name in enumerate(fields)]


def as_image(array, shape):
    return array.reshape(1, *(1,) * (3 - len(shape)), *shape)


def plain(step, values):
    """values: float64 of `step`'s input shape."""
    if isinstance(step, Scale):
        return values * step.weights
    if step.kind == "sparse":
        return naive.sparse(values[None], step.indptr, step.indices, step.weights)[0]
    if isinstance(step, Dense):
        return values.reshape(-1) @ step.weights.astype(np.float64)
    kernel, strides, dilations, pads = two_axes(step)
    out = (1,) * (3 - len(step.out_shape)) + step.out_shape[:-1]
    image = as_image(values, step.in_shape)
    if isinstance(step, Conv):
        weights = step.weights.reshape(*kernel, *step.weights.shape[-2:])
        return naive.conv(image, weights, step.groups, kernel, strides, dilations, pads, out).reshape(step.out_shape)
    size, pads_end = image.shape[1:3], (0,) * (2 - len(step.kernel)) + step.pads_end
    counts = naive.window_size(size, kernel, strides, dilations, pads, pads_end, out, step.include_pad)
    ones = np.ones((*kernel, 1, step.in_shape[-1]))
    total = naive.conv(image, ones, step.in_shape[-1], kernel, strides, dilations, pads, out)[0]
    return (total / counts[..., None]).reshape(step.out_shape)


def plain_chain(steps, values):
    for step in steps:
        values = plain(step, values.reshape(step.in_shape))
    return values


@st.composite
def chains(draw, padding=True):
    """(input shape, steps, generator): one or two spatial axes, with groups, dilations, strides, and scales per channel anywhere, or
    per neuron where no window follows."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    axes = draw(st.integers(1, 2))
    shape = first = (*(draw(st.integers(5, 7)) for _ in range(axes)), 4)
    steps = []
    for kind in draw(st.lists(st.sampled_from(("conv", "average", "scale", "sparse")), max_size=4)):
        kernel, strides, pads, pads_end = (
            tuple(draw(st.integers(low, high)) for _ in range(axes)) for low, high in ((1, 3), (1, 2), (0, int(padding)), (0, 2 * padding))
        )
        kernel = tuple(min(k, size) for k, size in zip(kernel, shape))
        if kind == "sparse":  # between positions, which stay as many, or between neurons
            size, channels = draw(st.sampled_from(((int(np.prod(shape[:-1])), shape[-1]), (int(np.prod(shape)), 1))))
            steps.append(sparse(rng.normal(size=(size, size)) * (rng.random((size, size)) < 0.2), channels))
            continue
        if kind == "scale":
            steps.append(scale(rng.choice((-1, 1), shape[-1]) * rng.uniform(0.5, 2, shape[-1]), shape))
        elif kind == "average":
            steps.append(average(shape, kernel, strides, tuple(min(pad, k - 1) for pad, k in zip(pads, kernel)), draw(st.booleans())))
        else:
            groups = draw(st.sampled_from((1, 2, 4)))
            dilations = tuple(2 if size >= 2 * (k - 1) + 1 else 1 for k, size in zip(kernel, shape))
            steps.append(conv(rng, shape, draw(st.sampled_from((4, 8))), kernel, strides, pads, groups, dilations=dilations, pads_end=pads_end))
        shape = steps[-1].out_shape
    if draw(st.booleans()):
        steps.append(scale(rng.uniform(0.5, 2, shape), shape))
        if draw(st.booleans()):
            steps.append(scale(rng.uniform(0.5, 2, shape[-1]), shape))
    if draw(st.booleans()):
        steps.append(dense(rng, shape, 5))
        steps.append(scale(rng.uniform(0.5, 2, 5), (5,)))
    return first, steps, rng


@QUICK
@given(chains(), st.sampled_from(("none", "channel", "whole")))
def test_folded_chains_compute_the_same(chain, offset):
    shape, steps, rng = chain
    start = {"none": np.zeros(shape[-1]), "channel": rng.normal(size=shape[-1]), "whole": rng.normal(size=shape)}[offset]
    linear = Linear("x", (), shape, start)
    for step in steps:
        linear = linear.then(step)
    a = rng.uniform(size=shape)
    expected = plain_chain(steps, a + start)
    found = plain_chain(linear.path, a).reshape(linear.shape) + linear.offset
    tolerance = 1e-5 * max(1, np.abs(expected).max())
    np.testing.assert_allclose(found.reshape(-1), expected.reshape(-1), rtol=0, atol=tolerance)
    assert linear.source == "x" and linear.connection == Connection(source="x", path=linear.path)
    assert linear.offset.shape in (linear.shape, linear.shape[-1:])
    kinds = [step.kind for step in linear.path]
    assert all(later != "scale" or earlier not in ("scale", "dense") for earlier, later in zip(kinds, kinds[1:]))
    assert not any(earlier == "scale" for earlier, later in zip(kinds, kinds[1:])), "a scale in front of something was not folded"
    assert not any(step.kind == "sparse" and step.in_shape[1] == 1 and later == "scale" for step, later in zip(linear.path, kinds[1:]))


@QUICK
@given(chains())
def test_weight_sums_are_those_of_all_synapses_one_by_one(chain):
    shape, steps, _ = chain
    connection = Connection(source="x", path=tuple(steps))
    out = steps[-1].out_shape if steps else shape
    real, virtual = connection_weights(connection, SimpleNamespace(shape=out))
    found = np.broadcast_to(weight_sums(connection, out), out).reshape(-1)
    np.testing.assert_allclose(found, real.sum(1) + virtual.sum(1), rtol=1e-4, atol=1e-4)


@QUICK
@given(chains(padding=False))
def test_weight_sums_are_what_a_chain_makes_of_ones(chain):
    shape, steps, _ = chain
    path = ()
    for step in steps:
        path = then(path, step)
    out = steps[-1].out_shape if steps else shape
    found = np.broadcast_to(weight_sums(Connection(source="x", path=path), out), out)
    np.testing.assert_allclose(found, plain_chain(steps, np.ones(shape)).reshape(out), rtol=1e-4, atol=1e-4)


# Rules

RNG = np.random.default_rng(0)
SHAPE = (5, 4, 2)
PER_CHANNEL = scale([2, -3], SHAPE)
WHOLE = scale(RNG.uniform(0.5, 2, SHAPE), SHAPE)
CONV = conv(RNG, SHAPE, 3, (3, 2), (1, 1), (1, 0))
AVERAGE = average(SHAPE, (2, 2), (2, 2), (0, 0), False)
POSITIONS = sparse(RNG.normal(size=(6, 20)) * (RNG.random((6, 20)) < 0.3), 2)
NEURONS = sparse(RNG.normal(size=(7, 40)) * (RNG.random((7, 40)) < 0.3))
CHOICE = sparse(np.eye(7)[[3, 0, 0, 5]] * np.array([[1], [2], [0], [-1]]))
DENSE = dense(RNG, SHAPE, 3)


@pytest.mark.parametrize(
    "path, step, kinds",
    (
        ((), PER_CHANNEL, ["scale"]),
        ((), CONV, ["conv"]),
        ((PER_CHANNEL,), PER_CHANNEL, ["scale"]),
        ((PER_CHANNEL,), WHOLE, ["scale"]),
        ((WHOLE,), PER_CHANNEL, ["scale"]),
        ((CONV,), scale([1, 2, 3], CONV.out_shape), ["conv"]),
        ((DENSE,), scale([1, 2, 3], (3,)), ["dense"]),
        ((CONV,), scale(np.full(CONV.out_shape, 2) + np.arange(3), CONV.out_shape), ["conv"]),
        ((CONV,), scale(RNG.uniform(1, 2, CONV.out_shape), CONV.out_shape), ["conv", "scale"]),
        ((PER_CHANNEL,), CONV, ["conv"]),
        ((PER_CHANNEL,), DENSE, ["dense"]),
        ((WHOLE,), DENSE, ["dense"]),
        ((PER_CHANNEL,), AVERAGE, ["average_pool", "scale"]),
        ((AVERAGE,), scale([2, 3], AVERAGE.out_shape), ["average_pool", "scale"]),
        ((AVERAGE,), average(AVERAGE.out_shape, (2, 2), (1, 1), (0, 0), False), ["average_pool"] * 2),
        ((PER_CHANNEL,), POSITIONS, ["sparse", "scale"]),
        ((POSITIONS,), scale([2, 3], (6, 2)), ["sparse", "scale"]),
        ((WHOLE,), NEURONS, ["sparse"]),
        ((NEURONS,), scale(RNG.uniform(1, 2, (7, 1)), (7, 1)), ["sparse"]),
        ((NEURONS,), CHOICE, ["sparse"]),
        ((CONV,), scale(np.repeat([2, 3, 4], 3), (5, 9)), ["conv", "scale"]),
        ((CONV,), scale(np.tile([2, 3, 4], 3), (5, 9)), ["conv"]),
    ),
)
def test_what_folds(path, step, kinds):
    found = then(path, step)
    assert [each.kind for each in found] == kinds
    a = RNG.uniform(size=SHAPE)
    np.testing.assert_allclose(plain_chain(found, a).reshape(step.out_shape), plain_chain((*path, step), a), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("step", (CONV, AVERAGE, POSITIONS))
def test_factors_that_differ_by_position_do_not_pass_a_window_that_slides(step):
    with pytest.raises(ValueError, match="differ by position"):
        then((WHOLE,), step)
    with pytest.raises(ValueError, match="differ by position"):
        Linear("x", (WHOLE,), SHAPE, np.zeros(2)).then(step)


@pytest.mark.parametrize("step", (CONV, AVERAGE))
def test_factors_stored_by_position_pass_it_where_they_agree(step):
    same = scale(np.broadcast_to(np.float32([2, -3]), SHAPE), SHAPE)
    a = RNG.uniform(size=SHAPE)
    np.testing.assert_allclose(plain_chain(then((same,), step), a), plain_chain((same, step), a), rtol=1e-5, atol=1e-6)


def test_a_scale_of_ones_disappears_wherever_it_is():
    ones = scale([1, 1 + 2.0**-23], SHAPE)
    assert then((), ones) == () and then((CONV,), scale([1, 1, 1], CONV.out_shape)) == (CONV,)
    assert then((PER_CHANNEL,), scale([0.5, -1 / 3], SHAPE)) == ()
    assert [step.kind for step in then((), scale([1, 1 + 2.0**-21], SHAPE))] == ["scale"]


def test_scaled_takes_factors_in_any_precision():
    (step,) = scaled((), np.array([0.1, 2.0]), SHAPE)
    assert step.weights.dtype == np.float32 and step.weights.tolist() == [np.float32(0.1), 2]
    assert scaled((CONV,), np.ones(3), CONV.out_shape) == (CONV,)


def test_a_flattened_chain_scales_each_input_of_a_dense_layer():
    whole = scale(RNG.uniform(1, 2, CONV.out_shape), CONV.out_shape)
    path = then(then((CONV,), whole), dense(RNG, CONV.out_shape, 2))
    assert [step.kind for step in path] == ["conv", "dense"]


def test_offsets_stay_per_channel_where_no_border_differs():
    inside = Linear("x", (), SHAPE, np.array([1.0, 2.0])).then(conv(RNG, SHAPE, 3, (3, 2), (1, 1), (0, 0)))
    assert inside.offset.shape == (3,)
    border = Linear("x", (), SHAPE, np.array([1.0, 2.0])).then(CONV)
    assert border.offset.shape == CONV.out_shape
    padded = average(SHAPE, (2, 2), (1, 1), (1, 1), True), average(SHAPE, (2, 2), (1, 1), (1, 1), False)
    shapes = [Linear("x", (), SHAPE, np.array([1.0, 2.0])).then(step).offset.shape for step in padded]
    assert shapes == [(6, 5, 2), (2,)]
