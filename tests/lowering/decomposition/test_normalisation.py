"""Normalisations as means, powers and products, under ONNX Runtime, over their attributes."""

import numpy as np
import pytest

from tests.lowering.decomposition.rewritten import divided_by_deviation, same
from tests.models import Chain, newer_runtime


def normal(chain, *shape):
    return chain.rng.normal(1, 0.5, shape).astype(np.float32)


def image(seed, opset=17):
    chain = Chain((3, 4, 5), seed)
    chain.opset = opset
    return chain.conv(6, (3, 3), pads=(1, 1, 1, 1))


@pytest.mark.parametrize("axis, shape", [(-1, (5,)), (1, (6, 4, 5)), (2, (4, 5))])
@pytest.mark.parametrize("biased", [False, True])
def test_layer_normalization(axis, shape, biased):
    chain = image(0)
    chain.add("LayerNormalization", normal(chain, *shape), *[normal(chain, *shape)] * biased, axis=axis, epsilon=1e-3)
    same(chain.readout().model(), chain.images(), "LayerNormalization")


@pytest.mark.parametrize("opset", [11, 17, 18])
def test_instance_normalization(opset):
    chain = image(1, opset)
    chain.add("InstanceNormalization", normal(chain, 6), normal(chain, 6), epsilon=1e-2)
    same(chain.readout().model(), chain.images(), "InstanceNormalization")


def test_group_normalization():
    chain = image(2, 21)
    chain.add("GroupNormalization", normal(chain, 6), normal(chain, 6), num_groups=3)
    same(chain.readout().model(), chain.images(), "GroupNormalization")


@newer_runtime
@pytest.mark.parametrize("axis, shape", [(-1, (5,)), (1, (6, 4, 5))])
def test_rms_normalization(axis, shape):
    chain = image(3, 23)
    same(chain.add("RMSNormalization", normal(chain, *shape), axis=axis).readout().model(), chain.images(), "RMSNormalization")


def test_mean_variance_normalization():
    chain = image(4)
    same(chain.add("MeanVarianceNormalization", axes=[1, 3]).readout().model(), chain.images(), "MeanVarianceNormalization")


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis", [1, -1])
def test_lp_normalization(p, axis):
    chain = image(5)
    same(chain.add("LpNormalization", p=p, axis=axis).readout().model(), chain.images(low=0.1), "LpNormalization")


def test_written_out():
    chain = Chain((8,), 6).gemm(10)
    divided_by_deviation(chain).add("Mul", normal(chain, 10)).add("Add", normal(chain, 10)).gemm(3)
    nodes = same(chain.model(), chain.images(), "Sqrt")
    assert {"Div", "Reciprocal"}.isdisjoint(node.operator for node in nodes)
