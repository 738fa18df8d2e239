"""What is worked out once per batch size equals what takes any case."""

import weakref

import numpy as np
import pytest

from ttfs_convert.kernels._threads import CALLER
from ttfs_convert.kernels.threshold import time_step
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Input, Readout, Spiking
from ttfs_convert.network.synapses.connection import Connection
from ttfs_convert.network.synapses.convolution import Conv
from ttfs_convert.network.synapses.dense import Dense
from ttfs_convert.network.synapses.scale import Scale
from ttfs_convert.simulation.batch import Batch
from ttfs_convert.simulation.encoded_inputs import encoded
from ttfs_convert.simulation.integrator import Integrator
from ttfs_convert.simulation.plan import Layouts, Paths, plans
from ttfs_convert.simulation.prepared_layers import Encoder, Sums
from ttfs_convert.simulation.recording import decode


@pytest.mark.parametrize("steps", (None, 1, 50, 300))
@pytest.mark.parametrize("shape, channels_first", (((4, 5, 3), True), ((4, 5, 3), False), ((4, 5, 1), True), ((7,), False), ((7, 2), True)))
@pytest.mark.parametrize("same", (True, False))
def test_an_encoder_finds_every_value_and_its_range(shape, channels_first, same, steps):
    rng = np.random.default_rng(len(shape))
    lo = np.full(shape[-1], -1, np.float32) if same else rng.uniform(-2, 0, shape[-1]).astype(np.float32)
    hi = lo + 2 if same else rng.uniform(0.5, 3, shape[-1]).astype(np.float32)
    onnx_shape = (shape[-1], *shape[:-1]) if channels_first else shape
    layer = Input(name="x", shape=shape, window=0, tensor="x", channels_first=channels_first, lo=lo, hi=hi, onnx_name="x", onnx_shape=onnx_shape)
    values = lo + rng.random((3, *shape), np.float32) * (hi - lo)
    x = np.moveaxis(values, -1, 1) if channels_first else values
    batch = Batch({"x": steps}, None, 3, {"x": x})
    times = Encoder(layer, steps, 0.5, 3)(batch)
    activation = encoded(layer, x)
    tau = 1 - activation.astype(np.float64)
    expected = tau if steps is None else np.vectorize(lambda each: time_step(each, steps, 0.5))(tau)
    assert times.shape == (3, *shape)
    np.testing.assert_allclose(times, expected, rtol=0, atol=1e-7 if steps is None else 0)


def _network(connections, shape, bias, kind):
    """Two populations of spikes, `a` and `b`, and one layer that reads them."""
    inputs = [
        Input(
            name=name,
            shape=size,
            window=0,
            tensor=name,
            lo=np.zeros(size[-1], np.float32),
            hi=np.ones(size[-1], np.float32),
            onnx_name=name,
            onnx_shape=size,
        )
        for name, size in (("a", (6, 5, 4)), ("b", shape))
    ]
    sums = np.ones(shape[-1], np.float32)
    read_out = {"onnx_shape": (int(np.prod(shape)),), "index": np.arange(int(np.prod(shape)))}
    given = {"name": "l", "shape": shape, "window": 1, "tensor": "l", "connections": connections, "bias": bias, "weight_sums": sums}
    if kind == "readout":
        layers = (Readout(**given, **read_out),)
    else:
        spiking = Spiking(**given, slope="reference", low=0.0, high=1.0, lo=0 * sums, hi=sums)
        last = {**given, "name": "r", "tensor": "r", "window": 2, "connections": (Connection(source="l", path=()),), "bias": None}
        layers = (spiking, Readout(**last, **read_out))
    return Network(
        name="n",
        mode="unchecked",
        slope="reference",
        steps=50,
        rounding="nearest",
        pooling="synaptic",
        onnx_sha256="",
        ann_macs=1,
        layers=(*inputs, *layers),
        onnx=None,
        tail=None,
    )


CONV = Conv(
    in_shape=(6, 5, 4),
    out_shape=(6, 5, 7),
    kernel=(3, 3),
    strides=(1, 1),
    dilations=(1, 1),
    pads=(1, 1),
    pads_end=(1, 1),
    groups=1,
    weights=np.random.default_rng(0).normal(0, 0.3, (3, 3, 4, 7)).astype(np.float32),
)
DENSE = Dense(in_shape=(120,), out_shape=(7,), weights=np.random.default_rng(1).normal(0, 0.1, (120, 7)).astype(np.float32))
SCALE = Scale(in_shape=(6, 5, 7), out_shape=(6, 5, 7), weights=np.full(7, 0.5, np.float32))
STEPS, SHORTCUT = Connection(source="a", path=(CONV,)), Connection(source="b", path=())
CASES = {
    "one": ((STEPS,), (6, 5, 7)),
    "dense": ((Connection(source="a", path=(DENSE,)),), (7,)),
    "shortcut": ((STEPS, SHORTCUT), (6, 5, 7)),
    "shortcut first": ((SHORTCUT, STEPS), (6, 5, 7)),
    "two of weights": ((STEPS, STEPS), (6, 5, 7)),
    "two and a shortcut": ((SHORTCUT, STEPS, STEPS), (6, 5, 7)),
    "two shortcuts": ((SHORTCUT, SHORTCUT, STEPS), (6, 5, 7)),
    "scaled": ((Connection(source="b", path=(SCALE,)), STEPS, SHORTCUT), (6, 5, 7)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ("readout", "spiking"))
@pytest.mark.parametrize("wide_bias", (False, True))
def test_sums_are_the_potential(case, kind, wide_bias):
    connections, shape = CASES[case]
    rng = np.random.default_rng(3)
    network = _network(connections, shape, rng.normal(0.1, 0.1, shape if wide_bias else shape[-1:]).astype(np.float32), kind)
    layer, steps = network.layers[2], network.steps_per_layer()
    times = {name: rng.integers(0, 51, (2, *size)).astype(np.uint8) for name, size in (("a", (6, 5, 4)), ("b", shape))}
    batch = Batch(steps, Integrator(), 2, {}, times)
    with CALLER:
        found = Sums(plans(network)["l"], steps, batch.integrator, 2)(batch)
        expected = batch.potential(layer)
    if kind == "readout":
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    else:
        np.testing.assert_allclose(decode(found, 50), np.clip(expected, 0, 1), rtol=0, atol=0.0101)


def test_single_images_share_their_long_rows_of_weights():
    step = Dense(in_shape=(30,), out_shape=(400,), weights=np.ones((30, 400), np.float32))
    layouts = Layouts()
    packed, paths = layouts(step), Paths(layouts)
    assert paths.weights(step, 1, False) is paths.weights(step, 2, False) is not packed
    assert paths.weights(step, 64, False) is paths.weights(step, 1, True) is packed


def test_all_who_simulate_a_step_share_what_is_laid_out_of_it():
    step = Dense(in_shape=(30,), out_shape=(400,), weights=np.ones((30, 400), np.float32))
    first, second = Layouts(), Layouts()
    assert first(step) is second(step)
    assert first.long(step, 1) is second.long(step, 1)
    assert first(step.copied({})) is not second(step)


def test_what_is_laid_out_ends_with_those_who_use_it():
    step = Dense(in_shape=(30,), out_shape=(400,), weights=np.ones((30, 400), np.float32))
    layouts = Layouts()
    values = weakref.ref(layouts(step).values)
    assert values() is not None
    del layouts
    assert values() is None
