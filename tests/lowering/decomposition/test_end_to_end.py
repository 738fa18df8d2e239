"""Networks with products, normalisations and attention as spikes: all outputs and every layer against ONNX Runtime."""

import numpy as np
import onnx
import pytest

from tests.lowering.decomposition.rewritten import divided_by_deviation
from tests.lowering.decomposition.test_attention import CAUSAL, projected
from tests.models import Chain, converted, dataset, exact, newer_runtime, run
from ttfs_convert.conversion.refusals import CalibrationError
from ttfs_convert.errors import UsageError
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.network.store import load, save
from ttfs_convert.onnx_model.derived import tensors_of
from ttfs_convert.studies.evaluation import evaluate


def spiking(chain, tolerance=1e-4, low=-1.0, count=12):
    return exact(chain.model(), chain.images(count, low=low), tolerance, input_range=(-1.0, 1.0))


def linear(chain, outputs):
    return chain.add("MatMul", (chain.rng.normal(size=(chain.width(-1), outputs)) / np.sqrt(chain.width(-1))).astype(np.float32))


def layer_norm(chain, written_out):
    size = chain.width(-1)
    scale, shift = (chain.rng.normal(k, 0.3, size).astype(np.float32) for k in (1, 0))
    if not written_out:
        return chain.add("LayerNormalization", scale, shift)
    return divided_by_deviation(chain).add("Mul", scale).add("Add", shift)


def residual(chain, branch):
    stream = chain.at
    branch(chain)
    return chain.add("Add", stream)


