"""Counts of transposed convolutions against ONNX Runtime: every input neuron sends an impulse, and what it reaches is connected."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.models import Chain, converted, dataset, layer_errors_of
from tests.network.synapses.counts import per_neuron
from ttfs_convert.measurement import operation_counts
from ttfs_convert.network.synapses.fan_out import existing_connections, fan_out, virtual_connections
from ttfs_convert.network.synapses.spread import Spread
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.engines import simulate

QUICK = settings(derandomize=True, deadline=None, max_examples=30)


@st.composite
def layers(draw):
    """(input shape, weights' shape, attributes) of a transposed convolution."""
    axes = draw(st.integers(1, 2))

    def each(low, high, count=axes):
        return draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    group = draw(st.sampled_from((1, 2)))
    size, kernel, strides, dilations = each(2, 4), each(1, 3), each(1, 3), each(1, 2)
    reach = [dilation * (k - 1) for dilation, k in zip(dilations, kernel)]
    pads = [min(pad, r) for pad, r in zip(each(0, 2, 2 * axes), reach * 2)]
    extra = [min(more, stride - 1) for more, stride in zip(each(0, 2), strides)]
    cut = [sum(pads[axis::axes]) for axis in range(axes)]
    assume(all(stride * (n - 1) + r + 1 > c for stride, n, r, c in zip(strides, size, reach, cut)))
    attributes = {"strides": strides, "dilations": dilations, "pads": pads, "output_padding": extra, "group": group}
    return (2 * group, *size), (2 * group, draw(st.integers(1, 2)), *kernel), attributes


def chain_of(shape, weights, attributes, seed=0):
    """A network of one layer, whose weights are all above 0, and a readout; the name of the layer's tensor."""
    values = np.random.default_rng(seed).uniform(0.5, 1, weights).astype(np.float32)
    chain = Chain(shape).add("ConvTranspose", values, **attributes)
    hidden = chain.at
    return chain.add("Clip", np.float32(0), np.float32(9)).readout().model(), hidden


def impulses(shape):
    """One image per input neuron, channels last: (neurons, *shape)."""
    size = int(np.prod(shape))
    return np.ascontiguousarray(np.moveaxis(np.eye(size, dtype=np.float32).reshape(size, *shape[1:], shape[0]), -1, 1))


def connected(model, tensor, shape):
    """(input neurons, output neurons) bool, channels first on the right; whether a spike arrives."""
    return Reference(model, [tensor])(impulses(shape))[tensor].reshape(int(np.prod(shape)), -1) != 0


@QUICK
@given(layers())
def test_fan_out_and_connections_are_those_of_onnx_runtime(layer):
    shape, weights, attributes = layer
    model, hidden = chain_of(shape, weights, attributes)
    network = converted(model, mode="exact")
    (connection,) = network.layers[1].connections
    assert isinstance(connection.path[0], Spread)
    reached = connected(model, hidden, shape)
    expected = reached.sum(1).reshape(*shape[1:], shape[0])
    np.testing.assert_array_equal(expected.reshape(-1), per_neuron(fan_out(connection.path, network.layers[0].shape)).reshape(-1))
    assert existing_connections(connection, network.layers[0].shape) == reached.sum()
    assert virtual_connections(connection) == 0
    assert operation_counts.layer_connections(network.layers, network.layers[1]) == (reached.sum(), 0)


@QUICK
@given(layers())
def test_the_spiking_layers_do_all_multiply_accumulates(layer):
    shape, weights, attributes = layer
    model, _ = chain_of(shape, weights, attributes)
    network = converted(model, mode="exact")
    by_hand = int(np.prod(shape)) * int(np.prod(weights[1:]))
    assert operation_counts.layer_macs(network.layers[1]) == by_hand
    assert network.ann_macs == sum(map(operation_counts.layer_macs, network.layers)) and operation_counts.spiking_mac_share(network) == 1.0


def decoder(average=False):
    """A U-Net in small: down, up by a transposed convolution, beside a skip; another one as the readout."""
    chain = Chain((2, 4, 6)).conv(3, pads=[1] * 4, total=0.0).add("Relu")
    skip = chain.at
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    chain.add("AveragePool" if average else "MaxPool", **pool).batch_norm(-1).conv(4, (1, 1), total=0.0).add("Relu")
    chain.add("ConvTranspose", chain.rng.normal(0, 0.5, (4, 3, 3, 3)).astype(np.float32), strides=[2, 2], pads=[1] * 4, output_padding=[1, 1]).add(
        "Relu"
    )
    chain.add("Concat", skip, axis=1)
    return chain.add("ConvTranspose", chain.rng.normal(0, 0.5, (6, 2, 2, 3)).astype(np.float32), dilations=[1, 2])


@pytest.mark.parametrize("slope", ("gated", "reference"))
@pytest.mark.parametrize("average", (False, True))
def test_events_equal_an_enumeration(slope, average):
    """Of the layer that a transposed convolution feeds, and of the readout, whose inputs wait in delay lines."""
    chain = decoder(average)
    model, x = chain.model(), chain.images(5)
    network = converted(model, mode="exact", slope=slope, calibrate=dataset(x), steps=20)
    recording, shares = simulate(network, x), layer_errors_of(network, model, x).active_shares()
    shapes = {layer.name: layer.shape for layer in network.layers}
    checked = 0
    for layer in network.layers:
        if not any(isinstance(step, Spread) for connection in getattr(layer, "connections", ()) for step in connection.path):
            continue
        (connection,) = layer.connections
        source = connection.source
        sends = ~recording.silent(source)
        reach = fan_out_of(connection.path, shapes[source])
        transmitted = (sends.sum(-1) * reach).sum() / len(x)
        existing = int(reach.sum()) * shapes[source][-1]
        assert operation_counts.layer_connections(network.layers, layer) == (existing, 0)
        assert operation_counts.gated_of_layer(network, layer, shares).synops == pytest.approx(transmitted)
        ramps = slope == "reference" and layer.kind == "spiking"
        everyone = existing + (int(np.prod(layer.shape)) if ramps else 0)
        assert operation_counts.event_of_layer(network, layer, shares).synops == pytest.approx(transmitted if slope == "gated" else everyone)
        assert 0 < transmitted < existing
        checked += 1
    assert checked == 2 and operation_counts.spiking_mac_share(network) == 1.0


def fan_out_of(path, shape):
    """(*spatial,) outputs that each position of one channel reaches, tap by tap."""
    spread, conv = path[0], path[1]
    found = np.zeros(shape[:-1], int)
    for at in np.ndindex(*shape[:-1]):
        for tap in np.ndindex(*conv.kernel):
            out = [p * stride + pad - k * dilation for p, stride, pad, k, dilation in zip(at, spread.strides, conv.pads, tap, conv.dilations)]
            found[at] += all(0 <= o < size for o, size in zip(out, conv.out_shape))
    return found * (conv.out_shape[-1] // conv.groups)


def test_a_pool_in_front_counts_each_connection_once():
    """Overlapping windows lead to one output by several paths."""
    chain = Chain((2, 6)).add("AveragePool", kernel_shape=[3]).add("ConvTranspose", np.ones((2, 3, 2), np.float32), strides=[2])
    hidden = chain.at
    model = chain.add("Clip", np.float32(0), np.float32(9)).readout().model()
    network = converted(model, mode="exact")
    (connection,) = network.layers[1].connections
    assert [step.kind for step in connection.path][:2] == ["average_pool", "spread"]
    reached = connected(model, hidden, (2, 6))  # both channels of each position, one after the other
    np.testing.assert_array_equal(per_neuron(fan_out(connection.path, (6, 2))).reshape(-1), reached.sum(1))
    assert existing_connections(connection, (6, 2)) == reached.sum()


def test_by_hand():
    """3 positions, kernel 3, stride 2: 7 outputs, of which the 3rd and the 5th hear two inputs."""
    model, _ = chain_of((1, 3), (1, 1, 3), {"strides": [2]})
    network = converted(model, mode="exact")
    layer = network.layers[1]
    assert layer.shape == (7, 1) and per_neuron(fan_out(layer.connections[0].path, (3, 1)))[:, 0].tolist() == [3, 3, 3]
    assert operation_counts.layer_connections(network.layers, layer) == (9, 0) and operation_counts.layer_macs(layer) == 9
    cropped, _ = chain_of((1, 3), (1, 1, 3), {"strides": [2], "pads": [1, 1]})
    layer = converted(cropped, mode="exact").layers[1]
    assert layer.shape == (5, 1) and per_neuron(fan_out(layer.connections[0].path, (3, 1)))[:, 0].tolist() == [2, 3, 2]
    assert operation_counts.layer_macs(layer) == 9  # by its inputs, cut off outputs included


def test_virtual_connections_of_a_convolution_behind_it_are_its_own():
    chain = Chain((2, 3, 3)).add("ConvTranspose", np.ones((2, 2, 2, 2), np.float32), strides=[2, 2])
    chain.add("Clip", np.float32(0), np.float32(9)).conv(3, pads=[1] * 4).add("Clip", np.float32(0), np.float32(9)).readout()
    network = converted(chain.model(), mode="exact")
    assert [operation_counts.layer_connections(network.layers, layer)[1] for layer in network.layers] == [0, 0, 2 * 3 * (9 * 36 - 16**2), 0]
