"""Fitted networks against their originals under ONNX Runtime, on images that the fit did not see."""

import dataclasses

import numpy as np
import pytest

from tests.models import Chain, converted, dataset, outputs_of
from tests.simulation.networks import averages, line, separable, transposed, two_inputs, two_readouts
from ttfs_convert.errors import DataError, UsageError
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Spiking, has_neurons
from ttfs_convert.network.store import load, save
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.head_and_tail import run
from ttfs_convert.simulation.recording import decode


def residual():
    """A stage of a residual network: an identity beside two convolutions, then a strided one beside a convolution of its own."""
    chain = Chain((3, 8, 8), seed=4).conv(6, pads=[1] * 4).add("Relu")
    start = chain.at
    chain.conv(6, pads=[1] * 4).add("Relu").conv(6, pads=[1] * 4, total=0.3).add("Add", start).add("Relu")
    start = chain.at
    short = chain.conv(8, (1, 1), strides=[2, 2]).at
    chain.at = start
    chain.conv(8, pads=[1] * 4, strides=[2, 2]).add("Relu").conv(8, pads=[1] * 4).add("Add", short).add("Relu")
    return chain.add("GlobalAveragePool").readout()


def wide():
    """More inputs than there are samples to fit to."""
    chain = Chain((3, 12, 12), seed=2).conv(4, pads=[1] * 4).add("Relu").add("Flatten")
    return chain.add("Gemm", (chain.rng.normal(size=(576, 20)) / 24).astype(np.float32)).add("Relu").readout()


BUILDERS = (residual, wide, separable, transposed, averages, line, two_inputs, two_readouts)


def samples(chain: Chain, count: int, seed: int) -> dict[str, np.ndarray]:
    """Smooth images, so that inputs of a neuron are alike as in pictures."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, shape in chain._inputs.items():
        coarse = rng.uniform(-0.3, 1.3, (count, *shape))
        for axis in range(2, coarse.ndim):
            coarse = (coarse + np.roll(coarse, 1, axis)) / 2
        found[name] = np.clip(coarse, 0, 1).astype(np.float32)
    return found


def data_of(x: dict[str, np.ndarray]):
    several = dict(x) if len(x) > 1 else {}
    return dataclasses.replace(dataset(next(iter(x.values()))), inputs=several)


def error(network: Network, model, x: dict[str, np.ndarray]) -> float:
    """Root mean squared error of all outputs, as a share of their spread."""
    theirs = list(Reference(model)(x).values())
    ours = outputs_of(network, run(network, x if len(x) > 1 else x["x"]), x)
    return float(np.sqrt(np.mean([np.square(a - b).mean() / b.var() for a, b in zip(ours, theirs)])))


def fitted_and_plain(builder, **options) -> tuple[Network, Network, float, float]:
    chain = builder()
    model = chain.model(*([chain.at, chain.also] if hasattr(chain, "also") else [chain.at]))
    data, unseen = data_of(samples(chain, 100, 1)), samples(chain, 60, 2)
    options = {"mode": "exact", "steps": 8, "rounding": "ceil", "calibrate": data, "method": "mse", **options}
    plain, fitted = converted(model, **options), converted(model, compensate=True, **options)
    return fitted, plain, error(fitted, model, unseen), error(plain, model, unseen)


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda builder: builder.__name__)
def test_outputs_are_closer_to_the_originals_on_images_that_were_not_fitted_to(builder):
    fitted, plain, after, before = fitted_and_plain(builder)
    assert after < 0.9 * before
    assert any(fit.fitted == "weights" for fit in fitted.compensation.layers)
    assert all(fit.error_after <= fit.error_before for fit in fitted.compensation.layers)
    assert {fit.layer for fit in fitted.compensation.layers} == {layer.name for layer in fitted.layers if has_neurons(layer)}
    assert [layer.name for layer in fitted.layers] == [layer.name for layer in plain.layers] and fitted.latency_steps == plain.latency_steps


def test_errors_of_layers_are_those_of_the_network_itself(tmp_path):
    """The first layer's error before and after the fit, computed here from the spikes of whole networks."""
    chain = Chain((3, 7), seed=3).conv(4, (3,), pads=[1, 1]).add("Relu").readout()
    model, x = chain.model(), samples(chain, 50, 1)
    options = {"mode": "exact", "steps": 6, "rounding": "ceil", "calibrate": data_of(x), "method": "mse"}
    plain, fitted = converted(model, **options), converted(model, compensate=True, **options)
    first = next(layer for layer in plain.layers if isinstance(layer, Spiking))
    theirs = np.moveaxis(Reference(model, [first.tensor])(x)[first.tensor], 1, -1)
    wanted = ((theirs - first.lo) / (first.hi - first.lo))[4::5]  # every fifth sample judges
    for network, expected in ((plain, "error_before"), (fitted, "error_after")):
        found = decode(run(network, x["x"]).spike_times[first.name], 6)[4::5]
        assert np.sqrt(np.square(found - wanted).mean()) == pytest.approx(getattr(fitted.compensation.layers[0], expected), rel=1e-4)


