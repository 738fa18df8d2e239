"""Analog input that is sliced, joined or moved before the first layer reads it: the head moves it."""

from dataclasses import replace

import numpy as np
import pytest

from tests.models import Chain, assert_equals_onnx_runtime, converted, dataset, exact
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.head_and_tail import run
from ttfs_convert.studies.evaluation import evaluate


def sliced(chain, start, end, axis=1):
    return chain.add("Slice", np.array([start]), np.array([end]), np.array([axis]))


def shuffled(chain):
    """A channel shuffle of two groups."""
    n, c, h, w = (0, *chain.shape)
    return chain.add("Reshape", np.array([n, 2, c // 2, h, w])).add("Transpose", perm=[0, 2, 1, 3, 4]).add("Reshape", np.array([n, c, h, w]))


MOVES = {
    "slice": lambda chain: sliced(chain, 1, 4).conv(5),
    "slice of rows": lambda chain: sliced(chain, 1, 6, 2).conv(5),
    "strided": lambda chain: chain.add("Slice", np.array([0, 0]), np.array([9, 9]), np.array([2, 3]), np.array([2, 2])).conv(5),
    "gather": lambda chain: chain.add("Gather", np.array([2, 1, 0]), axis=1).conv(5),
    "transpose": lambda chain: chain.add("Transpose", perm=[0, 1, 3, 2]).conv(5),
    "channels last": lambda chain: chain.add("Transpose", perm=[0, 3, 1, 2]).conv(5),
    "flip": lambda chain: chain.add("Slice", np.array([-1]), np.array([-9]), np.array([3]), np.array([-1])).conv(5),
    "shuffle": lambda chain: shuffled(chain).conv(6, groups=2),
    "depth": lambda chain: chain.add("SpaceToDepth", blocksize=2).conv(5),
    "shift then slice": lambda chain: sliced(chain.add("Sub", np.float32(3)).add("Div", np.float32(2)), 0, 2).conv(5),
    "slice then shift": lambda chain: sliced(chain, 0, 2).add("Mul", np.float32([[[2]], [[-1]]])).conv(5),
    "rows": lambda chain: sliced(chain, 0, 2).add("Flatten").gemm(6),
    "matrix": lambda chain: chain.add("Transpose", perm=[0, 1, 3, 2]).add("MatMul", np.random.default_rng(3).normal(size=(8, 5)).astype(np.float32)),
}


@pytest.mark.parametrize("move", MOVES)
def test_moved_first(move):
    chain = MOVES[move](Chain((4, 8, 8))).add("Relu").readout()
    network = exact(chain.model(), chain.images(4, -20, 20), input_range=None)
    assert [layer.coding for layer in network.inputs] == ["direct"] and {layer.kind for layer in network.layers} == {"input", "spiking", "readout"}


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (0, 3, 64)])
def test_flat_rows_become_images(shape):
    chain = Chain((192,)).add("Reshape", np.array(shape)).conv(5, (3,) * (len(shape) - 2)).add("Relu").readout()
    exact(chain.model(), chain.images(4, -20, 20), input_range=None)


@pytest.mark.parametrize("operator", ["Add", "Sub", "Concat"])
def test_two_layers_on_two_parts(operator):
    chain = Chain((4, 8, 8))
    first = sliced(chain, 0, 2).conv(4).at
    chain.at = "x"
    sliced(chain, 2, 4).conv(4)
    chain.add(operator, first, **({"axis": 1} if operator == "Concat" else {})).add("Relu").readout()
    exact(chain.model(), chain.images(4, -20, 20), input_range=None)


def test_split_and_both_parts():
    chain = Chain((4, 8, 8)).add("Split", outputs=2, axis=1)
    first, second = chain.at, chain.at.replace("_out", "_extra1")
    one = chain.conv(4).add("Relu").at
    chain.at = second
    two = chain.conv(4).add("Relu").at
    chain.at = one
    chain.add("Add", two).readout()
    exact(chain.model(), chain.images(4, -20, 20), input_range=None)
    assert first != second


def test_joined_inputs_cost_no_neurons():
    chain = Chain((3, 6, 6), v=(2, 6, 6)).add("Concat", "v", axis=1).conv(4).add("Relu").readout()
    model, rng = chain.model(), np.random.default_rng(1)
    x = {name: rng.normal(0, 9, (4, size, 6, 6)).astype(np.float32) for name, size in (("x", 3), ("v", 2))}
    data = dataset(x["x"])
    network = converted(model, mode="exact", input_range=None, calibrate=replace(data, inputs=x))
    assert [layer.kind for layer in network.layers] == ["input", "spiking", "readout"]
    np.testing.assert_allclose(run(network, x).potentials, Reference(model)(x)[chain.at], rtol=0, atol=2e-4)


def test_moved_input_beside_the_input_itself():
    """A shortcut around a convolution of the flipped input."""
    chain = Chain((4, 6, 6)).add("Gather", np.array([3, 1, 2, 0]), axis=1).conv(4, pads=[1] * 4).add("Add", "x").add("Relu").readout()
    exact(chain.model(), chain.images(4, -20, 20), input_range=None)


def test_what_a_head_computes_may_be_moved():
    chain = sliced(Chain((4, 8, 8)).add("Tanh"), 1, 4).conv(5).relu1().readout()
    network = assert_equals_onnx_runtime(chain.model(), chain.images(3, -2, 2), mode="exact", input_range=None)
    assert network.head is not None


@pytest.mark.parametrize("engine", ["exact", "clock", "event"])
def test_every_engine_takes_moved_input(engine):
    chain = sliced(Chain((4, 8, 8)), 1, 4).conv(5).relu1().readout()
    network = converted(chain.model(), mode="exact", input_range=None, steps=None if engine == "event" else 500)
    found = evaluate(network, dataset(chain.images(6, -5, 5)), engine=engine)
    assert found.report.drift.max_output_error < 1e-2 and found.report.drift.agreement == 1
