"""The twin of a whole network against results computed by hand, the simulator against the twin, and the twin against ONNX Runtime."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from tests import naive
from tests.models import Chain, converted
from tests.naive_network import Membrane, connection_weights, spike_times
from ttfs_convert.data import Dataset
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Concat, Input, Layer, MaxPool, Readout, Reorder, Spiking
from ttfs_convert.network.synapses.average_pool import AveragePool
from ttfs_convert.network.synapses.connection import Connection
from ttfs_convert.network.synapses.convolution import Conv
from ttfs_convert.network.synapses.dense import Dense
from ttfs_convert.network.synapses.scale import Scale
from ttfs_convert.network.synapses.sparse import Sparse
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.engines import simulate

SLOPES = ("fan_in", "reference", "gated")


class Build:
    """A network under construction, layer by layer. Ranges are [0, 1] unless given; every spiking layer has the slope `slope`."""

    def __init__(self, shape: tuple[int, ...], slope: str = "fan_in", lo: object = 0, hi: object = 1, coding: str = "spikes"):
        self.slope = slope
        self.layers: dict[str, Layer] = {}
        self._add(Input, "x", shape, coding=coding, onnx_name="x", onnx_shape=shape, **ends(lo, hi, shape))

    def _add(self, kind: type, name: str, shape: tuple[int, ...], *sources: str, **fields) -> Build:
        window = max((self.layers[source].window for source in sources), default=-(fields.get("coding") == "direct"))
        tensor = name if kind is Readout else None
        self.layers[name] = kind(name=name, shape=shape, window=window + (kind in (Spiking, Readout)), tensor=tensor, **fields)
        return self

    def _neurons(self, kind: type, name: str, shape: tuple[int, ...], fan_in: dict, sums: object, bias: object, **fields) -> Build:
        paths = {source: path if isinstance(path, tuple) else (path,) for source, path in fan_in.items()}
        stored = None if bias is None else np.broadcast_to(np.float32(bias), np.shape(bias) or shape[-1:]).copy()
        return self._add(
            kind,
            name,
            shape,
            *paths,
            connections=[Connection(source=source, path=path) for source, path in paths.items()],
            weight_sums=np.broadcast_to(np.float32(sums), np.shape(sums) or shape[-1:]).copy(),
            bias=stored,
            **fields,
        )

    def fire(
        self,
        name: str,
        shape: tuple[int, ...],
        fan_in: dict,
        sums: object,
        bias: object = None,
        lo: object = 0,
        hi: object = 1,
        slope: str | None = None,
    ) -> Build:
        """fan_in: the path of synapses from each source. sums: the weight sums, as the test computes them."""
        return self._neurons(Spiking, name, shape, fan_in, sums, bias, slope=slope or self.slope, low=None, high=None, **ends(lo, hi, shape))

    def wire(self, kind: type, name: str, shape: tuple[int, ...], *sources: str, **fields) -> Build:
        named = {"joined": sources} if kind is Concat else {"source": sources[0]}
        return self._add(kind, name, shape, *sources, **named, **fields)

    def read(self, shape: tuple[int, ...], fan_in: dict, sums: object, bias: object = None) -> Network:
        size = int(np.prod(shape))
        self._neurons(Readout, "out", shape, fan_in, sums, bias, onnx_shape=shape, index=np.arange(size))
        return Network(
            name="net",
            mode="exact",
            slope=self.slope,
            steps=None,
            rounding="nearest",
            pooling="synaptic",
            onnx_sha256="",
            ann_macs=0,
            layers=tuple(self.layers.values()),
            onnx=None,
            tail=None,
        )

    def watch(self) -> Network:
        """The network, read out through identity synapses from its last layer: the potentials are that layer's a = 1 - tau."""
        last = list(self.layers.values())[-1]
        return self.read(last.shape, {last.name: ()}, 1)


def ends(lo: object, hi: object, shape: tuple[int, ...]) -> dict:
    return {"lo": np.broadcast_to(np.float32(lo), shape[-1:]).copy(), "hi": np.broadcast_to(np.float32(hi), shape[-1:]).copy()}


