"""Softmax and its like in the middle of a network, under ONNX Runtime."""

import numpy as np
import pytest

from tests.lowering.decomposition.rewritten import rewritten, same
from tests.models import Chain


def image(seed, opset):
    chain = Chain((3, 4, 5), seed)
    chain.opset = opset
    return chain.conv(6, (3, 3), pads=(1, 1, 1, 1))


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("opset, axis", [(11, 1), (11, 2), (11, -1), (13, 1), (17, -1), (18, 2)])
def test_softmax(operator, opset, axis):
    chain = image(0, opset)
    chain.add(operator, axis=axis).conv(4, (3, 3)).conv(4, (1, 1)).readout()
    same(chain.model(), chain.images(), operator)


@pytest.mark.parametrize("operator", ["ReduceL2", "ReduceLogSumExp", "ReduceSumSquare"])
@pytest.mark.parametrize("opset", [11, 18])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_reductions(operator, opset, keepdims):
    chain = image(1, opset)
    if opset < 18:
        chain.add(operator, axes=[1, -1], keepdims=keepdims)
    else:
        chain.add(operator, np.array([1, -1]), keepdims=keepdims)
    same(chain.readout().model(), chain.images(), operator)


def test_logarithm_of_a_sum():
    chain = image(2, 18).add("Exp")
    same(chain.add("ReduceLogSum", np.array([1])).readout().model(), chain.images(), "ReduceLogSum")


def test_the_softmax_that_ends_the_network_stays():
    _, nodes = rewritten(Chain((8,), 3).gemm(6).add("Softmax", axis=1).model())
    assert [node.operator for node in nodes] == ["Gemm", "Softmax"]
