"""The four counts: the paper's own figures, small networks counted by hand, and converted ones counted connection by connection."""

import numpy as np
import pytest

from tests.models import Chain, converted, dataset, layer_errors_of
from tests.naive_network import connection_weights
from ttfs_convert.measurement import operation_counts
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Input, Readout, Spiking, trained_steps
from ttfs_convert.network.synapses.average_pool import AveragePool
from ttfs_convert.network.synapses.connection import Connection
from ttfs_convert.network.synapses.convolution import Conv
from ttfs_convert.network.synapses.dense import Dense
from ttfs_convert.simulation.engines import simulate


def unity(weights):
    """Weights (..., inputs, outputs) shifted so that each neuron's sum to 1."""
    axes = tuple(range(weights.ndim - 1))
    return (weights - (weights.sum(axes) - 1) / np.prod(weights.shape[:-1])).astype(np.float32)


def unit_range(shape):
    return {"lo": np.zeros(shape[-1], np.float32), "hi": np.ones(shape[-1], np.float32)}


def network(paths, in_shape, steps=50, slope="fan_in", coding="spikes"):
    """A chain: one layer for each path of synapses, the last one the readout. A layer on direct input has slope gated."""
    analog = coding == "direct"
    layers = [
        Input(name="l0", shape=in_shape, window=-analog, tensor=None, onnx_name="x", onnx_shape=in_shape, coding=coding, **unit_range(in_shape))
    ]
    for position, path in enumerate(paths, 1):
        shape = path[-1].out_shape
        common = dict(
            name=f"l{position}",
            shape=shape,
            window=position - analog,
            tensor=None if position < len(paths) else "y",
            bias=None,
            weight_sums=np.ones(shape[-1], np.float32),
            connections=(Connection(source=f"l{position - 1}", path=path),),
        )
        if position < len(paths):
            gated = analog and position == 1
            layers.append(Spiking(**common, slope="gated" if gated else slope, low=0.0, high=1.0, **unit_range(shape)))
        else:
            layers.append(Readout(**common, onnx_shape=shape, index=np.arange(np.prod(shape))))
    return Network(
        name="n",
        mode="exact",
        slope=slope,
        steps=steps,
        rounding="nearest",
        pooling="synaptic",
        onnx_sha256="",
        ann_macs=0,
        layers=tuple(layers),
        onnx=None,
        tail=None,
    )


def dense(inputs, outputs):
    weights = np.random.default_rng(inputs + outputs).standard_normal((inputs, outputs))
    return Dense(in_shape=(inputs,), out_shape=(outputs,), weights=unity(weights))


def conv(size, channels, outputs):
    weights = np.random.default_rng(channels + outputs).standard_normal((3, 3, channels, outputs))
    return Conv(
        in_shape=(size, size, channels),
        out_shape=(size, size, outputs),
        kernel=(3, 3),
        strides=(1, 1),
        dilations=(1, 1),
        pads=(1, 1),
        pads_end=(1, 1),
        groups=1,
        weights=unity(weights),
    )


