"""The operator Attention, and masks in front of Softmax, under ONNX Runtime."""

import numpy as np
import pytest

from tests.lowering.decomposition.rewritten import same
from tests.models import Chain, newer_runtime

CAUSAL = np.where(np.tril(np.ones((5, 5))), 0, -np.inf).astype(np.float32)


def projected(seed, *shapes):
    """Products of (5, 6) with constants, reshaped to each of the shapes; names of all."""
    chain, names = Chain((5, 6), seed), []
    chain.opset = 23
    for shape in shapes:
        chain.at = "x"
        chain.add("MatMul", chain.rng.normal(0, 0.7, (6, 8)).astype(np.float32))
        names.append(chain.add("Reshape", np.array((0, *shape))).at)
    chain.at = names[0]
    return chain, names


@newer_runtime
@pytest.mark.parametrize("mask", [None, CAUSAL > -1, CAUSAL])
@pytest.mark.parametrize("causal", [0, 1])
def test_tokens(mask, causal):
    chain, (_, keys, values) = projected(0, (5, 8), (5, 8), (5, 8))
    chain.add("Attention", keys, values, *[mask] * (mask is not None), q_num_heads=2, kv_num_heads=2, is_causal=causal)
    same(chain.readout().model(), chain.images(low=-1), "Attention")


@newer_runtime
def test_heads():
    chain, (_, keys, values) = projected(1, (2, 5, 4), (2, 5, 4), (2, 5, 4))
    same(chain.add("Attention", keys, values, scale=0.3).readout().model(), chain.images(low=-1), "Attention")


@pytest.mark.parametrize("lowest", [-np.inf, -1e9, np.finfo(np.float32).min])
def test_masks(lowest):
    chain = Chain((5, 5), 2)
    chain.add("MatMul", chain.rng.normal(size=(5, 5)).astype(np.float32))
    scores = chain.at
    mask = np.where(np.isinf(CAUSAL), lowest, 0.5).astype(np.float32)
    chain.add("Add", mask).add("Softmax", axis=-1).readout()
    nodes = same(chain.model(), chain.images(low=-1), "Softmax", extremes={scores: (-4.0, 4.0)})
    assert "ReduceMax" in {node.operator for node in nodes}


def test_a_mask_that_forbids_everything_somewhere_is_added():
    chain = Chain((5, 5), 3)
    chain.add("MatMul", chain.rng.normal(size=(5, 5)).astype(np.float32))
    same(chain.add("Add", np.full((5, 5), -1e5, np.float32)).add("Softmax", axis=-1).readout().model(), chain.images(low=-1), "Softmax")
