"""Errors of every layer against ONNX Runtime's tensors, in units of the layer's range."""

import numpy as np
import pytest

from tests.models import Chain, converted, dataset, layer_errors_of
from ttfs_convert.measurement.layer_errors import LayerErrors
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.studies.evaluation import evaluate


def chain():
    return Chain((3, 6, 6)).conv(4, pads=[1] * 4).add("Relu").conv(3, pads=[1] * 4).batch_norm(-1).add("Relu").readout()


def calibrated(share, **options):
    """The network, calibrated on images `share` as bright as those it will see; and these."""
    x = chain().images(8)
    return converted(chain().model(), **{"mode": "exact", "calibrate": dataset(share * x), "margin": 0.0, **options}), x


def tensors(network, x):
    return Reference(chain().model(), [layer.tensor for layer in network.layers if layer.tensor])(x)


def test_errors_are_shares_of_the_range():
    """On a grid of two steps, against the same in plain NumPy."""
    network, x = calibrated(1.0, steps=2)
    first = network.layers[1]
    errors = layer_errors_of(network, chain().model(), x).layers[first.name]
    values = np.moveaxis(tensors(network, x)[first.tensor], 1, -1)
    expected = np.abs(simulate(network, x).activations(first.name) - (values - first.lo) / (first.hi - first.lo))
    assert errors.largest_error == pytest.approx(expected.max(), abs=1e-6) and errors.largest_error > 0.1
    assert errors.mean_error == pytest.approx(expected.mean(), abs=1e-6)
    assert errors.compared == values.size and errors.images == 8


@pytest.mark.parametrize("slope", ("gated", "reference"))
def test_values_beyond_a_calibrated_range_are_saturated(slope):
    network, x = calibrated(0.25, slope=slope)
    layer_errors = layer_errors_of(network, chain().model(), x)
    hidden = [layer for layer in network.layers if layer.kind == "spiking"]
    assert layer_errors.saturated() == [layer.name for layer in hidden]
    values = np.moveaxis(tensors(network, x)[hidden[0].tensor], 1, -1)
    found = layer_errors.layers[hidden[0].name]
    assert found.saturated_share == pytest.approx((values > hidden[0].hi * (1 + 2e-6)).mean(), abs=1e-3)
    assert found.saturated_share > 0.1
    assert layer_errors.first_out_of_tolerance() is None and layer_errors.first_cut_off() == hidden[0].name
    fired = simulate(network, x).activations(hidden[0].name)
    assert fired.max() == 1, "a value beyond the range is the range's end"


def test_values_below_a_calibrated_range_are_saturated_too():
    model = Chain((6,)).gemm(5, total=0.0).gemm(4).add("Relu").readout().model()
    x = Chain((6,)).images(30)
    network = converted(model, mode="exact", calibrate=dataset(x[:2]), margin=0.0)
    linear = network.layers[1]
    values = Reference(model, [linear.tensor])(x)[linear.tensor]
    beyond = (values < linear.lo - 1e-5) | (values > linear.hi + 1e-5)
    assert (values < linear.lo - 1e-5).any()
    assert layer_errors_of(network, model, x).layers[linear.name].saturated_share == pytest.approx(beyond.mean(), abs=1e-9)


def test_what_the_original_clips_itself_is_not_saturated():
    model = Chain((6,)).gemm(5).add("Mul", np.float32(20)).add("Clip", np.float32(0), np.float32(6)).readout().model()
    x = Chain((6,)).images(30)
    network = converted(model, mode="exact")
    layer_errors = layer_errors_of(network, model, x)
    values = Reference(model, [network.layers[1].tensor])(x)[network.layers[1].tensor]
    assert (values == 6).mean() > 0.1 and layer_errors.saturated() == [] and layer_errors.layers[network.layers[1].name].saturated == 0


def test_with_enough_data_nothing_is_saturated():
    network, x = calibrated(1.0)
    layer_errors = layer_errors_of(network, chain().model(), x)
    assert layer_errors.saturated() == [] and layer_errors.first_out_of_tolerance() is None and layer_errors.not_compared() == []
    assert all(layer_errors.layers[layer.name].saturated == 0 for layer in network.layers)


def test_a_report_tells_of_saturation_and_of_ranges():
    for share, count in ((0.25, 2), (1.0, 0)):
        network, x = calibrated(share, steps=50)
        found = evaluate(network, dataset(x), batch=3)
        assert len([note for note in found.notes if "outside its range" in note]) == count
        layers = {layer.name: layer for layer in found.report.layers}
        for layer in network.layers[1:3]:
            assert layers[layer.name].range == (layer.lo.min(), layer.hi.max()) and layers[layer.name].slope == "gated"
            assert (layers[layer.name].saturated > 0.001) == bool(count)


def test_batches_add_up():
    network, x = calibrated(0.5, steps=10)
    whole, parts = (LayerErrors(network) for _ in range(2))
    whole.add(simulate(network, x), tensors(network, x))
    for rows in (slice(0, 3), slice(3, 8)):
        parts.add(simulate(network, x[rows]), tensors(network, x[rows]))
    for layer in network.layers:
        one, other = whole.layers[layer.name], parts.layers[layer.name]
        for field in ("max_error", "saturated", "compared", "images"):
            assert getattr(one, field) == getattr(other, field)
        assert one.sum_error == pytest.approx(other.sum_error) and np.array_equal(one.active, other.active)


def test_silence_and_analog_input():
    network, x = calibrated(1.0, steps=10, input_range=None)
    layer_errors = layer_errors_of(network, chain().model(), x)
    assert layer_errors.layers["x"].silent_share == 0 and (layer_errors.active_shares()["x"] == 1).all()
    layer = network.layers[1]
    silent = simulate(network, x).silent(layer.name)
    assert layer_errors.layers[layer.name].silent_share == pytest.approx(silent.mean()) and 0.05 < silent.mean() < 0.95
    np.testing.assert_allclose(layer_errors.active_shares()[layer.name], 1 - silent.mean(0))


def test_the_readout_is_compared_in_its_own_units():
    network, x = calibrated(1.0, steps=3)
    layer_errors = layer_errors_of(network, chain().model(), x)
    expected = np.abs(simulate(network, x).potentials - tensors(network, x)[network.readouts[0].tensor]).max()
    assert layer_errors.layers[network.readouts[0].name].largest_error == pytest.approx(expected) and expected > 0.01


def test_layers_without_a_tensor_are_named():
    network, x = calibrated(1.0)
    first, hidden, *others = network.layers
    layers = (first, hidden.model_copy(update={"tensor": None}), *others)
    layer_errors = layer_errors_of(network.model_copy(update={"layers": layers}), chain().model(), x, not_compared=[hidden.name])
    assert layer_errors.first_out_of_tolerance() is None
