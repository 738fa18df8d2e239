"""Products and quotients of computed tensors as squares of sums, under ONNX Runtime."""

import math

import numpy as np
import pytest
from onnx import numpy_helper

from tests.lowering.decomposition.rewritten import rewritten, same
from tests.models import Chain


def branches(seed, first=(), second=(), shape=(3, 5, 6)):
    """A convolution `a`, and `b` behind another one. first, second: operators behind each, by name."""
    chain = Chain(shape, seed)
    ends = []
    for operators in (first, second):
        chain.at = "x"
        chain.conv(4, (3, 3), pads=(1, 1, 1, 1))
        for operator, *inputs in operators:
            chain.add(operator, *inputs)
        ends.append(chain.at)
    chain.at = ends[0]
    return chain, ends[1]


@pytest.mark.parametrize("factor", [1.0, 1e3, 0.1])
def test_product(factor):
    chain, other = branches(0, second=[("Mul", np.float32(factor))])
    first = chain.at
    model = chain.add("Mul", other).readout().model()
    nodes = same(model, chain.images(), extremes={first: (-1.0, 1.0), other: (-factor, factor)})
    assert sum(node.operator == "Pow" for node in nodes) == 2


def test_both_summands_are_as_large_as_each_other():
    chain, other = branches(1)
    first = chain.at
    model = chain.add("Mul", other).readout().model()
    nodes = same(model, chain.images(), extremes={first: (-0.5, 0.5), other: (-2.0, 2.0)})
    (proto,), (another,) = ([node.proto for node in nodes if node.name.endswith(end)] for end in ("/first", "/second"))
    found, _ = rewritten(model, extremes={first: (-0.5, 0.5), other: (-2.0, 2.0)})
    constants = {tensor.name: numpy_helper.to_array(tensor).item() for tensor in found.graph.initializer if not tensor.dims}
    assert constants[proto.input[1]] * 0.5 == pytest.approx(constants[another.input[1]] * 2.0)
    assert constants[proto.input[1]] * constants[another.input[1]] == pytest.approx(0.25)


def test_gate_of_channels():
    chain, gate = branches(2, second=[("GlobalAveragePool",), ("Exp",)])
    same(chain.add("Mul", gate).readout().model(), chain.images())


def test_halves_of_one_layer():
    chain = Chain((8,), 3).gemm(10).add("Split", np.array([5, 5]), axis=1, outputs=2)
    chain.add("Mul", chain.at.replace("_out", "_extra1")).gemm(3)
    same(chain.model(), chain.images())


def test_square():
    chain = Chain((8,), 4).gemm(6)
    nodes = same(chain.add("Mul", chain.at).gemm(3).model(), chain.images(), "Mul")
    assert [node.operator for node in nodes] == ["Gemm", "Pow", "Gemm"]


def test_quotient():
    chain, other = branches(5, second=[("Exp",)])
    nodes = same(chain.add("Div", other).readout().model(), chain.images(), "Div")
    assert "Reciprocal" in {node.operator for node in nodes}


@pytest.mark.parametrize("inverse", [False, True])
def test_root_of_a_divisor(inverse):
    chain, root = branches(6, second=[("Relu",), ("Add", np.float32(0.1)), ("Sqrt",)])
    if inverse:
        first, chain.at = chain.at, root
        chain.add("Reciprocal").add("Mul", first)
    else:
        chain.add("Div", root)
    nodes = same(chain.readout().model(), chain.images(), "Sqrt")
    assert {"Div", "Reciprocal"}.isdisjoint(node.operator for node in nodes)


def test_constant_over_computed():
    chain, other = branches(7, second=[("Exp",)])
    chain.at = other
    chain.at = chain.constant(np.float32(2))
    same(chain.add("Div", other).readout().model(), chain.images(), "Div")


def test_softmax_written_out():
    chain = Chain((8,), 8).gemm(6).add("Exp")
    exponentials = chain.at
    total = chain.add("ReduceSum", np.array([1])).at
    chain.at = exponentials
    nodes = same(chain.add("Div", total).gemm(3).model(), chain.images(), "Div")
    assert "Pow" not in {node.operator for node in nodes}


def test_products_of_constants_stay():
    chain = Chain((8,), 9).gemm(6).add("Mul", np.float32(2)).add("Div", np.float32(3)).gemm(3)
    _found, nodes = rewritten(chain.model())
    assert not [node for node in nodes if node.operator == "Pow"]


def test_what_ends_the_network_stays():
    chain, other = branches(10)
    _, nodes = rewritten(chain.add("Mul", other).model())
    assert nodes[-1].operator == "Mul"


def test_names_are_unique():
    chain, other = branches(11)
    chain.add("Mul", other).add("Mul", other).readout()
    _, nodes = rewritten(chain.model())
    names = [node.name for node in nodes]
    assert len(set(names)) == len(names) and math.prod(len(node.outputs) for node in nodes) == 1
