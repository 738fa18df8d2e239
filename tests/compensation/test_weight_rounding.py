"""Networks with weights of few bits: on the grid bit by bit, weight sums kept, closer to the original where the fit rounds."""

import numpy as np
import pytest

from tests.compensation.test_compensation import BUILDERS, constrained_net, data_of, error, samples
from tests.lowering.operators.test_matmul import left
from tests.models import Chain, converted, dataset, unity
from tests.simulation.networks import case, separable
from ttfs_convert.compensation import integer_rows
from ttfs_convert.compensation.weight_rounding import with_nearest_weights
from ttfs_convert.conversion.refits import options_of
from ttfs_convert.errors import UsageError
from ttfs_convert.measurement.weight_memory import weight_bytes
from ttfs_convert.network.populations import Spiking, trained_steps
from ttfs_convert.network.store import load
from ttfs_convert.network.store import save as save_network
from ttfs_convert.studies.noise import with_weight_bits, with_weight_noise

OPTIONS = {"mode": "exact", "steps": 16, "method": "mse"}


def assert_on_grid(network, bits):
    """All trained weights, as int8 times the scales, float32 and bit by bit."""
    integers, compared = network.integer_weights(), 0
    assert network.weight_grid.bits == bits and not network.has_original_weights
    for own in network.weight_grid.layers:
        (layer,) = (layer for layer in network.layers if layer.name == own.layer)
        for step, q, scales in zip(trained_steps(layer), integers[own.layer], own.scales, strict=True):
            assert q.dtype == np.int8 and np.abs(q.astype(int)).max() <= 2 ** (bits - 1) - 1
            assert (q.astype(np.float32) * scales).tobytes() == step.weights.tobytes()
            compared += q.size
    assert compared == sum(step.weights.size for layer in network.layers for step in trained_steps(layer)) > 0
    return integers


def variants(chain, bits, **options):
    """The network on few bits, without the fit and with it, and the model."""
    model = chain.model(*([chain.at, chain.also] if hasattr(chain, "also") else [chain.at]))
    options = {**OPTIONS, "calibrate": data_of(samples(chain, 100, 1)), "weight_bits": bits, **options}
    return converted(model, **options), converted(model, compensate=True, **options), model


def fitted(chain, **options):
    return converted(chain.model(), **OPTIONS, calibrate=data_of(samples(chain, 100, 1)), **options)


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda builder: builder.__name__)
def test_the_fit_rounds_with_less_error_than_one_by_one(builder):
    """Grouped, depthwise, strided, dilated and transposed convolutions, dense layers, residual sums of two, pools on the way."""
    chain = builder()
    one_by_one, rounded, model = variants(chain, 3)
    for network in (one_by_one, rounded):
        assert_on_grid(network, 3)
    assert one_by_one.compensation is None and {fit.fitted for fit in rounded.compensation.layers} <= {"weights", "bias"}
    unseen = samples(chain, 60, 2)
    assert error(rounded, model, unseen) < 0.9 * error(one_by_one, model, unseen)


def test_more_bits_are_closer():
    chain = separable()
    errors = [error(variants(chain, bits)[1], chain.model(), samples(chain, 60, 2)) for bits in (2, 4, 8)]
    plain = fitted(chain, compensate=True)
    assert errors[0] > 2 * errors[1] > 2 * errors[2]
    assert errors[2] < 1.1 * error(plain, chain.model(), samples(chain, 60, 2))


@pytest.mark.parametrize("bits", (4, 8))
@pytest.mark.parametrize("widest", (2048, 20))
def test_mode_strict_keeps_weight_sums(bits, widest, monkeypatch):
    monkeypatch.setattr(integer_rows, "WIDEST", widest)
    chain = constrained_net()
    one_by_one, rounded, model = variants(chain, bits, mode="strict", steps=8, rounding="ceil")
    for network in (one_by_one, rounded):
        assert_on_grid(network, bits)
        layers = [layer for layer in network.layers if isinstance(layer, Spiking)]
        assert all(np.abs(layer.weight_sums - 1).max() < 2e-6 for layer in layers)
    unseen = samples(chain, 60, 2)
    assert error(rounded, model, unseen) < error(one_by_one, model, unseen)