def test_a_systematic_shift_is_taken_out_exactly():
    """Rounding `ceil` fires half a step late on average: the readout of one coarse layer is low by half a step times the weights."""
    chain = Chain((40,), seed=5)
    chain.add("Gemm", np.full((40, 1), 0.5, np.float32))
    model, rng = chain.model(), np.random.default_rng(0)
    x = rng.uniform(0, 1, (400, 40)).astype(np.float32)
    network = converted(model, mode="exact", steps=4, rounding="ceil", calibrate=dataset(x), compensate=True)
    plain = converted(model, mode="exact", steps=4, rounding="ceil")
    fresh = rng.uniform(0, 1, (400, 40)).astype(np.float32)
    expected = fresh.sum(1) / 2
    assert (run(plain, fresh).potentials[:, 0] - expected).mean() == pytest.approx(-0.5 * 40 / 8, rel=0.05)
    assert abs((run(network, fresh).potentials[:, 0] - expected).mean()) < 0.05


@pytest.mark.parametrize("mode, builder", (("exact", residual), ("unchecked", separable)))
def test_biases_alone(mode, builder):
    """Weights stay the original's, bit by bit; the potentials that the fit saw are right on average, as with weights fitted as well."""
    chain = builder()
    data = data_of(samples(chain, 100, 1))
    options = {"mode": mode, "steps": 8, "rounding": "ceil", "calibrate": data, "method": "mse"}
    plain, biased = converted(chain.model(), **options), converted(chain.model(), compensate="bias", **options)
    assert {fit.fitted for fit in biased.compensation.layers} <= {"bias", "none"} and all(
        fit.weight_change == 0 for fit in biased.compensation.layers
    )
    assert any(fit.fitted == "bias" for fit in biased.compensation.layers)
    for before, after in zip(plain.layers, biased.layers):
        if has_neurons(before):
            assert all(np.array_equal(a, b) for a, b in zip(weights_of(before), weights_of(after), strict=True))
    assert error(biased, chain.model(), samples(chain, 60, 2)) < error(plain, chain.model(), samples(chain, 60, 2))


def weights_of(layer):
    return [step.weights for connection in layer.connections for step in connection.path if hasattr(step, "weights")]


@pytest.mark.parametrize("value", ("weights", 2))
def test_nothing_else_can_be_fitted(value):
    with pytest.raises(UsageError, match="compensate: .*; expected True, False or 'bias'"):
        converted(residual().model(), steps=8, compensate=value)


def test_with_fine_steps_there_is_nothing_to_fit():
    chain = residual()
    x = samples(chain, 60, 1)
    network = converted(chain.model(), mode="exact", steps=20000, calibrate=data_of(x), method="maximum", compensate=True)
    assert max(fit.weight_change for fit in network.compensation.layers) < 5e-3
    assert error(network, chain.model(), x) < 2e-3  # others may lie outside the ranges


