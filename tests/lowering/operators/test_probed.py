"""Einsum, and operators without a row of their own that are linear in their one computed input."""

import numpy as np
import pytest

from tests.models import Chain, converted, exact, newer_runtime
from ttfs_convert.errors import ModelError
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.measurement.operation_counts import paper, spiking_mac_share

SHAPE = (4, 3, 5)


def features(activation="Relu"):
    chain = Chain(SHAPE).conv(4, (1, 1), total=0.4)
    return chain.add(activation) if activation else chain


def finished(chain):
    return chain.add("Clip", np.float32(-2), np.float32(2)).readout().model()


@pytest.mark.parametrize("activation", ("Relu", None))
@pytest.mark.parametrize(
    "equation, shape",
    (
        ("bchw,co->bohw", (4, 6)),
        ("bchw,wo->bcho", (5, 2)),
        ("bchw,chwo->bo", (4, 3, 5, 6)),
        ("bchw,hwc->bc", (3, 5, 4)),
        ("bchw,c->bchw", (4,)),
        ("bchw, cho -> bwo", (4, 3, 2)),
        ("bchw,chkw->bckh", (4, 3, 2, 5)),
        ("bchw,ock->bohw", (6, 4, 2)),
        ("bchw,co", (4, 6)),
        ("bchw,hj->bcj", (3, 2)),
        ("b...w,wo->b...o", (5, 2)),
        ("bchw,->bwhc", ()),
    ),
)
def test_einsum_with_a_constant(equation, shape, activation):
    chain = features(activation)
    weights = np.asarray(chain.rng.normal(0, 0.4, shape), np.float32) if shape else np.float32(-0.7)
    exact(finished(chain.add("Einsum", weights, equation=equation)), chain.images())


def test_einsum_with_the_constant_first():
    chain = features()
    names = chain.constant(chain.rng.normal(0, 0.4, (6, 4)).astype(np.float32)), chain.at
    chain.at = names[0]
    exact(finished(chain.add("Einsum", names[1], equation="oc,bchw->bohw")), chain.images())


def test_an_einsum_is_a_layer_of_weights():
    """Counted as a matrix product is, weights and multiply-accumulates alike."""
    chain = features().add("Einsum", np.random.default_rng(2).normal(0, 0.4, (4, 6)).astype(np.float32), equation="bchw,co->bohw")
    network = exact(finished(chain), chain.images())
    assert spiking_mac_share(network) == 1 and network.ann_macs == 4 * 4 * 15 + 4 * 6 * 15 + 6 * 15 * 4
    assert paper(network).synops == 4 * 4 + 4 * 6 + 6 * 15 * 4


@newer_runtime
@pytest.mark.parametrize("equation", ("bchw->bwc", "bchw->bhwc"))
def test_einsum_of_one_tensor(equation):
    chain = features()
    exact(finished(chain.add("Einsum", equation=equation)), chain.images())


def test_einsum_of_two_computed_tensors_is_refused():
    chain = features()
    with pytest.raises(UnsupportedModel, match="two computed tensors"):
        converted(chain.add("Einsum", chain.at, equation="bchw,bkhw->bck").add("Flatten").gemm(3).add("Relu").readout().model(), mode="unchecked")


OPERATORS = {
    "upper triangle": lambda chain: chain.add("Trilu", np.array(1)),
    "lower triangle": lambda chain: chain.add("Trilu", upper=0),
    "behind a max-pool": lambda chain: chain.add("MaxPool", kernel_shape=[1, 1]).add("Trilu", upper=0),
    "grid": lambda chain: chain.add("GridSample", chain.rng.uniform(-1.2, 1.2, (1, 4, 3, 2)).astype(np.float32), mode="bilinear"),
}


@pytest.mark.parametrize("activation", ("Relu", None))
@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_nobody_listed(operator, activation):
    chain = features(activation)
    exact(finished(OPERATORS[operator](chain)), chain.images())


@pytest.mark.parametrize(
    "build",
    (
        lambda chain: chain.add("Asinh"),
        lambda chain: chain.add("Floor"),
        lambda chain: chain.add("Round"),
        lambda chain: chain.add("Mod", np.float32(1000), fmod=1),
        lambda chain: chain.add("Sign"),
    ),
)
def test_what_is_not_linear_is_refused(build):
    chain = build(features())
    with pytest.raises(UnsupportedModel, match="not linear") as refusal:
        converted(finished(chain.add("Flatten").gemm(3)), mode="unchecked")
    assert len(refusal.value.nodes) == 1


def test_what_is_too_large_is_refused_with_its_size():
    chain = Chain((4, 40, 40)).conv(4, (1, 1)).add("Relu").add("Trilu").conv(3).add("Relu").readout()
    with pytest.raises(UnsupportedModel, match="too large: 6,400 inputs"):
        converted(chain.model(), mode="unchecked")


def test_a_random_operator_is_refused():
    chain = features().add("RandomUniformLike").conv(3).add("Relu").readout()
    with pytest.raises(ModelError, match="RandomUniformLike"):
        converted(chain.model(), mode="unchecked")
