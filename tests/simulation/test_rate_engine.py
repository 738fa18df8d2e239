"""Rate-coded neurons against a plain simulation, synapse by synapse, and against what rates tend to."""

import numpy as np
import pytest

from tests.models import Chain, converted, dataset
from tests.naive_network import connection_weights
from ttfs_convert.errors import UsageError
from ttfs_convert.network.populations import Concat, Input, MaxPool, Readout, Spiking
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.encoded_inputs import encoded
from ttfs_convert.simulation.rate_engine import RateSimulator, balanced_thresholds
from ttfs_convert.simulation.wiring import WIRING


def branched():
    """Convolutions, a max-pool, a concatenation and a residual sum."""
    chain = Chain((2, 6, 6)).conv(3, pads=[1] * 4).add("Relu")
    early = chain.at
    chain.conv(3, pads=[1] * 4).add("Add", early).add("Relu").add("Concat", early, axis=1)
    return chain.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).conv(4, (2, 2)).add("Relu").readout()


@pytest.fixture(scope="module")
def case():
    chain = branched()
    x = chain.images(4)
    return chain.model(), x, converted(chain.model(), mode="exact", calibrate=dataset(x))


def simulated(network, x, steps, start):
    """(readout, counts by population) after so many steps; float64, every synapse by itself."""
    thetas = {name: np.broadcast_to(each, shape_of(network, name)).reshape(-1) for name, each in balanced_thresholds(network).items()}
    weights = {layer.name: [(each.source, connection_weights(each, layer)[0]) for each in layer.connections] for layer in neurons_of(network)}
    potential = {layer.name: np.zeros((len(x), int(np.prod(layer.shape)))) for layer in neurons_of(network)}
    for name in thetas:
        potential[name] += start * thetas[name]
    counts = {layer.name: np.zeros((len(x), int(np.prod(layer.shape)))) for layer in network.layers}
    for _ in range(steps):
        sent = {}
        for layer in network.layers:
            if isinstance(layer, Input):
                sent[layer.name] = encoded(layer, x).reshape(len(x), -1)
            elif isinstance(layer, (MaxPool, Concat)):
                shaped = {name: 1 - each.reshape(len(x), *shape_of(network, name)) for name, each in sent.items()}
                sent[layer.name] = 1 - WIRING[layer.kind](layer, shaped, 1).reshape(len(x), -1)
                counts[layer.name] += sent[layer.name] > 0
            else:
                v = potential[layer.name]
                v += 0 if layer.bias is None else np.broadcast_to(layer.bias, layer.shape).reshape(-1)
                for source, real in weights[layer.name]:
                    v += sent[source] @ real.T
                if isinstance(layer, Spiking):
                    fires = v >= thetas[layer.name]
                    v -= fires * thetas[layer.name]
                    sent[layer.name] = fires * thetas[layer.name]
                    counts[layer.name] += fires
    readout = network.readouts[0]
    return potential[readout.name][:, readout.index] / steps, counts


def shape_of(network, name):
    return next(layer.shape for layer in network.layers if layer.name == name)


def neurons_of(network):
    return [layer for layer in network.layers if isinstance(layer, (Spiking, Readout))]


@pytest.mark.parametrize("start", (0, 0.5))
def test_every_step_equals_a_plain_simulation(case, start):
    _, x, network = case
    stops = (1, 2, 7)
    recordings = RateSimulator(network, start)({network.inputs[0].onnx_name: x}, 7, stops)
    for stop, found in zip(stops, recordings, strict=True):
        readout, counts = simulated(network, x, stop, start)
        assert found.step == stop
        np.testing.assert_allclose(next(iter(found.readouts.values())), readout, atol=1e-5)
        for name, each in found.counts.items():
            np.testing.assert_array_equal(each, counts[name])
    assert sum(each.sum() for each in found.counts.values()) > 50


def test_thresholds_are_the_largest_activations_of_the_calibration_data(case):
    """Of the whole layer, in units of each channel's range; whatever the margin."""
    model, x, network = case
    layers = [layer for layer in network.layers if isinstance(layer, Spiking)]
    largest = Reference(model, [layer.tensor for layer in layers])(x)
    for layer in layers:
        theta = balanced_thresholds(network)[layer.name]
        np.testing.assert_allclose(theta * (layer.hi - layer.lo), largest[layer.tensor].max(), rtol=1e-5)


def test_a_relu1_has_its_bound_for_a_threshold():
    network = converted(Chain((4,)).gemm(3).relu1().readout().model())
    assert balanced_thresholds(network) == {network.layers[1].name: pytest.approx(np.ones(3))}


def test_rates_tend_to_the_original():
    """Without the max-pool, which passes on more than the largest rate."""
    chain = Chain((2, 5, 5)).conv(3, pads=[1] * 4).add("Relu")
    early = chain.at
    chain.conv(3, pads=[1] * 4).add("Add", early).add("Relu").add("AveragePool", kernel_shape=[2, 2]).readout()
    x, model = chain.images(4), chain.model()
    network = converted(model, mode="exact", calibrate=dataset(x))
    expected = next(iter(Reference(model)(x).values()))
    recordings = RateSimulator(network)({network.inputs[0].onnx_name: x}, 800, (25, 800))
    errors = [np.abs(next(iter(found.readouts.values())) - expected).max() for found in recordings]
    assert errors[1] < 0.02 * np.ptp(expected) and errors[1] < errors[0] / 8


def test_what_rates_cannot_stand_for_is_refused():
    chain = Chain((4,)).gemm(3).add("Sigmoid")
    network = converted(chain.readout().model(), mode="exact", calibrate=dataset(chain.images(3)))
    with pytest.raises(UsageError, match="rate coding: other activations than clamps in"):
        RateSimulator(network)