def constrained_net():
    """Weight sums of 1 throughout: padded, strided and average-pooled, a residual sum, ReLU1."""
    chain = Chain((3, 8, 8), seed=1).conv(6, pads=[1] * 4).relu1().add("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    start = chain.conv(6, pads=[1] * 4).relu1().at
    chain.conv(6, pads=[1, 0, 1, 2], total=0.0).add("Add", start).relu1()
    return chain.conv(8, (3, 3), groups=2, strides=[2, 2]).relu1().readout()


def test_weight_sums_stay_what_training_made_them():
    chain = constrained_net()
    model, data, unseen = chain.model(), data_of(samples(chain, 100, 1)), samples(chain, 60, 2)
    options = {"mode": "strict", "steps": 8, "rounding": "ceil"}
    plain, fitted = converted(model, **options), converted(model, calibrate=data, compensate=True, **options)
    layers = [layer for layer in fitted.layers if isinstance(layer, Spiking)]
    assert all(np.abs(layer.weight_sums - 1).max() < 2e-6 for layer in layers)
    assert sum(fit.fitted == "weights" for fit in fitted.compensation.layers) >= 3
    assert error(fitted, model, unseen) < 0.9 * error(plain, model, unseen)
    assert [(layer.lo.max(), layer.hi.min()) for layer in layers] == [(0, 1)] * len(layers)


def test_weight_sums_that_differ_by_position_stay_as_they_are():
    """A transposed convolution: neurons read different parts of the kernel, and no padding."""
    chain = transposed()
    data = data_of(samples(chain, 100, 1))
    plain, fitted = (
        converted(chain.model(), mode="unchecked", steps=8, rounding="ceil", **options) for options in ({}, {"calibrate": data, "compensate": True})
    )
    pairs = [(a, b) for a, b in zip(plain.layers, fitted.layers) if isinstance(a, Spiking)]
    assert any(np.ptp(a.weight_sums) > 0.1 and a.weight_sums.ndim > 1 for a, _ in pairs)
    for a, b in pairs:
        np.testing.assert_allclose(np.broadcast_to(b.weight_sums, b.shape), np.broadcast_to(a.weight_sums, a.shape), atol=5e-6)
    assert any(fit.fitted == "weights" and fit.layer.startswith("convtranspose") for fit in fitted.compensation.layers)


def test_upper_ends_of_clamps_are_fitted_in_mode_exact():
    chain = Chain((2, 5, 5), seed=6).conv(3, pads=[1] * 4).add("Clip", np.float32(0), np.float32(6)).readout()
    data = data_of(samples(chain, 60, 1))
    plain, fitted = (converted(chain.model(), mode="exact", steps=8, calibrate=data, **options) for options in ({}, {"compensate": True}))
    assert plain.layers[1].hi.tolist() == [6, 6, 6] and (fitted.layers[1].hi < 3).all() and fitted.layers[1].high == 6


def test_the_file_says_what_was_done(tmp_path):
    fitted, _, _, _ = fitted_and_plain(line)
    save(fitted, tmp_path / "snn.npz")
    again = load(tmp_path / "snn.npz")
    record = again.compensation
    assert record == fitted.compensation and again.on_fitted_grid
    assert (record.samples, record.unseen, record.rounding) == (100, 20, "ceil") and set(record.steps.values()) == {8}
    assert record.sha256 == data_of(samples(line(), 100, 1)).sha256
    for other in (again.with_steps(9), again.with_steps(None), again.with_steps(8, "nearest"), again.with_input_steps(255)):
        assert not other.on_fitted_grid


def test_results_do_not_depend_on_where_activations_are_kept(monkeypatch):
    in_memory = fitted_and_plain(separable)[0]
    monkeypatch.setattr("ttfs_convert.compensation.activation_store.MEMORY", 0)
    monkeypatch.setattr("ttfs_convert.compensation.activation_store.Activations.__init__.__defaults__", (0,))
    on_disk = fitted_and_plain(separable)[0]
    assert on_disk.compensation == in_memory.compensation


def test_more_samples_than_the_rows_have_room_for(monkeypatch):
    monkeypatch.setattr("ttfs_convert.compensation.regression_rows.MEMORY", 0)
    monkeypatch.setattr("ttfs_convert.compensation.regression_rows.FEWEST", 40)
    _, _, after, before = fitted_and_plain(averages)
    assert after < before


def test_refusals():
    chain = line()
    model, data = chain.model(), data_of(samples(chain, 20, 1))
    options = {"mode": "exact", "compensate": True}
    with pytest.raises(UsageError, match="continuous time"):
        converted(model, calibrate=data, **options)
    with pytest.raises(UsageError, match="no data"):
        converted(model, steps=8, **options)
    with pytest.raises(UsageError, match="test images of mnist"):
        converted(model, steps=8, calibrate=dataclasses.replace(data, name="mnist"), **options)
    with pytest.raises(DataError, match="4 samples"):
        converted(model, steps=8, calibrate=data_of(samples(chain, 4, 1)), **options)