def test_a_strict_transposed_convolution_keeps_the_sum_of_each_of_its_taps():
    """Kernel and stride 2: every neuron reads one tap."""
    chain = Chain((4, 5, 4), seed=3)
    kernel = chain.rng.normal(0, 0.5, (4, 3, 2, 2))
    kernel += (1 - kernel.sum(0)) / 4
    chain.add("ConvTranspose", kernel.astype(np.float32), strides=[2, 2]).relu1().readout()
    for network in variants(chain, 6, mode="strict")[:2]:
        assert_on_grid(network, 6)
        taps = trained_steps(network.layers[1])[0].weights.sum(-2, np.float64)
        np.testing.assert_allclose(taps, np.ones((2, 2, 3)), atol=2e-6)


def test_sums_that_are_not_kept_are_refused():
    """Tokens mixed in mode strict: no fit reaches these weights, and rounded one by one they do not sum to 1."""
    chain = Chain((6, 4))
    model = left(chain, unity(chain.rng.normal(0, 0.4, (5, 6)))).relu1().readout().model()
    with pytest.raises(UsageError, match="weight bits: weight sums of layer .* off by .*; add --mode exact"):
        converted(model, mode="strict", steps=8, weight_bits=4)


def test_trained_weights_that_no_fit_reaches_are_rounded_to_the_nearest():
    """Those in the middle of a path, and mixing of tokens."""
    network = with_nearest_weights(case("chained", "gated")[0], 5)
    assert {len(own.scales) for own in network.weight_grid.layers} == {2}
    assert_on_grid(network, 5)
    chain = Chain((6, 4))
    left(chain, chain.rng.normal(0, 0.4, (5, 6)).astype(np.float32)).add("Relu").readout()
    for mixed in variants(chain, 5)[:2]:
        assert_on_grid(mixed, 5)


def test_slope_reference_evens_out_the_rounded_weights():
    chain = separable()
    for network in variants(chain, 4, slope="reference")[:2]:
        for layer in network.layers:
            if isinstance(layer, Spiking):
                sums = sum(step.weights.sum(tuple(range(step.weights.ndim - 1)), np.float64) for step in trained_steps(layer))
                np.testing.assert_allclose(np.broadcast_to(layer.weight_sums, layer.shape)[0, 0], sums, atol=1e-5)


def test_biases_alone_leave_weights_rounded_to_the_nearest():
    chain = separable()
    one_by_one = variants(chain, 4)[0]
    biased = fitted(chain, weight_bits=4, compensate="bias")
    assert {fit.fitted for fit in biased.compensation.layers} == {"bias"}
    assert all((a[0] == b[0]).all() for a, b in zip(one_by_one.integer_weights().values(), biased.integer_weights().values(), strict=True))
    unseen = samples(chain, 60, 2)
    assert error(biased, chain.model(), unseen) < error(one_by_one, chain.model(), unseen)


def test_the_file_keeps_the_grid_and_other_conversions_know_it(tmp_path):
    chain = separable()
    rounded = variants(chain, 4)[1]
    save_network(rounded, tmp_path / "snn.npz")
    again = load(tmp_path / "snn.npz")
    assert again.weight_grid.bits == 4
    first, second = rounded.integer_weights(), assert_on_grid(again, 4)
    assert all((a == b).all() for name in first for a, b in zip(first[name], second[name], strict=True))
    assert options_of(again).weight_bits == 4 and again.with_steps(9).weight_grid is not None
    for changed in (with_weight_noise(again, 0.1, (0,)), with_weight_bits(again, 3)):
        assert changed.weight_grid is None


def test_memory_is_that_of_packed_integers_and_scales():
    chain = Chain((3, 5, 5), seed=1).conv(4, bias=False).add("Relu").readout(2)  # 3 x 3 x 3 x 4 and 36 x 2 weights
    network = converted(chain.model(), mode="exact", calibrate=dataset(chain.images(9)))
    rounded = with_nearest_weights(network, 3)
    assert weight_bytes(network) == 4 * (108 + 72)
    assert weight_bytes(rounded) == 41 + 4 * 4 + 27 + 4 * 2


@pytest.mark.parametrize("bits", (1, 9, 4.5, True))
def test_other_numbers_of_bits_are_refused(bits):
    with pytest.raises(UsageError, match="weight bits: .*; expected a whole number from 2 to 8"):
        converted(constrained_net().model(), steps=8, weight_bits=bits)


def test_mode_unchecked_and_networks_without_a_grid_are_refused():
    chain = constrained_net()
    with pytest.raises(UsageError, match="weight bits: mode unchecked, .*; add --mode exact"):
        converted(chain.model(), mode="unchecked", steps=8, weight_bits=4)
    with pytest.raises(UsageError, match="on no grid; .*--weight-bits"):
        converted(chain.model(), steps=8).integer_weights()