def dense(weights) -> Dense:
    weights = np.array(weights, np.float32)
    return Dense(in_shape=weights.shape[:1], out_shape=weights.shape[1:], weights=weights)


def scale(weights, shape: tuple[int, ...]) -> Scale:
    return Scale(in_shape=shape, out_shape=shape, weights=np.array(weights, np.float32))


def sliding(in_shape, channels, kernel, strides=1, pads=0, dilations=1, pads_end=None, more=0) -> dict:
    """more: outputs beyond those that fit whole, as ceil_mode gives them."""
    axes = len(kernel)
    strides, pads, dilations, pads_end = (
        value if isinstance(value, tuple) else (value,) * axes for value in (strides, pads, dilations, pads if pads_end is None else pads_end)
    )
    out = (naive.out_size(*axis) + more for axis in zip(in_shape, kernel, strides, dilations, pads, pads_end))
    return {
        "in_shape": in_shape,
        "out_shape": (*out, channels),
        "kernel": kernel,
        "strides": strides,
        "dilations": dilations,
        "pads": pads,
        "pads_end": pads_end,
    }


def conv(in_shape, weights, groups=1, **geometry) -> Conv:
    weights = np.array(weights, np.float32)
    return Conv(weights=weights, groups=groups, **sliding(in_shape, weights.shape[-1], weights.shape[:-2], **geometry))


def average(in_shape, kernel, include_pad=False, **geometry) -> AveragePool:
    return AveragePool(include_pad=include_pad, **sliding(in_shape, in_shape[-1], kernel, **geometry))


def sparse(matrix, channels=1) -> Sparse:
    """matrix: (positions out, positions); what is 0 is no synapse."""
    matrix = np.array(matrix, np.float32)
    rows, indices = np.nonzero(matrix)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(matrix)))])
    return Sparse(
        in_shape=(matrix.shape[1], channels), out_shape=(len(matrix), channels), indptr=indptr, indices=indices, weights=matrix[rows, indices]
    )


def taus(network: Network, x, name: str = "h") -> list[float]:
    times, _ = spike_times(network, np.array([x], np.float32))
    return times[name].reshape(-1).tolist()


# By hand

FIG_2 = [(0.6, -10.0), (0.2, 5.0)]  # (time, weight) of spikes with a = 0.4 and 0.8, in no order


def test_early_excitation_exceeds_the_threshold_before_inhibition_cancels_it():
    membrane = Membrane(FIG_2)
    assert membrane.trace == pytest.approx(np.array([(0.2, 0), (0.6, 2), (1, 0)]))
    assert membrane.at_opening == pytest.approx(0) and membrane.current == -5


@pytest.mark.parametrize("slope", SLOPES)
def test_fig_2_of_the_paper_stays_silent_under_the_dynamic_threshold(slope):
    network = Build((2,), slope).fire("h", (1,), {"x": dense([[5], [-10]])}, -5).watch()
    assert taus(network, [0.8, 0.4]) == [1]


@pytest.mark.parametrize("slope, tau", (("fan_in", 0.75 / 3), ("reference", 0.75), ("gated", 0.75)))
def test_the_ramp_follows_the_slope(slope, tau):
    network = Build((3,), slope).fire("h", (1,), {"x": dense([[4], [1], [-2]])}, 3).watch()
    assert taus(network, [0.125, 0.25, 0.25]) == pytest.approx([tau])  # V0 = 0.5 + 0.25 - 0.5


def test_a_silent_input_keeps_its_weight_in_the_slope():
    network = Build((2,)).fire("h", (1,), {"x": dense([[0.5], [0.5]])}, 1).watch()
    assert taus(network, [0.8, 0]) == pytest.approx([0.6])  # without the silent one's spike the slope would be 0.5 and nothing fire