def attention(chain, mask=None, heads=2):
    tokens, features = chain.width(1), chain.width(2)
    value, split = chain.at, np.array((0, tokens, heads, features // heads))
    linear(chain, features)
    keys = chain.add("Reshape", split).add("Transpose", perm=(0, 2, 3, 1)).at
    chain.at = value
    values = linear(chain, features).add("Reshape", split).add("Transpose", perm=(0, 2, 1, 3)).at
    chain.at = value
    linear(chain, features).add("Reshape", split).add("Transpose", perm=(0, 2, 1, 3)).add("MatMul", keys).add("Mul", np.float32(0.7))
    if mask is not None:
        chain.add("Add", mask)
    chain.add("Softmax", axis=-1).add("MatMul", values).add("Transpose", perm=(0, 2, 1, 3)).add("Reshape", np.array((0, tokens, features)))
    return linear(chain, features)


def test_product_of_two_layers():
    chain = Chain((6,), 1).gemm(5)
    first, chain.at = chain.at, "x"
    network = spiking(chain.gemm(5).add("Mul", first).gemm(4))
    assert sum(layer.name.startswith("mul2/squared") for layer in network.layers) == 4
    assert network.derived is not None


def test_squeeze_and_excitation():
    chain = Chain((3, 6, 6), 2).conv(8, pads=(1, 1, 1, 1)).add("Relu")
    features = chain.at
    gate = chain.add("GlobalAveragePool").conv(2, (1, 1)).add("Relu").conv(8, (1, 1)).add("Sigmoid").at
    chain.at = features
    spiking(chain.add("Mul", gate).conv(8).add("Relu").readout())


def test_gated_linear_unit():
    chain = Chain((8,), 3).gemm(20).add("Split", np.array([10, 10]), axis=1, outputs=2)
    values, chain.at = chain.at, chain.at.replace("_out", "_extra1")
    spiking(chain.add("Sigmoid").add("Mul", values).gemm(16).add("Relu").gemm(4))


@pytest.mark.parametrize("written_out", [False, True])
def test_layer_norm(written_out):
    spiking(layer_norm(Chain((6,), 4).gemm(8), written_out).gemm(12).add("Relu").gemm(4))


def test_group_norm():
    chain = Chain((3, 5, 5), 5)
    chain.opset = 21
    chain.conv(6, pads=(1, 1, 1, 1)).add("GroupNormalization", np.ones(6, np.float32), np.zeros(6, np.float32), num_groups=2)
    spiking(chain.add("Relu").conv(6).add("Relu").readout())


def test_softmax_in_the_middle():
    spiking(Chain((6,), 6).gemm(5).add("Softmax", axis=-1).gemm(12).add("Relu").gemm(10).gemm(4))


@pytest.mark.parametrize("mask", [None, CAUSAL])
def test_encoder_block(mask):
    chain = Chain((5, 4), 7)
    linear(chain, 6)
    residual(chain, lambda branch: attention(layer_norm(branch, False), mask))
    residual(chain, lambda branch: linear(linear(layer_norm(branch, True), 10).add("Relu"), 6))
    spiking(chain.readout())


@newer_runtime
def test_attention_operator():
    chain, (_, keys, values) = projected(8, (5, 8), (5, 8), (5, 8))
    chain.add("Attention", keys, values, q_num_heads=2, kv_num_heads=2, is_causal=1)
    spiking(linear(chain, 12).add("Relu").readout())


def gated():
    """Two layers whose product a third one reads."""
    chain = Chain((6,), 9).gemm(5)
    first, chain.at = chain.at, "x"
    return chain.gemm(5).add("Mul", first).gemm(8).add("Relu").gemm(4)


def test_the_file_holds_what_compares_every_layer(tmp_path):
    chain = gated()
    x = chain.images(20)
    save(converted(chain.model(), mode="exact", calibrate=dataset(x)), tmp_path / "network.npz")
    network = load(tmp_path / "network.npz")
    evaluation = evaluate(network, x)
    assert evaluation.layer_errors.not_compared() == [] and evaluation.layer_errors.first_out_of_tolerance() is None
    model = chain.model()
    theirs = {name for node in model.graph.node for name in node.output}
    assert theirs.isdisjoint(tensors_of(onnx.ModelProto.FromString(network.derived.tobytes())))
    assert [each.name for each in evaluation.report.outputs] == [value.name for value in model.graph.output]


def test_multiply_accumulates_are_the_original_s():
    chain = gated()
    assert converted(chain.model(), mode="exact", calibrate=dataset(chain.images())).ann_macs == 6 * 5 * 2 + 5 * 8 + 8 * 4


def test_more_data_than_the_factors_were_measured_on():
    """The factors stand for the balance of both, not for their ranges: other data are as exact, as long as ranges hold them."""
    chain = gated()
    x = chain.images(40)
    network = converted(chain.model(), mode="exact", calibrate=dataset(x))
    assert np.isfinite(run(network, chain.images(3)).potentials).all()


def test_without_data_it_says_so():
    with pytest.raises(CalibrationError, match="unbounded activations"):
        converted(gated().model(), mode="exact")


def test_other_modes_refuse():
    with pytest.raises(
        UnsupportedModel, match=r"1 unsupported node, first Mul 'mul2' \(it multiplies or divides two computed tensors\); --mode exact"
    ):
        converted(gated().model())


def test_there_is_no_quantised_twin():
    chain = gated()
    x = chain.images(8)
    network = converted(chain.model(), mode="exact", calibrate=dataset(x), steps=64)
    with pytest.raises(UsageError, match="which the original graph does not have"):
        evaluate(network, x, quantised=True)


def test_what_cannot_be_rewritten_is_called_as_in_the_model():
    chain = Chain((4, 6), 10)
    first = linear(chain, 4).at
    chain.at = "x"
    linear(chain, 4).add("Einsum", first, equation="bii,bij->bij").readout()
    with pytest.raises(UnsupportedModel, match="first Einsum 'einsum2' .a product 'bii,bij->bij' of computed tensors"):
        converted(chain.model(), mode="exact")


def quotient(shift):
    chain = Chain((6,), 11).gemm(5)
    first, chain.at = chain.at, "x"
    divisor = chain.gemm(5).add("Add", np.float32(shift)).at
    chain.at = first
    return chain.add("Div", divisor).gemm(8).add("Relu").gemm(4)


@pytest.mark.parametrize("shift", [5, -5])
def test_quotients_by_values_of_one_sign(shift):
    spiking(quotient(shift))


def test_quotients_by_values_of_either_sign_are_refused():
    with pytest.raises(UnsupportedModel, match="first Div 'div3' .it divides by values from -.* to .*divide by values of one sign"):
        spiking(quotient(0))
