"""A network that contradicts itself is refused, because the kernels trust its shapes."""

import copy

import numpy as np
import pytest
from pydantic import ValidationError

from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import label
from ttfs_convert.network.synapses.sparse import Sparse


def sliding(in_shape, out_shape, kernel, strides, pads):
    return dict(in_shape=in_shape, out_shape=out_shape, kernel=kernel, strides=strides, dilations=(1, 1), pads=pads, pads_end=pads)


def unit_range(channels):
    return dict(lo=np.zeros(channels, np.float32), hi=np.ones(channels, np.float32))


def neurons(shape, **fields):
    """Fields of a spiking layer."""
    return dict(
        kind="spiking",
        shape=shape,
        tensor=None,
        bias=None,
        slope="gated",
        weight_sums=np.ones(shape[-1], np.float32),
        low=None,
        high=None,
        **unit_range(shape[-1]),
        **fields,
    )


def content():
    """Input (4, 4, 1) -> conv (4, 4, 2) -> max-pool (2, 2, 2) -> scale; both -> concat (2, 2, 4) -> reorder -> dense (3,)."""
    conv = dict(kind="conv", **sliding((4, 4, 1), (4, 4, 2), (3, 3), (1, 1), (1, 1)), groups=1, weights=np.zeros((3, 3, 1, 2), np.float32))
    scale = dict(kind="scale", in_shape=(2, 2, 2), out_shape=(2, 2, 2), weights=np.ones(2, np.float32))
    dense = dict(kind="dense", in_shape=(16,), out_shape=(3,), weights=np.zeros((16, 3), np.float32))
    return dict(
        name="n",
        mode="exact",
        slope="gated",
        steps=50,
        rounding="nearest",
        pooling="synaptic",
        onnx_sha256="",
        ann_macs=0,
        onnx=None,
        tail=None,
        calibration=dict(data="d", sha256="", samples=3, method="maximum", margin=0.1),
        layers=[
            dict(kind="input", name="x", shape=(4, 4, 1), window=0, tensor=None, onnx_name="x", onnx_shape=(1, 4, 4), **unit_range(1)),
            neurons((4, 4, 2), name="c", window=1, connections=[dict(source="x", path=[conv])]),
            dict(
                kind="max_pool",
                name="p",
                shape=(2, 2, 2),
                window=1,
                tensor=None,
                source="c",
                **unit_range(2),
                **sliding((4, 4, 2), (2, 2, 2), (2, 2), (2, 2), (0, 0)),
            ),
            neurons((2, 2, 2), name="s", window=2, connections=[dict(source="p", path=[scale])]),
            dict(kind="concat", name="k", shape=(2, 2, 4), window=2, tensor=None, joined=["p", "s"]),
            dict(kind="reorder", name="r", shape=(16,), window=2, tensor=None, source="k", index=np.arange(16)[::-1].copy()),
            dict(
                kind="readout",
                name="o",
                shape=(3,),
                window=3,
                tensor="y",
                connections=[dict(source="r", path=[dense])],
                bias=np.zeros(3, np.float32),
                weight_sums=np.ones(3, np.float32),
                onnx_shape=(3,),
                index=np.arange(3),
            ),
        ],
    )


def test_the_network_itself_is_accepted():
    network = Network.model_validate(content())
    assert network.windows == 3 and network.latency_steps == 150
    assert [label(layer) for layer in network.layers] == ["input", "conv", "max_pool", "identity", "concat", "reorder", "dense"]


def direct():
    """Input (4, 4, 1) without spikes -> conv (4, 4, 2) -> dense (3,)."""
    network = content()
    first, conv, *_, readout = network["layers"]
    dense = dict(kind="dense", in_shape=(32,), out_shape=(3,), weights=np.zeros((32, 3), np.float32))
    first.update(coding="direct", window=-1)
    conv.update(window=0)
    readout.update(window=1, connections=[dict(source="c", path=[dense])])
    network.update(layers=[first, conv, readout])
    return network


def test_direct_input_takes_no_window():
    network = Network.model_validate(direct())
    assert network.windows == 1 and network.inputs[0].bounds is None
    assert Network.model_validate(content()).inputs[0].bounds == (0, 1)


@pytest.mark.parametrize("bias", (None, np.zeros(2, np.float32), np.zeros((4, 4, 2), np.float32)))
@pytest.mark.parametrize("sums", (np.zeros(2, np.float32), np.zeros((4, 4, 2), np.float32)))
def test_biases_and_weight_sums_are_per_channel_or_whole(sums, bias):
    network = content()
    network["layers"][1].update(bias=bias, weight_sums=sums)
    Network.model_validate(network)


def test_a_max_pool_may_see_a_channel_that_never_changes_but_neurons_may_not_fire_for_it():
    network = content()
    network["layers"][2].update(hi=np.zeros(2, np.float32))
    Network.model_validate(network)
    network["layers"][1].update(hi=np.zeros(2, np.float32))
    with pytest.raises(ValidationError, match="layer 'c': a range that is empty"):
        Network.model_validate(network)


