"""A layer behind one step of every kind: the engines that step and that sort spikes give what the closed form gives."""

import numpy as np
import pytest

from tests.network.synapses.test_kinds import SAMPLES
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Input, Readout, Spiking
from ttfs_convert.network.synapses.connection import Connection
from ttfs_convert.network.synapses.kind import WeightedKind
from ttfs_convert.network.synapses.weight_sums import weight_sums
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.studies.noise import with_weight_bits, with_weight_noise

STEPS = 20


def ends(channels):
    return {"lo": np.zeros(channels, np.float32), "hi": np.ones(channels, np.float32)}


def network_of(step, slope):
    """Encoders, a layer of neurons behind `step`, and a readout of the same kind of synapse per neuron."""
    size, connection = int(np.prod(step.out_shape)), Connection(source="x", path=(step,))
    sums = np.broadcast_to(weight_sums(connection, step.out_shape), step.out_shape).astype(np.float32)
    layers = (
        Input(name="x", shape=step.in_shape, window=0, tensor="x", onnx_name="x", onnx_shape=step.in_shape, **ends(step.in_shape[-1])),
        Spiking(
            name="l",
            shape=step.out_shape,
            window=1,
            tensor="l",
            connections=(connection,),
            bias=np.linspace(0.1, 0.6, step.out_shape[-1], dtype=np.float32),
            slope=slope,
            weight_sums=sums,
            low=0.0,
            high=1.0,
            **ends(step.out_shape[-1]),
        ),
        Readout(
            name="r",
            shape=step.out_shape,
            window=2,
            tensor="r",
            connections=(Connection(source="l", path=()),),
            bias=None,
            weight_sums=np.ones(step.out_shape[-1], np.float32),
            onnx_shape=(size,),
            index=np.arange(size, dtype=np.int64),
        ),
    )
    return Network(
        name="n",
        mode="exact",
        slope=slope,
        steps=None,
        rounding="nearest",
        pooling="synaptic",
        onnx_sha256="",
        ann_macs=1,
        layers=layers,
        onnx=None,
        tail=None,
    )


@pytest.fixture(params=SAMPLES.values(), ids=SAMPLES)
def step(request):
    return request.param


def towards_unity(step):
    """The same kind with weights of one sign, the largest sum of which is 1: random ones give neurons that never fire, or all at once."""
    if not isinstance(step, WeightedKind):
        return step
    positive = step.with_weights(np.abs(step.weights))
    largest = weight_sums(Connection(source="x", path=(positive,)), step.out_shape).max()
    return step.with_weights(positive.weights / largest)


@pytest.mark.parametrize("slope", ("gated", "reference", "fan_in"))
def test_engines_agree(step, slope):
    step = step if slope != "fan_in" else towards_unity(step)
    network, x = network_of(step, slope), np.random.default_rng(3).uniform(0, 1, (4, *step.in_shape)).astype(np.float32)
    exact, event = simulate(network, x), simulate(network, x, "event")
    assert 0.05 < exact.activations("l").mean() < 0.95, "all neurons do the same: the comparison proves nothing"
    sums = network.layers[1].weight_sums if slope == "fan_in" else np.ones(step.out_shape)
    steep = np.broadcast_to(sums > 0.05, (4, *step.out_shape))  # others cross the threshold anywhere, by rounding
    np.testing.assert_allclose(event.tau("l")[steep], exact.tau("l")[steep], rtol=0, atol=2e-4)
    grid = network.with_steps(STEPS)
    found, expected = (simulate(grid, x, engine).spike_times["l"].astype(int) for engine in ("clock", "exact"))
    assert np.abs(found - expected)[steep].max() <= 1 and (found != expected)[steep].mean() <= 0.01


def test_devices_are_those_with_trained_weights_or_factors(step):
    """Noise and few bits change what is programmed into hardware, and never what the graph fixes."""
    network = network_of(step, "gated")
    for changed in (with_weight_noise(network, 0.1, (0,)), with_weight_bits(network, 2)):
        (after,) = changed.layers[1].connections[0].path
        assert (after == step) if not (step.trained or step.one_to_one) else (after.weights != step.weights).any()