def pool(size, channels):
    return AveragePool(
        in_shape=(size, size, channels),
        out_shape=(size // 2, size // 2, channels),
        kernel=(2, 2),
        strides=(2, 2),
        dilations=(1, 1),
        pads=(0, 0),
        pads_end=(0, 0),
        include_pad=False,
    )


def always(net):
    return {layer.name: np.ones(layer.shape) for layer in net.layers}


def event(net, active):
    return operation_counts.total([operation_counts.event_of_layer(net, layer, active) for layer in net.layers])


def gated(net, active):
    return operation_counts.total([operation_counts.gated_of_layer(net, layer, active) for layer in net.layers])


def test_autoencoder_of_the_paper():
    """Table IV: 581.2K."""
    sizes = (784, 128, 64, 32, 64, 128, 784)
    found = operation_counts.paper(network([(dense(*pair),) for pair in zip(sizes, sizes[1:])], (784,)))
    assert (found.synops, found.neuronops, found.p_proxy) == (221_184, 360_000, 581_184)


def test_vgg9_of_the_paper():
    """Table II: 117M, for 64-64-P-128-128-P-256-256-256-P-1024-10 on 32 x 32 x 3."""
    paths = [
        (conv(32, 3, 64),),
        (conv(32, 64, 64),),
        (pool(32, 64), conv(16, 64, 128)),
        (conv(16, 128, 128),),
        (pool(16, 128), conv(8, 128, 256)),
        (conv(8, 256, 256),),
        (conv(8, 256, 256),),
        (pool(8, 256), dense(4 * 4 * 256, 1024)),
        (dense(1024, 10),),
    ]
    net = network(paths, (32, 32, 3))
    found = operation_counts.paper(net)
    assert (found.synops, found.neuronops, found.p_proxy) == (5_938_880, 111_057_300, 116_996_180)
    assert net.windows == 9


def small(slope="fan_in", **options):
    """3 inputs -> 2 neurons -> 1 potential, in windows of 10 steps."""
    return network([(dense(3, 2),), (dense(2, 1),)], (3,), **{"steps": 10, **options}, slope=slope)


ACTIVE = {"l0": np.array([1.0, 0.5, 0.0]), "l1": np.array([0.25, 0.0]), "l2": np.array([0.0])}
SPARSE = 1.5 * 2 + 0.25 * 1


def test_dense_by_hand():
    assert operation_counts.synaptic(small()) == operation_counts.Operations(8, 3 * 2 * 10)  # 3 neurons over the input window and the hidden one
    assert gated(small(), ACTIVE) == operation_counts.Operations(SPARSE, 3 * 10)


@pytest.mark.parametrize("slope, synops", (("fan_in", 8), ("reference", 8 + 2), ("gated", SPARSE)))
def test_event_counts_what_the_slope_transmits(slope, synops):
    """`reference`: one more spike, into each of the two spiking neurons; the readout has no ramp."""
    net = small(slope)
    assert event(net, ACTIVE) == operation_counts.Operations(synops, 30)
    assert gated(net, ACTIVE) == operation_counts.Operations(SPARSE, 30)
    assert operation_counts.synaptic(net).synops == 8


def test_analog_input_counts_once_per_connection():
    """Whatever its values; the layer that reads it is gated, and there is no window for the input."""
    active = {**ACTIVE, "l0": np.ones(3)}
    for slope, synops in (("reference", 6 + 2), ("gated", 6 + 0.25)):
        net = small(slope, coding="direct")
        assert event(net, active).synops == synops and operation_counts.synaptic(net) == operation_counts.Operations(8, 3 * 1 * 10)
    x = Chain((6,)).images(4)
    for model in (Chain((6,)).gemm(5).add("Relu").readout().model(),):
        net = converted(model, mode="exact", slope="reference", calibrate=dataset(x), input_range=None)
        shares = layer_errors_of(net, model, x).active_shares()
        assert (shares["x"] == 1).all()
        assert operation_counts.event_of_layer(net, net.layers[1], shares).synops == 6 * 5
        assert operation_counts.event_of_layer(net, net.layers[2], shares).synops == 5 * 4


def test_padded_taps_cost_events_but_are_no_connections():
    inside = 4 * 4 + 4 * 6 + 9  # taps that lie inside: corners, edges, centre
    for slope, synops in (("fan_in", 2 * 81), ("reference", 2 * 81 + 2 * 9), ("gated", 2 * inside)):
        net = network([(conv(3, 1, 2),), (dense(18, 1),)], (3, 3, 1), steps=5, slope=slope)
        assert operation_counts.layer_connections(net.layers, net.layers[1]) == (2 * inside, 2 * (81 - inside))
        assert operation_counts.event_of_layer(net, net.layers[1], always(net)).synops == synops
        assert sum(map(operation_counts.layer_macs, net.layers)) == 2 * 81 + 18


def test_continuous_time_has_no_neuron_updates():
    continuous = small(steps=None)
    for found in (operation_counts.paper(continuous), operation_counts.synaptic(continuous), event(continuous, ACTIVE), gated(continuous, ACTIVE)):
        assert found.neuronops is None and found.p_proxy is None
    assert operation_counts.paper(continuous).synops == operation_counts.synaptic(continuous).synops == 8


@pytest.mark.parametrize("slope, expected", (("fan_in", 1), ("reference", 1), ("gated", 0.125)))
def test_spikes_per_neuron(slope, expected):
    assert operation_counts.spikes_per_neuron(small(slope), ACTIVE) == expected


def test_spikes_per_neuron_leaves_pools_out():
    paths = [(conv(4, 1, 2),), (pool(4, 2),), (dense(8, 3),), (dense(3, 1),)]
    net = network(paths, (4, 4, 1), slope="gated")
    active = {**always(net), "l1": np.full((4, 4, 2), 0.5), "l2": np.full((2, 2, 2), 0.125), "l3": np.array([1.0, 0, 0])}
    assert operation_counts.spikes_per_neuron(net, active) == (16 + 1) / (32 + 3)


# Converted networks, connection by connection


def everything():
    """Concat, Reorder, max-pools, scales, a synaptic pool, and a residual sum."""
    chain = Chain((2, 6, 6)).conv(3, pads=[1] * 4).add("Relu").batch_norm(1, -1)
    early = chain.at
    chain.conv(3, pads=[1] * 4, groups=3).add("Add", early).add("Relu").add("Concat", early, axis=1)
    chain.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).conv(3, (1, 1)).add("Relu").add("Transpose", perm=[0, 1, 3, 2])
    chain.add("AveragePool", kernel_shape=[2, 2], pads=[1, 0, 0, 0], count_include_pad=1)
    return chain.conv(4, (2, 2), pads=[1, 1, 0, 0], strides=[2, 1]).add("Relu").readout()


