"""Small networks of every layer kind for the engines to agree on.

`case(family, slope)` gives one of `FAMILIES` in continuous time and what to run it on; spiking layers have the slope asked for, except
those that read direct input.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np

from tests import test_naive_network as hand_built
from tests.models import Chain, converted
from tests.naive_network import connection_weights
from tests.test_naive_network import Build, average, conv, dense, images, scale, sparse, weights
from ttfs_convert.network.network import Network
from ttfs_convert.network.synapses.connection import Connection
from ttfs_convert.simulation.integrator import Integrator

SLOPES = ("fan_in", "reference", "gated")
EVERYWHERE = [1] * 4

Entries = np.ndarray | Mapping[str, np.ndarray]


# From ONNX: the builders return the chain; its outputs are its end and `also`


def transposed() -> Chain:
    """A transposed convolution that overlaps and leaves gaps, beside a skip, and one of two groups with uneven strides."""
    chain = Chain((2, 6, 4)).conv(3, pads=EVERYWHERE, total=0.8).relu1()
    skip = chain.at
    chain.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).conv(4, (2, 2), pads=[1, 0, 0, 1], total=1.2).relu1()
    _spread(chain, 2, 1, strides=[2, 2], pads=[1, 0, 0, 0]).relu1().add("Concat", skip, axis=1)
    return _spread(chain.conv(4, (1, 1)).relu1(), 4, 2, strides=[1, 2], pads=[1, 0, 0, 1]).relu1().readout()


def _spread(chain: Chain, outputs: int, group: int, **attributes) -> Chain:
    kernel = chain.rng.normal(0.2, 0.4, (chain.width(1), outputs // group, 3, 2)).astype(np.float32)
    return chain.add("ConvTranspose", kernel, chain.rng.normal(0, 0.1, outputs).astype(np.float32), group=group, **attributes)


def separable() -> Chain:
    """Depthwise, pointwise, dilated and grouped convolutions, and a residual sum of two with different groups."""
    chain = Chain((4, 6, 5)).conv(4, pads=EVERYWHERE, groups=4, total=0.9, strides=[1, 2]).relu1()
    chain.conv(6, (1, 1), total=1.3).batch_norm(-1).relu1()
    start = chain.at
    whole = chain.conv(6, pads=[2, 1, 2, 1], dilations=[2, 1], total=0.4).at
    chain.at = start
    chain.conv(6, (3, 1), pads=[1, 0, 1, 0], groups=3, total=0.7).add("Add", whole).relu1()
    return chain.conv(8, (2, 2), groups=2, strides=[2, 1]).relu1().readout()


def averages() -> Chain:
    """Averages whose padding counts and does not, whose last window is cut off, and over all positions."""
    chain = Chain((2, 7, 6)).add("AveragePool", kernel_shape=[3, 2], pads=[1, 0, 1, 1], count_include_pad=1)
    chain.conv(3, pads=EVERYWHERE).relu1().add("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    chain.conv(4, (2, 2), pads=[0, 1, 1, 0], total=1.4).relu1()
    chain.add("AveragePool", kernel_shape=[3, 3], pads=EVERYWHERE, strides=[2, 2], ceil_mode=1, count_include_pad=1)
    return chain.conv(5, (1, 1)).relu1().add("GlobalAveragePool").readout()


def line() -> Chain:
    """One spatial axis: dilated, grouped, a max-pool with padding, an average with padding on one side."""
    chain = Chain((3, 11)).conv(4, (3,), pads=[2, 2], dilations=[2], total=0.8).relu1()
    chain.add("MaxPool", kernel_shape=[3], pads=[1, 1], strides=[2])
    chain.add("AveragePool", kernel_shape=[2], pads=[1, 0], count_include_pad=1)
    return chain.conv(4, (3,), pads=[1, 0], groups=2, total=1.2).relu1().add("Flatten").gemm(6, 1.1).relu1().readout()


def folded() -> Chain:
    """Patches folded into the batch axis: convolutions, pools of either kind, a transposed convolution, and dense layers on each."""
    chain = Chain((2, 8, 6)).conv(4, pads=EVERYWHERE, total=0.9).relu1().add("Reshape", np.array([0, 4, 2, 4, 6]))
    chain.add("Transpose", perm=[0, 2, 1, 3, 4]).add("Reshape", np.array([-1, 4, 4, 6]))
    skip = chain.at
    chain.conv(4, pads=EVERYWHERE, groups=2, total=0.6).add("Add", skip).relu1()
    chain.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).add("AveragePool", kernel_shape=[2, 2], pads=[1, 0, 0, 0], count_include_pad=1)
    _spread(chain, 3, 1, strides=[2, 2], pads=[1, 0, 0, 0]).relu1()
    return chain.add("Flatten").gemm(6, 1.1).relu1().add("Reshape", np.array([-1, 2, 6])).readout()


def two_inputs() -> Chain:
    """The second input joins behind the first layer; a residual sum ends the network."""
    chain = Chain((2, 5, 4), z=(3, 5, 4)).conv(3, pads=EVERYWHERE, total=0.7).relu1()
    chain.add("Concat", "z", axis=1).conv(4, pads=EVERYWHERE).relu1()
    early = chain.at
    return chain.conv(4, pads=EVERYWHERE, total=0.3).add("Add", early).relu1().readout()


def two_readouts() -> Chain:
    """One behind the first layer, the other two windows later."""
    chain = Chain((2, 5, 4)).conv(3, pads=EVERYWHERE, total=0.9).relu1()
    start = chain.at
    chain.also = chain.readout(3).at
    chain.at = start
    return chain.conv(4, (2, 2), total=1.2).relu1().conv(3, (1, 1)).relu1().readout()


def constrained() -> Chain:
    """As the paper demands: ReLU1 and weight sums of 1."""
    return hand_built.strict_network()


# By hand


def chained(rng: np.random.Generator, slope: str) -> tuple[Network, np.ndarray]:
    """Paths of several weighted steps, each with padding of its own; biases of the whole shape."""
    first = (
        conv((5, 4, 2), weights(rng, 3, 3, 2, 4), pads=1),
        average((5, 4, 4), (3, 3), True, strides=2, pads=1),
        conv((3, 2, 4), weights(rng, 2, 2, 2, 6), groups=2, pads=(1, 0), pads_end=(0, 1)),
    )
    second = (conv((5, 4, 2), weights(rng, 1, 1, 2, 6)), scale(rng.uniform(0.2, 1, 6), (5, 4, 6)), dense(weights(rng, 120, 36)))
    build = Build((5, 4, 2), slope)
    build.fire("h", (3, 2, 6), {"x": first}, sums((3, 2, 6), first), rng.normal(0.2, 0.3, (3, 2, 6)))
    build.fire("g", (36,), {"x": second}, sums((36,), second), rng.normal(0.2, 0.3, 36))
    both = dense(weights(rng, 36, 5))
    scaled = scale(np.linspace(0.5, 1, 36), (36,)), both
    build.fire("f", (5,), {"h": scaled, "g": both}, sums((5,), scaled, (both,)))
    return build.watch(), images(rng, 5, 4, 2)


def mapped(rng: np.random.Generator, slope: str) -> tuple[Network, np.ndarray]:
    """Sparse maps between positions and between neurons, with empty rows, in front of a padded convolution, behind one, and alone."""

    def some(rows: int, columns: int, channels: int = 1, empty: int | None = None):
        matrix = rng.normal(0.1, 0.5, (rows, columns)) * (rng.random((rows, columns)) < 0.4)
        matrix[[] if empty is None else empty] = 0
        return sparse(matrix, channels)

    first = some(12, 20, 2, empty=6), conv((4, 3, 2), weights(rng, 3, 3, 2, 4), pads=1)
    second = conv((4, 3, 4), weights(rng, 2, 2, 4, 3), pads=(1, 0), pads_end=(0, 1)), some(15, 36)
    both, alone = (some(15, 48, empty=7), scale(rng.uniform(0.5, 1, (15, 1)), (15, 1))), (some(5, 5, 3),)
    build = Build((5, 4, 2), slope)
    build.fire("h", (4, 3, 4), {"x": first}, sums((4, 3, 4), first), rng.normal(0.2, 0.3, (4, 3, 4)))
    build.fire("g", (5, 3), {"h": second}, sums((5, 3), second), rng.normal(0.2, 0.3, 3))
    build.fire("f", (5, 3), {"h": both, "g": alone}, sums((5, 3), both, alone), 0.2)
    return build.watch(), images(rng, 5, 4, 2)


def sums(shape: tuple[int, ...], *paths: tuple) -> np.ndarray:
    """Weight sums of every neuron of `shape`, padded taps included."""
    parts = [connection_weights(Connection(source="x", path=path), SimpleNamespace(shape=shape)) for path in paths]
    return sum(real.sum(1) + virtual.sum(1) for real, virtual in parts).reshape(shape)


HAND_BUILT = {family.__name__: family for family in (*hand_built.NETWORKS, chained, mapped)}
BUILDERS = transposed, separable, averages, line, folded, two_inputs, two_readouts, constrained
MODELS = {
    **{builder.__name__: (builder, {}) for builder in BUILDERS},
    "spiking_averages": (averages, {"pooling": "spiking"}),
    "direct_model": (separable, {"input_range": None}),
}
FAMILIES = (*HAND_BUILT, *MODELS)
ONE_GRID = ("wires", "transposed", "two_inputs")  # their concatenations join layers that must have the same number of steps
SPIKES_ONLY = tuple(family for family in FAMILIES if family not in ("analog", "direct_model"))


@functools.cache
def case(family: str, slope: str) -> tuple[Network, Entries]:
    """(network in continuous time, four images)"""
    if family in HAND_BUILT:
        return HAND_BUILT[family](np.random.default_rng(5), slope)
    builder, options = MODELS[family]
    chain = builder()
    mode = {"mode": "unchecked"} if slope == "fan_in" else {"mode": "exact", "slope": slope}
    ends = [chain.at, chain.also] if hasattr(chain, "also") else [chain.at]
    network, x = converted(chain.model(*ends), **mode, **options), chain.images(4)
    if len(network.inputs) == 1:
        return network, x
    return network, {"x": x, "z": np.ascontiguousarray(x[:, :1].repeat(3, 1)[:, :, ::-1])}


def with_weight_sums(network: Network, factor: float) -> Network:
    """`network` with stored weight sums that are not those of its weights."""
    spiking = [layer for layer in network.layers if layer.kind == "spiking"]
    wrong = {layer.name: {"weight_sums": layer.weight_sums * np.float32(factor)} for layer in spiking}
    return network.model_copy(update={"layers": tuple(layer.model_copy(update=wrong.get(layer.name)) for layer in network.layers)})


def leave_out_padding(monkeypatch) -> None:
    """Padded taps never spike."""
    add = Integrator.add

    def without(self, connection, values, potential, padding=0):
        add(self, connection, values, potential)

    monkeypatch.setattr(Integrator, "add", without)