@pytest.mark.parametrize("slope, tau", (("fan_in", (1 - 0.125) / 2), ("reference", 0.875), ("gated", 0.875)))
def test_a_padded_tap_keeps_its_weight_in_the_slope(slope, tau):
    step = conv((1, 1), [[[0.75]], [[0.25]], [[1]]], pads=1)
    network = Build((1, 1), slope).fire("h", (1, 1), {"x": step}, 2).watch()
    assert taus(network, [[0.5]]) == pytest.approx([tau])


@pytest.mark.parametrize("weight, x, tau", ((-1, 1, 1), (-1, 0, 0), (2, 1, 0), (0, 1, 0), (-2, 1, 1)))
def test_slopes_and_potentials_beyond_the_ends(weight, x, tau):
    network = Build((1,)).fire("h", (1,), {"x": dense([[weight]])}, weight, bias=[1]).watch()
    assert taus(network, [x]) == [tau]


def test_a_bias_is_a_charge_that_adds_nothing_to_the_slope():
    network = Build((1,)).fire("h", (1,), {"x": dense([[0.5]])}, 0.5, bias=[0.25]).watch()
    assert taus(network, [0.75]) == pytest.approx([(1 - 0.25 - 0.375) / 0.5])


def test_weight_sums_that_do_not_hold_are_noticed():
    network = Build((2,)).fire("h", (1,), {"x": dense([[0.5], [0.25]])}, 1).watch()
    with pytest.raises(AssertionError, match="weight sums of 'h'"):
        taus(network, [1, 1])


def test_encoding_of_a_range():
    network = Build((4,), lo=[-1, 0, 1, 0], hi=[1, 4, 3, 1]).watch()
    assert taus(network, [0.5, 1, 2, 3], "x") == [0.25, 0.75, 0.5, 0]


def test_analog_input_is_a_current_up_to_the_opening():
    network = (
        Build((2, 1), "gated", coding="direct").fire("h", (2, 1), {"x": conv((2, 1), [[[0.5]], [[-0.25]], [[1]]], pads=1)}, 1.25, bias=[0.25]).watch()
    )
    times, _ = spike_times(network, np.array([[[-3], [1.5]]], np.float32))
    assert set(times) == {"h"}
    assert times["h"].reshape(-1).tolist() == [0, 1]  # V0 = 0.75 + 1.5 + 0.25 and -1.5 - 0.375 + 0.25
    with pytest.raises(AssertionError, match="slope reference on a direct input"):
        taus(Build((1,), "reference", coding="direct").fire("h", (1,), {"x": dense([[1]])}, 1).watch(), [1])


@pytest.mark.parametrize("include_pad, each, virtual", ((True, 1 / 3, 1 / 3), (False, 1 / 2, 0)))
def test_weights_of_an_average_pool_with_padding(include_pad, each, virtual):
    network = Build((2, 1)).fire("h", (2, 1), {"x": average((2, 1), (3,), include_pad, pads=1)}, 1).watch()
    weights, padded = connection_weights(network.layers[1].connections[0], network.layers[1])
    assert weights == pytest.approx(np.full((2, 2), each))
    assert padded.sum(1) == pytest.approx([virtual, virtual])
    assert taus(network, [[0.5], [1]]) == pytest.approx([1 - 1.5 * each] * 2)


def test_padding_deeper_in_a_chain_has_virtual_neurons_of_its_own():
    path = (average((4, 1), (2,), strides=2), conv((2, 1), [[[0.5]], [[0.3]], [[0.2]]], pads=1))
    network = Build((4, 1)).fire("h", (2, 1), {"x": path}, 1).watch()
    weights, padded = connection_weights(network.layers[1].connections[0], network.layers[1])
    assert weights == pytest.approx(np.array([[0.15, 0.15, 0.1, 0.1], [0.25, 0.25, 0.15, 0.15]]))
    assert padded == pytest.approx(np.array([[0.5, 0], [0, 0.2]]))
    assert taus(network, [[0.4], [0], [0.6], [0.2]]) == pytest.approx([1 - 0.06 - 0.08, 1 - 0.1 - 0.12])


