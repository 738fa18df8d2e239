"""What a chain of nodes takes grows as the chain does: counted, not timed."""

import sys
import tracemalloc

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.models import dataset
from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.lowering.operators.spellings import with_two_slopes
from ttfs_convert.onnx_model.canonical import runnable
from ttfs_convert.onnx_model.node import Node

X = np.random.default_rng(0).random((8, 4)).astype(np.float32)
LINEAR = 1.25  # times what is linear: work that grows as the square doubles it


def chain(length: int, *operators: str, named: bool = False) -> onnx.ModelProto:
    """MatMul, then `length` nodes of `operators` in turn. named: all nodes have one name."""
    nodes, at = [helper.make_node("MatMul", ["x", "w"], ["m"])], "m"
    for number in range(length):
        operator = operators[number % len(operators)]
        inputs = {"Add": [at, "c"], "Twice": [at, at], "MatMul": [at, "w"]}.get(operator, [at])
        at = f"t{number}"
        nodes.append(helper.make_node("Add" if operator == "Twice" else operator, inputs, [at], name="node" if named else ""))
    constants = [numpy_helper.from_array(np.float32(0.001), "c"), numpy_helper.from_array(np.eye(4, dtype=np.float32) / 4, "w")]
    ends = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4])] for name in ("x", at))
    return helper.make_model(helper.make_graph(nodes, "chain", *ends, constants), opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def calls(model: onnx.ModelProto) -> int:
    """Of functions, while it is converted."""
    found = 0

    def count(*_) -> None:
        nonlocal found
        found += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        convert(model, mode="exact", calibrate=dataset(X))
    finally:
        sys.setprofile(before)
    return found


@pytest.mark.parametrize("operators", [("Relu",), ("Relu", "Add"), ("Relu", "Twice"), ("Tanh", "Cos"), ("MatMul", "Relu")])
def test_work_grows_as_the_chain(operators):
    shortest = 30 if "MatMul" in operators else 100
    convert(chain(4, *operators), mode="exact", calibrate=dataset(X))  # what is loaded and kept once
    first, second, third = (calls(chain(shortest * times, *operators)) for times in (1, 2, 4))
    assert third - second <= 2 * LINEAR * (second - first), (first, second, third)


@pytest.mark.parametrize("operators", [("Relu",), ("Relu", "Twice")])
def test_memory_grows_as_the_chain(operators):
    """As do sets of all nodes before one."""

    def most(length: int) -> int:
        nodes = [Node.of(proto) for proto in chain(length, *operators).graph.node]
        tracemalloc.start()
        with_two_slopes(nodes, lambda name: None, lambda name: (1, 4), [nodes[-1].outputs[0]])
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    first, second, third = most(400), most(800), most(1600)
    assert third - second <= 2 * LINEAR * (second - first), (first, second, third)


def test_nodes_of_one_name_are_told_apart_in_one_go():
    model = chain(3000, "Relu", named=True)
    assert len({node.name for node in runnable(model).graph.node}) == 3001 and model.graph.node[3000].name == "node_3000"
