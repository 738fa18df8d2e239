"""What every kind of synapse says of itself agrees: kernel, equation, single synapses, weight sums, fan-out, folding, patches.

A new kind needs samples here, and nothing else.
"""

import typing

import numpy as np
import pytest

from tests.network.synapses.counts import per_neuron
from ttfs_convert.kernels.incoming_spikes import VIRTUAL
from ttfs_convert.network.synapses.average_pool import AveragePool
from ttfs_convert.network.synapses.axis_product import AxisProduct
from ttfs_convert.network.synapses.chains import then
from ttfs_convert.network.synapses.connection import Connection, Synapses
from ttfs_convert.network.synapses.convolution import Conv
from ttfs_convert.network.synapses.dense import Dense
from ttfs_convert.network.synapses.fan_out import fan_out
from ttfs_convert.network.synapses.kind import NOTHING, FittableKind
from ttfs_convert.network.synapses.scale import Scale
from ttfs_convert.network.synapses.sparse import Sparse
from ttfs_convert.network.synapses.spread import Spread
from ttfs_convert.network.synapses.weight_sums import weight_sums

KINDS = typing.get_args(typing.get_args(Synapses)[0])


def normal(*shape):
    return np.random.default_rng(sum(shape)).normal(0, 0.5, shape).astype(np.float32)


WINDOW = dict(in_shape=(6, 5, 4), kernel=(3, 2), strides=(2, 1), dilations=(1, 2), pads=(1, 0), pads_end=(0, 1))
POINTERS, INDICES = np.array([0, 2, 2, 3, 5]), np.array([0, 4, 2, 1, 3])
SAMPLES = {
    "conv": Conv(**WINDOW, out_shape=(3, 4, 6), groups=2, weights=normal(3, 2, 2, 6)),
    "conv of one axis": Conv(
        in_shape=(9, 3), out_shape=(5, 2), kernel=(3,), strides=(2,), dilations=(1,), pads=(1,), pads_end=(1,), groups=1, weights=normal(3, 3, 2)
    ),
    "dense": Dense(in_shape=(12,), out_shape=(7,), weights=normal(12, 7)),
    "axis product": AxisProduct(in_shape=(5, 4), out_shape=(3, 4), weights=normal(5, 3)),
    "average pool": AveragePool(**WINDOW, out_shape=(3, 4, 4), include_pad=False),
    "average pool with its padding": AveragePool(**WINDOW, out_shape=(3, 4, 4), include_pad=True),
    "scale": Scale(in_shape=(3, 2, 4), out_shape=(3, 2, 4), weights=normal(4)),
    "scale by position": Scale(in_shape=(3, 4), out_shape=(3, 4), weights=normal(3, 4)),
    "spread": Spread(in_shape=(3, 2, 4), out_shape=(5, 4, 4), strides=(2, 3)),
    "sparse": Sparse(in_shape=(5, 3), out_shape=(4, 3), indptr=POINTERS, indices=INDICES, weights=normal(5)),
    "sparse between neurons": Sparse(
        in_shape=(6, 1), out_shape=(2, 1), indptr=np.array([0, 3, 4]), indices=np.array([0, 2, 5, 1]), weights=normal(4)
    ),
}


@pytest.fixture(params=SAMPLES.values(), ids=SAMPLES)
def step(request):
    return request.param


@pytest.fixture
def values(step):
    return np.random.default_rng(1).uniform(0, 1, (3, *step.in_shape)).astype(np.float32)


def applied(step, values):
    return np.stack([step.apply(each.astype(np.float64)) for each in values])


def matrix(step, virtual=False):
    """(neurons, source neurons) float64, and what virtual neurons add to each neuron."""
    target, source, weight = step.synapses(virtual)
    whole, padded = np.zeros((np.prod(step.out_shape), np.prod(step.in_shape))), np.zeros(np.prod(step.out_shape))
    real = source >= 0
    np.add.at(whole, (target[real], source[real]), weight[real])
    np.add.at(padded, target[~real], weight[~real])
    return whole, padded


def test_there_is_a_sample_of_every_kind():
    assert {type(step) for step in SAMPLES.values()} == set(KINDS)
    assert len({kind.model_fields["kind"].default for kind in KINDS}) == len(KINDS)


def test_kernel_equals_equation(step, values):
    potentials = np.full((3, *step.out_shape), 0.25, np.float32)
    step.add(values, potentials, step.kernel_layout())
    np.testing.assert_allclose(potentials, 0.25 + applied(step, values), rtol=0, atol=2e-6)
    again = np.full((3, *step.out_shape), 0.25, np.float32)
    step.add(values, again, dense=True)
    np.testing.assert_array_equal(again, potentials)


def test_single_synapses_equal_equation(step, values):
    found = values.reshape(3, -1) @ matrix(step)[0].T
    np.testing.assert_allclose(found.reshape(3, *step.out_shape), applied(step, values), rtol=0, atol=1e-6)