@pytest.mark.parametrize("slope", ("gated", "reference"))
@pytest.mark.parametrize("input_range", ((0, 1), None))
def test_every_count_equals_an_enumeration(slope, input_range):
    chain = everything()
    x, model = chain.images(5), chain.model()
    net = converted(model, mode="exact", slope=slope, calibrate=dataset(x), input_range=input_range, steps=20)
    assert {"concat", "reorder", "max_pool"} < {layer.kind for layer in net.layers}
    recording, shares = simulate(net, x), layer_errors_of(net, model, x).active_shares()
    sends = {
        layer.name: np.ones((5, *layer.shape), bool) if layer.name not in recording.spike_times else ~recording.silent(layer.name)
        for layer in net.layers[:-1]
    }
    for layer in net.layers:
        if layer.kind not in ("spiking", "readout"):
            assert operation_counts.gated_of_layer(net, layer, shares).synops == operation_counts.layer_connections(net.layers, layer)[0] == 0
            continue
        existing = virtual = transmitted = 0
        for connection in layer.connections:
            real, padded = connection_weights(connection, layer)
            existing, virtual = existing + np.count_nonzero(real), virtual + np.count_nonzero(padded)
            transmitted += (sends[connection.source].reshape(5, -1).astype(int) @ (real != 0).T).sum() / 5
        assert operation_counts.layer_connections(net.layers, layer) == (existing, virtual)
        assert operation_counts.gated_of_layer(net, layer, shares).synops == pytest.approx(transmitted)
        everyone = existing + virtual + (int(np.prod(layer.shape)) if layer.kind == "spiking" else 0)
        is_gated = slope == "gated" or (input_range is None and layer.name == net.layers[1].name)
        assert operation_counts.event_of_layer(net, layer, shares).synops == pytest.approx(transmitted if is_gated else everyone)
        assert 0 < transmitted < existing or (layer.connections[0].source == "x" and input_range is None)


def test_gated_networks_send_less_than_a_spike_per_neuron():
    chain = everything()
    x, model = chain.images(5), chain.model()
    found = {}
    for slope in ("gated", "reference"):
        net = converted(model, mode="exact", slope=slope, calibrate=dataset(x), steps=20)
        found[slope] = operation_counts.spikes_per_neuron(net, layer_errors_of(net, model, x).active_shares())
    weighted = [layer for layer in net.layers if trained_steps(layer) and layer.kind == "spiking"]
    recording = simulate(net, x)
    sent = sum((~recording.silent(layer.name)).sum() for layer in weighted) / 5
    assert found["gated"] == pytest.approx(sent / sum(np.prod(layer.shape) for layer in weighted))
    assert found["gated"] < 0.9 and found["reference"] == 1
