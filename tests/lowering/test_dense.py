import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models import Chain, assert_equals_onnx_runtime, assert_layers_equal_onnx_runtime, converted, unity
from ttfs_convert.errors import ModelError
from ttfs_convert.lowering.graph import UnsupportedModel
from ttfs_convert.simulate.exact import simulate

QUICK = settings(derandomize=True, deadline=None, max_examples=30)


@QUICK
@given(st.integers(0, 1), st.sampled_from((1.0, 0.5, 2.0)), st.sampled_from((1.0, -0.5, 0.0)),
       st.sampled_from((None, "row", "one", "matrix")), st.integers(0, 1000))
def test_gemm_attributes(transposed, alpha, beta, bias, seed):
    rng = np.random.default_rng(seed)
    weights = unity(rng.normal(0, 0.5, (12, 7)), 1, total=1 / alpha)
    shapes = {"row": (7,), "one": (1,), "matrix": (1, 7)}
    biases = [] if bias is None else [rng.normal(0, 0.2, shapes[bias]).astype(np.float32)]
    stored = weights.T.copy() if transposed else weights
    chain = Chain((12,), seed).add("Gemm", stored, *biases, transB=transposed, alpha=alpha, beta=beta)
    chain.relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images(5))


def test_gemm_behind_flattened_channels():
    chain = Chain((3, 6, 5)).conv(4).relu1().add("Flatten").gemm(9).relu1().readout()
    assert assert_layers_equal_onnx_runtime(chain.model(), chain.images()) == 2


@pytest.mark.parametrize("shape", ((12,), (5, 12), (4, 3, 12)))
@pytest.mark.parametrize("bias", (False, True))
def test_matmul_of_any_rank(shape, bias):
    chain = Chain(shape)
    chain.add("MatMul", unity(chain.rng.normal(0, 0.5, (12, 10)), 1))
    if bias:
        chain.add("Add", chain.rng.normal(0, 0.2, 10).astype(np.float32))
    chain.relu1().add("MatMul", unity(chain.rng.normal(0, 0.5, (10, 6)), 1)).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())
    assert assert_layers_equal_onnx_runtime(chain.model(), chain.images()) == 2


@pytest.mark.parametrize("shape", ((5, 12), (4, 3, 12)))
def test_matmul_shares_its_weights_over_positions_at_the_readout_too(shape):
    chain = Chain(shape)
    chain.add("MatMul", unity(chain.rng.normal(0, 0.5, (12, 10)), 1)).relu1()
    chain.add("MatMul", chain.rng.normal(size=(10, 3)).astype(np.float32))
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_matmul_behind_a_channels_first_convolution():
    chain = Chain((3, 6, 5)).conv(4).relu1().add("Transpose", perm=[0, 2, 3, 1])
    chain.add("MatMul", unity(chain.rng.normal(0, 0.5, (4, 6)), 1)).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_matmul_over_the_width_of_a_channels_first_convolution():
    chain = Chain((3, 6, 5)).conv(4).relu1()
    chain.add("MatMul", unity(chain.rng.normal(0, 0.5, (3, 6)), 1)).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def paper_figure_2() -> Chain:
    return Chain((2,)).add("Gemm", np.array([[5], [-10]], np.float32)).relu1().add("Gemm", np.ones((1, 1), np.float32))


def test_figure_2_fires_under_a_fixed_threshold():
    weights, activations = (5, -10), (0.8, 0.4)
    t = np.arange(0, 1001) / 1000
    potential = sum(w * np.maximum(t - (1 - a), 0) for w, a in zip(weights, activations))
    assert t[np.argmax(potential >= 1 - 1e-9)] == 0.4


@pytest.mark.parametrize("steps", (None, 50))
def test_figure_2_is_silent_under_the_dynamic_threshold(steps):
    x = np.array([[0.8, 0.4], [0.8, 0.0]], np.float32)  # without the inhibition it fires at the opening
    network = converted(paper_figure_2().model(), mode="unchecked", steps=steps)
    recording = simulate(network, x)
    hidden = network.layers[1].name
    assert recording.silent(hidden).ravel().tolist() == [True, False]
    assert recording.spike_times[hidden].ravel().tolist() == [steps or 1, 0]
    assert recording.potentials.ravel().tolist() == [0, 1]


def test_positions_folded_into_the_batch_and_back():
    chain = Chain((5, 12)).add("Reshape", np.array([-1, 12])).gemm(10).relu1().add("Reshape", np.array([-1, 5, 10])).readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_an_input_transposed_into_the_batch_is_refused():
    chain = Chain((12,)).add("Gemm", np.ones((1, 3), np.float32), transA=1)
    with pytest.raises(ModelError, match="batch"):
        converted(chain.model())


def test_a_stack_of_one_matrix_is_that_matrix():
    chain = Chain((12,)).add("Unsqueeze", np.array([1]))
    chain.add("MatMul", unity(chain.rng.normal(0, 0.5, (12, 6)), 1)[None]).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_a_stack_of_matrices_is_refused():
    chain = Chain((2, 12)).add("MatMul", np.ones((2, 12, 3), np.float32))
    with pytest.raises(UnsupportedModel, match=r"shape \(2, 12, 3\)"):
        converted(chain.model())


def test_weights_that_the_network_computes_are_refused():
    chain = Chain((6, 6)).add("MatMul", "x").relu1().readout()
    with pytest.raises(UnsupportedModel, match="computed by the network"):
        converted(chain.model())