def test_padding_at_the_start_of_a_chain_goes_through_the_rest_of_it():
    path = (conv((2, 1), [[[0.5, 1]], [[0.3, 1]]], pads=(1,), pads_end=(0,)), scale([2, 3], (2, 2)))
    network = Build((2, 1)).fire("h", (2, 2), {"x": path}, [1.6, 6]).watch()
    weights, padded = connection_weights(network.layers[1].connections[0], network.layers[1])
    assert weights == pytest.approx(np.array([[0.6, 0], [3, 0], [1, 0.6], [3, 3]]))
    assert padded == pytest.approx(np.array([[1], [3], [0], [0]]))


def test_strides_dilations_and_groups_of_a_convolution():
    step = conv((5, 2), [[[1, 2, 3, 4]], [[5, 6, 7, 8]]], groups=2, strides=2, dilations=2)
    network = Build((5, 2)).fire("h", (2, 4), {"x": step}, [6, 8, 10, 12]).watch()
    weights, padded = connection_weights(network.layers[1].connections[0], network.layers[1])
    rows = weights.reshape(2, 4, 5, 2)
    assert padded.size == 0
    assert rows[0, :, [0, 2], 0].tolist() == [[1, 2, 0, 0], [5, 6, 0, 0]] and rows[0, :, [0, 2], 1].tolist() == [[0, 0, 3, 4], [0, 0, 7, 8]]
    assert rows[1, :, [2, 4], 0].tolist() == [[1, 2, 0, 0], [5, 6, 0, 0]] and np.count_nonzero(weights) == 16


def test_wiring():
    build = Build((2, 2)).wire(Reorder, "r", (2, 2), "x", index=np.array([3, 2, 1, 0])).wire(Concat, "c", (2, 4), "x", "r")
    pooled = build.wire(MaxPool, "p", (2, 4), "c", **sliding((2, 4), 4, (2,), pads=(1,), pads_end=(0,)), **ends(0, 1, (2, 4)))
    network = pooled.watch()
    times, potentials = spike_times(network, np.array([[[0.125, 0.25], [0.5, 0]]], np.float32))
    assert (1 - times["r"]).tolist() == [[[0, 0.5], [0.25, 0.125]]]
    assert (1 - times["c"]).tolist() == [[[0.125, 0.25, 0, 0.5], [0.5, 0, 0.25, 0.125]]]
    assert (1 - times["p"]).tolist() == potentials.tolist() == [[[0.125, 0.25, 0, 0.5], [0.5, 0.25, 0.25, 0.5]]]


def test_an_earlier_source_waits_in_a_delay_line():
    build = Build((1,)).fire("h", (1,), {"x": dense([[0.5]])}, 0.5, bias=[0.5]).fire("g", (1,), {"h": (), "x": dense([[-0.5]])}, 0.5)
    network = build.watch()
    assert (network.layers[1].window, network.layers[2].window) == (1, 2)
    assert taus(network, [0.5]) == [0.5]  # V0 = 0.25 + 0.5
    assert taus(network, [0.5], "g") == [1]  # V0 = 0.5 - 0.25, S = 0.5
    assert taus(network, [1], "g") == [1]


# The simulator against the twin