def conv(network):
    return network["layers"][1]["connections"][0]["path"][0]


def scale(network):
    return network["layers"][3]["connections"][0]["path"][0]


BAD_RANGE = "a range that is empty or of another shape"
CHANGES = {
    "kernel larger than the weights": (lambda n: conv(n).update(kernel=(9, 9), pads=(4, 4), pads_end=(4, 4)), "weights of shape"),
    "outputs that do not fit": (lambda n: conv(n).update(strides=(3, 3)), "outputs do not fit"),
    "negative padding": (lambda n: conv(n).update(pads=(-5, 0)), "greater than or equal to 0"),
    "stride 0": (lambda n: conv(n).update(strides=(0, 1)), "greater than or equal to 1"),
    "axes that differ": (lambda n: conv(n).update(dilations=(1,)), "axes differ in number"),
    "groups": (lambda n: conv(n).update(groups=3), "3 groups of 1 to 2 channels"),
    "float64 weights": (lambda n: conv(n).update(weights=np.zeros((3, 3, 1, 2))), "expected an array of float32"),
    "weights that are not finite": (lambda n: conv(n)["weights"].fill(np.nan), "not finite"),
    "scale of another shape": (lambda n: scale(n).update(out_shape=(2, 4)), "a scale that changes the shape"),
    "scale by position alone": (lambda n: scale(n).update(weights=np.ones((2, 2), np.float32)), "weights of shape (2, 2)"),
    "scale of too many": (lambda n: scale(n).update(weights=np.ones(4, np.float32)), "weights of shape (4,)"),
    "weight sums": (lambda n: n["layers"][1].update(weight_sums=np.ones(3, np.float32)), "weight sums or bias of another shape"),
    "weight sums by position": (lambda n: n["layers"][1].update(weight_sums=np.ones((4, 4), np.float32)), "weight sums or bias"),
    "bias": (lambda n: n["layers"][6].update(bias=np.zeros(1, np.float32)), "weight sums or bias of another shape"),
    "slope": (lambda n: n["layers"][1].update(slope="steep"), "'fan_in', 'reference' or 'gated'"),
    "range of another shape": (lambda n: n["layers"][1].update(hi=np.ones(3, np.float32)), BAD_RANGE),
    "range by position": (lambda n: n["layers"][1].update(lo=np.zeros((4, 4, 2), np.float32)), BAD_RANGE),
    "range upside down": (lambda n: n["layers"][1].update(lo=np.array([0, 2], np.float32)), BAD_RANGE),
    "range of the input": (lambda n: n["layers"][0].update(lo=np.ones(2, np.float32)), BAD_RANGE),
    "range of a pool upside down": (lambda n: n["layers"][2].update(hi=np.full(2, -1, np.float32)), "a range that is empty"),
    "range that is not finite": (lambda n: n["layers"][1].update(hi=np.array([1, np.inf], np.float32)), "not finite"),
    "range in float64": (lambda n: n["layers"][1].update(lo=np.zeros(2)), "expected an array of float32"),
    "range left out": (lambda n: n["layers"][1].pop("lo"), "Field required"),
    "window": (lambda n: n["layers"][1].update(window=4), "window 4 instead of 1"),
    "window of a concat": (lambda n: n["layers"][4].update(window=1), "window 1 instead of 2"),
    "window below a direct input's": (lambda n: n["layers"][0].update(window=-2), "greater than or equal to -1"),
    "direct input with a window": (lambda n: n["layers"][0].update(coding="direct"), "window 0 instead of -1"),
    "input without a window": (lambda n: n["layers"][0].update(window=-1), "window -1 instead of 0"),
    "connection": (lambda n: n["layers"][6]["connections"][0].update(source="s"), "a connection from 's'"),
    "scale of another size than its source": (lambda n: n["layers"][3]["connections"][0].update(source="c"), "a connection from 'c'"),
    "no connections": (lambda n: n["layers"][1].update(connections=[]), "has no connections"),
    "pool": (lambda n: n["layers"][2].update(source="x", window=0), "a pool that does not fit its source"),
    "concat of too few": (lambda n: n["layers"][4].update(joined=["s"]), "parts that do not fit"),
    "concat of too many": (lambda n: n["layers"][4].update(joined=["p", "s", "s"]), "parts that do not fit"),
    "concat of nothing": (lambda n: n["layers"][4].update(joined=[]), "layer 'k'"),
    "concat of what comes later": (lambda n: n["layers"][4].update(joined=["p", "o"]), "uses unknown ['o']"),
    "reorder index": (lambda n: n["layers"][5].update(index=np.arange(16) + 1), "a broken index"),
    "negative reorder index": (lambda n: n["layers"][5].update(index=np.arange(16) - 1), "a broken index"),
    "readout index": (lambda n: n["layers"][6].update(index=np.array([0, 1, 3])), "a broken index"),
    "input shape": (lambda n: n["layers"][0].update(onnx_shape=(1, 5, 4)), "16 encoders"),
    "unknown source": (lambda n: n["layers"][2].update(source="z"), "uses unknown ['z']"),
    "two of a name": (lambda n: n["layers"][2].update(name="c"), "appears twice"),
    "no readout": (lambda n: n["layers"].pop(), "an input and a readout"),
    "steps": (lambda n: n.update(steps=70_000), "less than or equal to 65535"),
    "calibrated on nothing": (lambda n: n["calibration"].update(samples=0), "greater than or equal to 1"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_contradictions_are_refused(change):
    alter, text = CHANGES[change]
    network = copy.deepcopy(content())
    alter(network)
    with pytest.raises(ValidationError) as caught:
        Network.model_validate(network)
    assert text in str(caught.value)


def test_parts_of_a_concat_have_whole_channels():
    """5 + 3 neurons at 2 positions."""
    network = content()
    split = [
        neurons(
            (size,),
            name=f"s{size}",
            window=2,
            connections=[dict(source="p", path=[dict(kind="dense", in_shape=(8,), out_shape=(size,), weights=np.zeros((8, size), np.float32))])],
        )
        for size in (5, 3)
    ]
    network["layers"][3:4] = split
    network["layers"][5].update(shape=(2, 8), joined=["s5", "s3", "s5", "s3"])
    with pytest.raises(ValidationError, match="layer 'k': parts that do not fit"):
        Network.model_validate(network)
    network["layers"][5].update(shape=(16,))
    Network.model_validate(network)


@pytest.mark.parametrize("wiring", ("max_pool", "concat", "reorder"))
def test_wiring_needs_spikes(wiring):
    network = direct()
    layer = {
        "max_pool": dict(kind="max_pool", shape=(4, 4, 1), source="x", **unit_range(1), **sliding((4, 4, 1), (4, 4, 1), (1, 1), (1, 1), (0, 0))),
        "concat": dict(kind="concat", shape=(4, 4, 2), joined=["x", "x"]),
        "reorder": dict(kind="reorder", shape=(16,), source="x", index=np.arange(16)),
    }[wiring]
    network["layers"].insert(1, dict(name="w", window=-1, tensor=None, **layer))
    with pytest.raises(ValidationError, match="layer 'w': wiring behind a direct input"):
        Network.model_validate(network)


def sparse(**changes):
    """Two rows of three positions of four channels."""
    return dict(
        dict(
            kind="sparse",
            in_shape=(3, 4),
            out_shape=(2, 4),
            indptr=np.array([0, 1, 3]),
            indices=np.array([2, 0, 1]),
            weights=np.array([1, 0.5, 0.5], np.float32),
        ),
        **changes,
    )


@pytest.mark.parametrize(
    "problem, changes",
    (
        ("indices outside", dict(indices=np.array([3, 0, 1]))),
        ("indices outside", dict(indices=np.array([-1, 0, 1]))),
        ("twice in one row", dict(indices=np.array([2, 1, 1]))),
        ("do not begin where", dict(indptr=np.array([0, 2, 1]))),
        ("do not begin where", dict(indptr=np.array([1, 1, 3]))),
        ("do not begin where", dict(indptr=np.array([0, 1, 2]))),
        ("do not begin where", dict(indptr=np.array([0, 3]))),
        ("do not begin where", dict(indptr=np.array([0, 4, 3]))),
        ("do not begin where", dict(indptr=np.array([[0, 1, 3]]))),
        ("indices for weights", dict(weights=np.ones(2, np.float32))),
        ("indices for weights", dict(indices=np.array([[2, 0, 1]]))),
        ("a sparse map from", dict(out_shape=(2, 3))),
        ("a sparse map from", dict(in_shape=(3, 2, 2))),
        ("not finite", dict(weights=np.float32([1, np.inf, 1]))),
    ),
)
def test_a_sparse_map_that_would_read_outside_is_refused(problem, changes):
    with pytest.raises(ValidationError, match=problem):
        Sparse(**sparse(**changes))


def test_a_sparse_map_is_part_of_a_network():
    network = content()
    step = sparse(in_shape=(4, 2), out_shape=(4, 2), indptr=np.array([0, 1, 1, 3, 3]))
    network["layers"][3]["connections"] = [dict(source="p", path=[step])]
    layer = Network.model_validate(network).layers[3]
    assert label(layer) == "sparse" and layer.connections[0].path[0].rows.tolist() == [0, 2, 2]
    step.update(in_shape=(5, 2))
    with pytest.raises(ValidationError, match="a connection from 'p' of sizes"):
        Network.model_validate(network)
