"""The four counts: the paper's own figures, and small networks counted by hand."""

import numpy as np
import pytest

from ttfs_convert.ir import AveragePool, Connection, Conv, Dense, Input, Network, Readout, Spiking
from ttfs_convert.measure import counts


def unity(weights):
    """Weights (..., inputs, outputs) shifted so that each neuron's sum to 1."""
    axes = tuple(range(weights.ndim - 1))
    return (weights - (weights.sum(axes) - 1) / np.prod(weights.shape[:-1])).astype(np.float32)


def network(paths, in_shape, steps=50):
    """A chain: one layer for each path of synapses, the last one the readout."""
    layers = [Input(name="l0", shape=in_shape, window=0, tensor=None, onnx_name="x", onnx_shape=in_shape)]
    for position, path in enumerate(paths, 1):
        common = dict(name=f"l{position}", shape=path[-1].out_shape, window=position, tensor=None, bias=None,
                      slopes=np.ones(path[-1].out_shape[-1], np.float32), connections=(Connection(source=f"l{position - 1}", path=path),))
        if position < len(paths):
            layers.append(Spiking(**common, slope="fan_in"))
        else:
            layers.append(Readout(**common, onnx_shape=path[-1].out_shape, index=np.arange(np.prod(path[-1].out_shape))))
    return Network(name="n", mode="strict", steps=steps, rounding="nearest", pooling="synaptic", onnx_sha256="", ann_macs=0,
                   layers=tuple(layers), onnx=None, tail=None)


def dense(inputs, outputs):
    weights = np.random.default_rng(inputs + outputs).standard_normal((inputs, outputs))
    return Dense(in_shape=(inputs,), out_shape=(outputs,), weights=unity(weights))


def conv(size, channels, outputs):
    weights = np.random.default_rng(channels + outputs).standard_normal((3, 3, channels, outputs))
    return Conv(in_shape=(size, size, channels), out_shape=(size, size, outputs), kernel=(3, 3), strides=(1, 1), dilations=(1, 1),
                pads=(1, 1), pads_end=(1, 1), groups=1, weights=unity(weights))


def pool(size, channels):
    return AveragePool(in_shape=(size, size, channels), out_shape=(size // 2, size // 2, channels), kernel=(2, 2), strides=(2, 2),
                       dilations=(1, 1), pads=(0, 0), pads_end=(0, 0), include_pad=False)


def test_autoencoder_of_the_paper():
    """Table IV: 581.2K."""
    sizes = (784, 128, 64, 32, 64, 128, 784)
    found = counts.paper(network([(dense(*pair),) for pair in zip(sizes, sizes[1:])], (784,)))
    assert (found.synops, found.neuronops, found.p_proxy) == (221_184, 360_000, 581_184)


def test_vgg9_of_the_paper():
    """Table II: 117M, for 64-64-P-128-128-P-256-256-256-P-1024-10 on 32 x 32 x 3."""
    paths = [(conv(32, 3, 64),), (conv(32, 64, 64),), (pool(32, 64), conv(16, 64, 128)), (conv(16, 128, 128),),
             (pool(16, 128), conv(8, 128, 256)), (conv(8, 256, 256),), (conv(8, 256, 256),),
             (pool(8, 256), dense(4 * 4 * 256, 1024)), (dense(1024, 10),)]
    net = network(paths, (32, 32, 3))
    found = counts.paper(net)
    assert (found.synops, found.neuronops, found.p_proxy) == (5_938_880, 111_057_300, 116_996_180)
    assert net.windows == 9


@pytest.fixture
def small():
    """3 inputs -> 2 neurons -> 1 potential, and a 3 x 3 convolution by its borders."""
    return network([(dense(3, 2),), (dense(2, 1),)], (3,), steps=10)


def test_dense_by_hand(small):
    assert counts.synaptic(small) == counts.Operations(8, 3 * 2 * 10)  # 3 neurons over the input window and the hidden one
    active = {"l0": np.array([1.0, 0.5, 0.0]), "l1": np.array([0.25, 0.0]), "l2": np.array([0.0])}
    gated = counts.total([counts.gated_of_layer(small, layer, active) for layer in small.layers])
    assert gated == counts.Operations(1.5 * 2 + 0.25 * 1, 3 * 10)
    event = counts.total([counts.event_of_layer(small, layer) for layer in small.layers])
    assert event == counts.Operations(8, 30)


def test_padded_taps_cost_events_but_are_no_connections():
    net = network([(conv(3, 1, 2),), (dense(18, 1),)], (3, 3, 1), steps=5)
    inside = 4 * 4 + 4 * 6 + 9  # taps that lie inside: corners, edges, centre
    assert counts.layer_connections(net, net.layers[1]) == (2 * inside, 2 * (81 - inside))
    assert counts.event_of_layer(net, net.layers[1]).synops == 2 * 81
    assert counts.macs(net) == 2 * 81 + 18


def test_continuous_time_has_no_neuron_updates(small):
    continuous = small.model_copy(update={"steps": None})
    for found in (counts.paper(continuous), counts.synaptic(continuous)):
        assert found.neuronops is None and found.p_proxy is None and found.synops == 8


def test_spikes_per_neuron(small):
    assert counts.spikes_per_neuron(small) == 1.0