def weights(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Float32 whose sums over all axes but the last lie between 0.5 and 2, the first of them at -0.5 where there are several."""
    fan_in, outputs = int(np.prod(shape[:-1])), shape[-1]
    drawn = rng.normal(0, 1 / np.sqrt(fan_in), shape)
    totals = np.linspace(0.5, 2, outputs)
    totals[: outputs > 1] = -0.5
    return (drawn + (totals - total(drawn)) / fan_in).astype(np.float32)


def total(array: np.ndarray) -> np.ndarray:
    """Sums over all axes but the last: weight sums of a layer without groups or scales, whatever is averaged before."""
    return array.reshape(-1, array.shape[-1]).sum(0, dtype=np.float64)


def images(rng: np.random.Generator, *shape: int, lo: object = 0, hi: object = 1) -> np.ndarray:
    """Four images in the range from lo to hi, about a fifth of the values at lo, which is silent, or at hi."""
    a = np.clip(rng.uniform(-0.25, 1.1, (4, *shape)), 0, 1).astype(np.float32)
    return (np.float32(lo) + (np.float32(hi) - np.float32(lo)) * a).clip(lo, hi).astype(np.float32)


RANGES = [
    (np.array(lo, np.float32), np.array(hi, np.float32))
    for lo, hi in (([-1, 0.25], [0.5, 2]), ([-0.4, 0, 0.3, -1], [0.6, 2, 1.5, 2]), ([-0.5, 0.4], [0.6, 1.4]))
]


def folded(in_shape: tuple[int, ...], values: np.ndarray, bias: np.ndarray, source: tuple, target: tuple, **geometry) -> tuple:
    """(synapses, bias of the whole shape) of a convolution of values in the range `source` to values in the range `target`; a padded
    value is 0, which is no end of the range."""
    step = conv(in_shape, values * (source[1] - source[0])[:, None] / (target[1] - target[0]), **geometry)
    silent = np.broadcast_to(source[0], (1, *in_shape))
    border = naive.conv(silent, values, 1, step.kernel, step.strides, step.dilations, step.pads, step.out_shape[:-1])[0]
    return step, (border + bias - target[0]) / (target[1] - target[0])


def ranges(rng, slope):
    """Two convolutions over values whose ranges do not start at 0: the padding needs a border bias."""
    first, second = ranged_layers(rng)
    build = Build((5, 4, 2), slope, *RANGES[0])
    shape = (5, 4, 2)
    for name, source, target, (values, bias, geometry) in (("h", *RANGES[:2], first), ("g", *RANGES[1:], second)):
        step, charges = folded(shape, values, bias, source, target, **geometry)
        shape = step.out_shape
        build.fire(name, shape, {list(build.layers)[-1]: step}, total(step.weights), charges, *target)
    w = weights(rng, int(np.prod(shape)), 3)
    return build.read((3,), {"g": dense(w)}, total(w), [0.1, 0, -0.1]), images(rng, 5, 4, 2, lo=RANGES[0][0], hi=RANGES[0][1])


def ranged_layers(rng):
    """(weights, bias, geometry) of the convolutions of `ranges`, on values."""
    return [
        (weights(rng, 3, 3, 2, 4), np.array([0.4, 0.3, 0.5, 0]), {"pads": 1}),
        (weights(rng, 2, 3, 4, 2), np.array([0, 0.3]), {"strides": (2, 1), "pads": (1, 1), "pads_end": (0, 2)}),
    ]


def pools(rng, slope):
    """Averages in the synapses and with neurons of their own, with padding that counts and that does not, and scales."""
    first, second = average((6, 5, 2), (3, 3), True, strides=2, pads=1), average((3, 3, 3), (2, 2), pads=1)
    w, last = weights(rng, 3, 3, 2, 3), weights(rng, 48, 2)
    factors, whole = [1.5, 0.7, 1], rng.uniform(0.5, 1.5, (4, 4, 3)).astype(np.float32)
    build = Build((6, 5, 2), slope).fire("h", (3, 3, 3), {"x": (first, conv((3, 3, 2), w, pads=1))}, total(w), [0.6, 0.1, -0.3])
    build.fire("p", (4, 4, 3), {"h": (second, scale(factors, (4, 4, 3)))}, factors)
    build.fire("s", (4, 4, 3), {"p": scale(whole, (4, 4, 3))}, whole, rng.normal(0, 0.3, (4, 4, 3)))
    return build.read((2,), {"s": (scale(whole, (4, 4, 3)), dense(last))}, total(last * whole.reshape(-1, 1))), images(rng, 6, 5, 2)


def residuals(rng, slope):
    """A convolution beside an identity, then two convolutions and the scaled input, which waits in a delay line."""
    w = [weights(rng, 3, 3, 2, 2), weights(rng, 3, 3, 2, 2), weights(rng, 1, 3, 2, 2), weights(rng, 3, 1, 2, 2)]
    last = weights(rng, 32, 3)
    steps = [conv((4, 4, 2), each, pads=tuple(size // 2 for size in each.shape[:2])) for each in w]
    build = Build((4, 4, 2), slope).fire("h", (4, 4, 2), {"x": steps[0]}, total(w[0]), [0.7, 0])
    build.fire("g", (4, 4, 2), {"h": steps[1], "x": ()}, total(w[1]) + 1, [0, -0.8])
    build.fire(
        "f",
        (4, 4, 2),
        {"g": steps[2], "h": steps[3], "x": scale([1.7, -1.5], (4, 4, 2))},
        total(w[2]) + total(w[3]) + np.array([1.7, -1.5]),
        [-0.3, 0.3],
    )
    return build.read((3,), {"f": dense(last)}, total(last)), images(rng, 4, 4, 2)


def wires(rng, slope):
    """Max-pools, a concatenation of sources from different windows, and a reordering."""
    w, last = weights(rng, 3, 3, 2, 3), weights(rng, 20, 4)
    build = Build((4, 4, 2), slope).fire("h", (4, 4, 3), {"x": conv((4, 4, 2), w, pads=1)}, total(w), [0.7, 0, -0.3])
    build.wire(Concat, "c", (4, 4, 5), "x", "h")
    build.wire(MaxPool, "p", (2, 2, 5), "c", **sliding((4, 4, 5), 5, (2, 2), strides=3, pads=1), **ends(0, 1, (5,)))
    build.wire(Reorder, "r", (20,), "p", index=rng.permutation(20)).fire("g", (4,), {"r": dense(last)}, total(last), [0.8, -0.1, -0.4, -1])
    return build.watch(), images(rng, 4, 4, 2)


def lines(rng, slope):
    """One spatial axis: groups, dilations, strides, an average whose last window is cut off, one over all positions."""
    w, v = weights(rng, 3, 1, 4), weights(rng, 2, 4, 3)
    build = Build((9, 2), slope).fire("h", (9, 4), {"x": conv((9, 2), w, groups=2, pads=2, dilations=2)}, total(w), [0.8, 0.3, 0, -0.4])
    build.fire("g", (5, 3), {"h": conv((9, 4), v, strides=2, pads=(0,), pads_end=(1,))}, total(v), [0.6, 0, -0.4])
    build.fire("f", (3, 3), {"g": average((5, 3), (2,), True, strides=2, more=1)}, 1)
    return build.read((1, 3), {"f": average((3, 3), (3,))}, 1), images(rng, 9, 2)


def frames(rng, slope):
    """Three images in every sample: convolutions with padding, groups and biases of the whole shape, a max-pool, an average in the synapses
    and one with neurons, and a residual sum."""
    w, v = weights(rng, 1, 3, 3, 2, 4), weights(rng, 1, 3, 2, 2, 4)
    shape, half = (3, 4, 4, 4), (3, 2, 2, 4)
    build = Build((3, 4, 4, 2), slope).fire("h", shape, {"x": conv((3, 4, 4, 2), w, pads=(0, 1, 1))}, total(w), [0.7, 0, -0.3, 0.2])
    second = conv(shape, v, groups=2, pads=(0, 1, 0), pads_end=(0, 1, 1))
    build.fire(
        "g",
        shape,
        {"h": (second, scale([0.5, 1, 1, 1], shape)), "x": conv((3, 4, 4, 2), weights(rng, 1, 1, 1, 2, 4) * 0 + 0.25)},
        total(v) * [0.5, 1, 1, 1] + 0.5,
        rng.normal(0, 0.3, shape),
    )
    build.fire("f", shape, {"g": conv(shape, w[:, 1:2, 1:2].repeat(2, 3), pads=0), "h": ()}, 2 * total(w[:, 1:2, 1:2]) + 1, -0.3)
    pool = {"kernel": (1, 2, 2), "strides": (1, 2, 2)}
    build.wire(MaxPool, "p", half, "f", **sliding(shape, 4, **pool), **ends(0, 1, shape))
    build.fire("a", half, {"p": average(half, (1, 2, 2), True, pads=(0, 0, 1), pads_end=(0, 1, 0))}, 1)
    last = weights(rng, 12, 3)
    return build.read((3,), {"a": (average(half, (1, 2, 2)), dense(last))}, total(last)), images(rng, 3, 4, 4, 2)


def analog(rng, slope):
    """Input without bounds enters a gated layer as current; spikes go on from there."""
    w, last = weights(rng, 3, 3, 2, 3), weights(rng, 27, 5)
    build = Build((3, 3, 2), slope, -1, 1, "direct")
    build.fire("h", (3, 3, 3), {"x": conv((3, 3, 2), w, pads=1)}, total(w), [0.5, 0.2, 0], slope="gated")
    build.fire("g", (5,), {"h": dense(last)}, total(last), [0.8, 0.3, 0, -0.2, -0.4])
    return build.watch(), images(rng, 3, 3, 2, lo=-2, hi=3)


NETWORKS = (ranges, pools, residuals, wires, lines, frames, analog)


def tolerances(network: Network) -> dict[str, np.ndarray]:
    """1e-5 for potentials, 1e-5 / S for the spike times of slopes S < 1."""
    sums = {
        layer.name: layer.weight_sums.astype(np.float64) if layer.slope == "fan_in" else np.ones(1)
        for layer in network.layers
        if isinstance(layer, Spiking)
    }
    return {name: 1e-5 * np.maximum(1, 1 / np.where(total > 0, total, 1)) for name, total in sums.items()}


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize("seed", range(3))
def test_the_simulator_agrees(family, slope, seed):
    network, x = family(np.random.default_rng(seed), slope)
    times, potentials = spike_times(network, x)
    recording = simulate(network, x)
    tolerance = tolerances(network)
    worst = max(np.max(limit) for limit in tolerance.values())
    for name, tau in times.items():
        assert recording.spike_times[name].shape == tau.shape
        difference = np.abs(recording.spike_times[name] - tau)
        assert (difference <= tolerance.get(name, worst)).all(), f"{name}: {difference.max()}"
    assert recording.potentials.shape == potentials.shape
    np.testing.assert_allclose(recording.potentials, potentials, rtol=0, atol=1e-5)


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("family", NETWORKS)
def test_the_networks_put_the_simulator_to_the_test(family, slope):
    """Every layer has silent neurons and graded spike times, and the slopes make a difference."""
    network, x = family(np.random.default_rng(0), slope)
    times, potentials = spike_times(network, x)
    assert potentials.std() > 0.02
    for name, tau in times.items():
        assert (tau == 1).mean() > 0.02, f"hardly a silent neuron in {name}"
        assert ((tau > 0) & (tau < 1)).mean() > 0.1, f"hardly a graded spike time in {name}"


@pytest.mark.parametrize("slope", ("reference", "gated"))
def test_ranges_decode_to_the_values_of_the_original_network(slope):
    network, x = ranges(np.random.default_rng(0), slope)
    times, _ = spike_times(network, x)
    values = x
    for name, target, (w, bias, geometry) in zip("hg", RANGES[1:], ranged_layers(np.random.default_rng(0))):
        step = conv(values.shape[1:], w, **geometry)
        plain = naive.conv(values, w, 1, step.kernel, step.strides, step.dilations, step.pads, step.out_shape[:-1]) + bias
        values = np.clip(plain, *target)
        np.testing.assert_allclose(target[0] + (target[1] - target[0]) * (1 - times[name]), values, rtol=0, atol=1e-6)
        assert (plain < target[0]).any() and (plain > target[1]).any()


# The twin of converted models against ONNX Runtime


def batch_norm(chain: Chain, sign: float = 1) -> Chain:
    """With random scale, shift, mean and variance; `sign` is that of the scale."""
    n, rng = chain.width(1), chain.rng
    parts = sign * rng.uniform(0.5, 1.5, n), rng.normal(0, 0.5, n), rng.normal(0, 0.3, n), rng.uniform(0.5, 2, n)
    return chain.add("BatchNormalization", *(part.astype(np.float32) for part in parts))


def residual_network() -> Chain:
    """What is silent stands for the shift of a normalisation, while a padded value is 0."""
    chain = batch_norm(Chain((2, 7, 6)).conv(4, pads=[1] * 4, total=0.6).add("Relu")).conv(3, pads=[1, 1, 0, 2], total=1.5).add("Relu")
    chain = batch_norm(chain.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2], pads=[1, 0, 0, 1]))
    shortcut = chain.at
    return batch_norm(chain.conv(3, pads=[1] * 4, total=-0.5).add("Add", shortcut).add("Relu")).readout()


def branching_network() -> Chain:
    """Averages with padding, channels side by side, a normalisation that turns a max-pool upside down, and ends of other activations."""
    chain = batch_norm(Chain((2, 7, 6)).conv(3, pads=[1] * 4, total=0.7).add("Relu"))
    early = chain.at
    chain = chain.add("AveragePool", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1).conv(3, pads=[1] * 4)
    chain = batch_norm(chain.add("Clip", np.float32(-0.5), np.float32(6)), -1)
    chain = chain.add("Concat", early, axis=1).add("MaxPool", kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 1, 0])
    chain = chain.conv(4, pads=[1] * 4, groups=2).add("Relu").add("AveragePool", kernel_shape=[2, 2], pads=[1] * 4, strides=[2, 2])
    return batch_norm(chain).readout()


def strict_network() -> Chain:
    """ReLU1 and weight sums of 1, as the paper demands, with padding and a residual sum."""
    chain = Chain((2, 7, 6)).conv(3, pads=[1] * 4).relu1()
    shortcut = chain.at
    chain = chain.conv(3, pads=[1] * 4, total=0.0).add("Add", shortcut).relu1().add("MaxPool", kernel_shape=[2, 2], pads=[1, 0, 0, 0])
    return chain.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2]).conv(4, pads=[1] * 4).relu1().readout()


def assert_twin_equals_onnx_runtime(chain: Chain, **options) -> tuple[Network, list[Spiking]]:
    """Also that the images leave neurons silent. Returns the network and its layers behind a convolution with padding."""
    x = chain.images()
    data = Dataset("images", x, None, hashlib.sha256(x.tobytes()).hexdigest(), len(x), (), False)
    network = converted(chain.model(), calibrate=data, **options)
    times, potentials = spike_times(network, x)
    (expected,) = Reference(chain.model())(x).values()
    assert potentials.shape == expected.shape
    np.testing.assert_allclose(potentials, expected, rtol=0, atol=1e-4 * np.ptp(expected))
    spiking = [layer for layer in network.layers if isinstance(layer, Spiking)]
    assert sum((times[layer.name] == 1).mean() > 0.02 for layer in spiking) >= 3, "hardly a silent neuron"
    return network, [layer for layer in spiking if any(step.kind == "conv" and any(step.pads) for each in layer.connections for step in each.path)]


ENCODINGS = {"unit": {}, "wider": {"input_range": (-0.5, 1.5)}, "direct": {"input_range": None}}


@pytest.mark.parametrize("slope", ("gated", "reference"))
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("pooling", ("synaptic", "spiking"))
@pytest.mark.parametrize("family", (residual_network, branching_network))
def test_any_relu_network(family, pooling, encoding, slope):
    network, padded = assert_twin_equals_onnx_runtime(family(), mode="exact", slope=slope, pooling=pooling, margin=0.1, **ENCODINGS[encoding])
    found = [layer.slope for layer in network.layers if isinstance(layer, Spiking)]
    assert found == ["gated" if encoding == "direct" else slope] + [slope] * (len(found) - 1)
    assert any(layer.bias is not None and layer.bias.shape == layer.shape for layer in padded), "no border bias"


@pytest.mark.parametrize("pooling", ("synaptic", "spiking"))
def test_a_network_under_the_constraints_of_the_paper(pooling):
    network, padded = assert_twin_equals_onnx_runtime(strict_network(), mode="strict", pooling=pooling)
    assert {layer.slope for layer in network.layers if isinstance(layer, Spiking)} == {"fan_in"} and len(padded) == 3
