"""Matrix products of computed tensors as sums of quarter squares, under ONNX Runtime."""

import numpy as np
import pytest

from tests.lowering.decomposition.rewritten import same
from tests.models import Chain, converted
from ttfs_convert.lowering.graph_walk import UnsupportedModel


def two(shape, seed, first, second):
    """Two products of the input (tokens, features) with constants, of so many columns each; `second` is another name's."""
    chain = Chain(shape, seed)
    names = []
    for columns in (first, second):
        chain.at = "x"
        names.append(chain.add("MatMul", chain.rng.normal(0, 0.5, (shape[-1], columns)).astype(np.float32)).at)
    chain.at = names[0]
    return chain, names[1]


def test_scores():
    chain, keys = two((5, 7), 0, 4, 4)
    queries, chain.at = chain.at, keys
    keys = chain.add("Transpose", perm=(0, 2, 1)).at
    chain.at = queries
    nodes = same(chain.add("MatMul", keys).readout().model(), chain.images(low=-1), extremes={queries: (-2.0, 2.0), keys: (-3.0, 3.0)})
    assert sum(node.operator == "Pow" for node in nodes) == 2


def test_heads():
    chain, keys = two((5, 8), 1, 8, 8)
    queries, chain.at = chain.at, keys
    keys = chain.add("Reshape", np.array([0, 5, 2, 4])).add("Transpose", perm=(0, 2, 3, 1)).at
    chain.at = queries
    chain.add("Reshape", np.array([0, 5, 2, 4])).add("Transpose", perm=(0, 2, 1, 3)).add("MatMul", keys)
    same(chain.readout().model(), chain.images(low=-1))


def test_broadcast_over_heads():
    chain, keys = two((4, 6), 2, 8, 4)
    queries, chain.at = chain.at, keys
    keys = chain.add("Transpose", perm=(0, 2, 1)).add("Unsqueeze", np.array([1])).at
    chain.at = queries
    chain.add("Reshape", np.array([0, 4, 2, 4])).add("Transpose", perm=(0, 2, 1, 3)).add("MatMul", keys)
    same(chain.readout().model(), chain.images(low=-1))


@pytest.mark.parametrize("equation", ["bik,bjk->bij", "bki,bkj->bij", "bik,bjk->bji", "bik,bjl->bil", "bik,bjk->bk"])
def test_einsum(equation):
    chain, other = two((4, 6), 3, 4, 4)
    chain.add("Einsum", other, equation=equation)
    same(chain.readout().model(), chain.images(low=-1), "Einsum")


@pytest.mark.parametrize("opset", [11, 13, 17])
def test_opsets(opset):
    chain, other = two((4, 6), 4, 4, 4)
    same(chain.add("MatMul", other).readout().model(opset=opset), chain.images(low=-1))


@pytest.mark.parametrize("trans_a, trans_b", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_gemm(trans_a, trans_b):
    chain, other = two((4, 4), 5, 4, 4)
    first, chain.at = chain.at, other
    other = chain.add("Squeeze", np.array([0])).at
    shift = chain.add("Mul", np.float32(0.3)).at
    chain.at = first
    chain.add("Squeeze", np.array([0])).add("Gemm", other, shift, transA=trans_a, transB=trans_b, alpha=-0.7, beta=1.3)
    chain.add("Unsqueeze", np.array([0])).readout()
    same(chain.model(), chain.images(1, low=-1))


def test_diagonals_are_refused():
    chain, other = two((4, 6), 6, 4, 4)
    chain.add("Einsum", other, equation="bii,bij->bij")
    with pytest.raises(UnsupportedModel, match="each axis with a letter of its own|a product 'bii,bij->bij'"):
        converted(chain.readout().model(), mode="exact")
