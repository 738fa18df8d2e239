"""A network that contradicts itself is refused, because the kernels trust its shapes."""

import copy

import numpy as np
import pytest
from pydantic import ValidationError

from ttfs_convert.ir import Network


def content():
    """Input (4, 4, 1) -> conv (4, 4, 2) -> max-pool (2, 2, 2) -> reorder (8,) -> dense readout (3,)."""
    def sliding(in_shape, out_shape, kernel, strides, pads):
        return dict(in_shape=in_shape, out_shape=out_shape, kernel=kernel, strides=strides, dilations=(1, 1), pads=pads, pads_end=pads)

    conv = dict(kind="conv", **sliding((4, 4, 1), (4, 4, 2), (3, 3), (1, 1), (1, 1)), groups=1, weights=np.zeros((3, 3, 1, 2), np.float32))
    dense = dict(kind="dense", in_shape=(8,), out_shape=(3,), weights=np.zeros((8, 3), np.float32))
    return dict(name="n", mode="strict", steps=50, rounding="nearest", pooling="synaptic", onnx_sha256="", ann_macs=0, onnx=None, tail=None,
                layers=[
                    dict(kind="input", name="x", shape=(4, 4, 1), window=0, tensor=None, onnx_name="x", onnx_shape=(1, 4, 4)),
                    dict(kind="spiking", name="c", shape=(4, 4, 2), window=1, tensor="t", connections=[dict(source="x", path=[conv])],
                         bias=None, slope="fan_in", slopes=np.ones(2, np.float32)),
                    dict(kind="max_pool", name="p", shape=(2, 2, 2), window=1, tensor=None, source="c",
                         **sliding((4, 4, 2), (2, 2, 2), (2, 2), (2, 2), (0, 0))),
                    dict(kind="reorder", name="r", shape=(8,), window=1, tensor=None, source="p", index=np.arange(8)[::-1].copy()),
                    dict(kind="readout", name="o", shape=(3,), window=2, tensor="y", connections=[dict(source="r", path=[dense])],
                         bias=np.zeros(3, np.float32), slopes=np.ones(3, np.float32), onnx_shape=(3,), index=np.arange(3))])


def test_the_network_itself_is_accepted():
    assert Network.model_validate(content()).windows == 2


def conv(network):
    return network["layers"][1]["connections"][0]["path"][0]


CHANGES = {
    "kernel larger than the weights": (lambda n: conv(n).update(kernel=(9, 9), pads=(4, 4), pads_end=(4, 4)), "weights of shape"),
    "outputs that do not fit": (lambda n: conv(n).update(strides=(3, 3)), "outputs do not fit"),
    "negative padding": (lambda n: conv(n).update(pads=(-5, 0)), "greater than or equal to 0"),
    "stride 0": (lambda n: conv(n).update(strides=(0, 1)), "greater than or equal to 1"),
    "axes that differ": (lambda n: conv(n).update(dilations=(1,)), "axes differ in number"),
    "groups": (lambda n: conv(n).update(groups=3), "3 groups of 1 to 2 channels"),
    "float64 weights": (lambda n: conv(n).update(weights=np.zeros((3, 3, 1, 2))), "expected an array of float32"),
    "weights that are not finite": (lambda n: conv(n)["weights"].fill(np.nan), "not finite"),
    "slopes": (lambda n: n["layers"][1].update(slopes=np.ones(3, np.float32)), "slopes or bias of another shape"),
    "bias": (lambda n: n["layers"][4].update(bias=np.zeros(1, np.float32)), "slopes or bias of another shape"),
    "window": (lambda n: n["layers"][1].update(window=4), "window 4 instead of 1"),
    "connection": (lambda n: n["layers"][4]["connections"][0].update(source="c"), "a connection from 'c'"),
    "no connections": (lambda n: n["layers"][1].update(connections=[]), "has no connections"),
    "pool": (lambda n: n["layers"][2].update(source="x", window=0), "a pool that does not fit its source"),
    "reorder index": (lambda n: n["layers"][3].update(index=np.arange(8) + 1), "a broken index"),
    "readout index": (lambda n: n["layers"][4].update(index=np.array([0, 1, 3])), "a broken index"),
    "input shape": (lambda n: n["layers"][0].update(onnx_shape=(1, 5, 4)), "16 encoders"),
    "unknown source": (lambda n: n["layers"][2].update(source="z"), "uses unknown ['z']"),
    "two of a name": (lambda n: n["layers"][2].update(name="c"), "appears twice"),
    "no readout": (lambda n: n["layers"].pop(), "the last the readout"),
    "steps": (lambda n: n.update(steps=70_000), "less than or equal to 65535"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_contradictions_are_refused(change):
    alter, text = CHANGES[change]
    network = copy.deepcopy(content())
    alter(network)
    with pytest.raises(ValidationError) as caught:
        Network.model_validate(network)
    assert text in str(caught.value)