def test_shared_rows_are_the_same_synapses(step):
    positions, outputs = np.prod(step.out_shape[:-1], dtype=int), step.out_shape[-1]
    shared = step.shared_rows(positions, outputs, step.has_virtual_neurons(None))
    if shared is None:
        assert not step.is_convolution
        return
    whole, virtual = np.zeros((positions, outputs, np.prod(step.in_shape))), np.zeros((positions, outputs))
    own = outputs // shared.groups
    for position, (taps, relays) in enumerate(zip(shared.tap, shared.relay)):
        for tap, relay in zip(taps, relays):
            assert relay >= 0 or relay in (VIRTUAL, NOTHING)
            for c, o in np.ndindex(*shared.weights.shape[1:]):
                if relay >= 0:
                    whole[position, o, relay + o // own * shared.weights.shape[1] + c] += shared.weights[tap, c, o]
                elif relay == VIRTUAL:
                    virtual[position, o] += shared.weights[tap, c, o]
    expected, padded = matrix(step, step.has_virtual_neurons(None))
    np.testing.assert_allclose(whole.reshape(expected.shape), expected, atol=1e-6)
    np.testing.assert_allclose(virtual.reshape(-1), padded, atol=1e-6)


def test_weight_sums_are_those_of_its_synapses(step):
    whole, padded = matrix(step, step.has_virtual_neurons(None))
    found = weight_sums(Connection(source="x", path=(step,)), step.out_shape)
    np.testing.assert_allclose(np.broadcast_to(found, step.out_shape).reshape(-1), whole.sum(1) + padded, atol=1e-6)


def test_gain_bounds_its_synapses(step):
    whole, _ = matrix(step)
    gain, fan_in = step.gain()
    assert np.abs(whole).sum(1).max() <= gain + 1e-6 and (whole != 0).sum(1).max() <= fan_in


def test_fan_out_counts_its_synapses(step):
    np.testing.assert_array_equal(per_neuron(fan_out([step], step.in_shape)).reshape(-1), (matrix(step)[0] != 0).sum(0))
    every = step.reached(np.ones(step.in_shape))
    np.testing.assert_array_equal(every.reshape(-1), (matrix(step)[0] != 0).any(1))


def test_padding_can_be_held_at_a_value(step, values):
    if not step.has_virtual_neurons(None):
        return
    plain, padded = step.padded_with(0.5, values)
    found = applied(plain, padded)
    _, virtual = matrix(step, step.has_virtual_neurons(None))
    np.testing.assert_allclose(found, applied(step, values) + 0.5 * virtual.reshape(step.out_shape) * step.is_padded, rtol=0, atol=1e-6)


@pytest.mark.parametrize("whole", (False, True))
def test_scales_in_front_and_behind_change_nothing_but_the_weights(step, values, whole):
    for shape, chain in ((step.in_shape, lambda scale: (scale, step)), (step.out_shape, lambda scale: (step, scale))):
        scale = Scale.by(normal(*(shape if whole else shape[-1:])) + 2, shape)
        try:
            folded = then(then((), chain(scale)[0]), chain(scale)[1])
        except ValueError:
            assert whole and not step.all_to_all  # factors that differ by position, in front of a window
            continue
        expected, found = values, values
        for each in chain(scale):
            expected = applied(each, expected)
        for each in folded:
            found = applied(each, found)
        assert len(folded) < 2 or isinstance(folded[-1], Scale)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_fittable_weights_times_patches_are_the_sums(step, values):
    if not isinstance(step, FittableKind):
        return
    at = np.tile(np.arange(np.prod(step.out_shape[:-1], dtype=int)), (3, 1))
    patches = step.patches(values, at)
    assert patches.shape == (at.size, step.channel_groups(), step.fan_in)
    weights = step.weights.reshape(step.fan_in, step.channel_groups(), -1)
    np.testing.assert_allclose(np.einsum("rgk,kgo->rgo", patches, weights).reshape(3, *step.out_shape), applied(step, values), rtol=0, atol=1e-5)


def test_parameters_and_multiply_accumulates(step):
    assert step.trained or step.macs(None) == 0
    if step.trained:
        assert step.macs(None) == (step.synapses(step.has_virtual_neurons(None))[0]).size
        doubled = step.with_weights(2 * step.weights.astype(np.float64))
        assert doubled.weights.dtype == np.float32 and type(doubled) is type(step)
        np.testing.assert_array_equal(doubled.weights, 2 * step.weights)


def test_products_of_large_dense_layers_in_parts(monkeypatch):
    step, values = SAMPLES["dense"], normal(12).astype(np.float64)
    whole = step.apply(values), step.weight_sum(values)
    monkeypatch.setattr("ttfs_convert.network.synapses.dense.AT_ONCE", 24)
    monkeypatch.setattr("ttfs_convert.network.synapses.dense.COLUMNS", 2)
    for found, expected in zip((step.apply(values), step.weight_sum(values)), whole):
        assert found.shape == (7,)
        np.testing.assert_allclose(found, expected, rtol=1e-14)
