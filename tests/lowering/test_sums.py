import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models import Chain, assert_equals_onnx_runtime, assert_layers_equal_onnx_runtime, converted, exact
from ttfs_convert.conversion import ConstraintError
from ttfs_convert.lowering.graph import UnsupportedModel

QUICK = settings(derandomize=True, deadline=None, max_examples=20)


def bias(chain, *shape):
    return chain.rng.normal(0, 0.2, shape).astype(np.float32)


@QUICK
@given(st.sampled_from(((), (1,), (4, 1, 1), (1, 4, 1, 1), (4, 6, 5), (1, 4, 6, 5), (6, 5), (5,), (6, 1))), st.booleans())
def test_bias_of_any_shape_behind_a_convolution(shape, constant_first):
    chain = Chain((3, 8, 7)).conv(4)
    constant = bias(chain, *shape)
    if constant_first:
        potential, chain.at = chain.at, chain.constant(constant)
        chain.add("Add", potential)
    else:
        chain.add("Add", constant)
    chain.relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


@pytest.mark.parametrize("shape", ((4,), (5, 4), (6, 5, 4)))
def test_bias_behind_a_change_of_layout(shape):
    chain = Chain((3, 8, 7)).conv(4).add("Transpose", perm=[0, 2, 3, 1])
    chain.add("Add", bias(chain, *shape)).relu1().add("Transpose", perm=[0, 3, 1, 2]).conv(3).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_bias_behind_a_flatten():
    chain = Chain((3, 6, 5)).conv(4).add("Flatten")
    chain.add("Add", bias(chain, 48)).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_two_biases_add_up():
    chain = Chain((3, 6, 5)).conv(4).add("Transpose", perm=[0, 2, 3, 1])
    chain.add("Add", bias(chain, 4)).add("Add", bias(chain, 4, 3, 4)).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_bias_of_the_readout():
    chain = Chain((4, 6)).add("MatMul", np.eye(6, dtype=np.float32)).relu1().add("MatMul", np.ones((6, 2), np.float32))
    chain.add("Add", bias(chain, 4, 2))
    assert_equals_onnx_runtime(chain.model(), chain.images())


@pytest.mark.parametrize("shortcut_first", (False, True))
def test_residual_sum_with_an_identity_shortcut(shortcut_first):
    chain = Chain((4, 7, 6)).conv(4, pads=[1] * 4).relu1()
    shortcut = chain.at
    chain.conv(4, pads=[1] * 4, total=0.0)
    if shortcut_first:
        branch, chain.at = chain.at, shortcut
        chain.add("Add", branch)
    else:
        chain.add("Add", shortcut)
    chain.relu1().conv(3).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())
    assert assert_layers_equal_onnx_runtime(chain.model(), chain.images()) == 3


def test_residual_sum_from_the_input_waits_in_a_delay_line():
    chain = Chain((4, 7, 6)).conv(4, pads=[1] * 4).relu1().conv(4, pads=[1] * 4, total=0.0).add("Add", "x").relu1().readout()
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    total = network.layers[2]
    assert {connection.source for connection in total.connections} == {"x", network.layers[1].name}
    assert total.window == 2 and network.windows == 3


def test_residual_sum_of_two_convolutions():
    chain = Chain((4, 7, 6)).conv(4, pads=[1] * 4).relu1()
    hidden = chain.at
    chain.conv(5, pads=[1] * 4, total=0.7)
    branch, chain.at = chain.at, hidden
    chain.conv(5, (1, 1), total=0.3).add("Add", branch).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_residual_sum_in_another_layout():
    chain = Chain((4, 7, 6)).conv(4, pads=[1] * 4).relu1()
    chain.add("Transpose", perm=[0, 2, 3, 1])
    shortcut = chain.at
    chain.add("Transpose", perm=[0, 3, 1, 2]).conv(4, pads=[1] * 4, total=0.0).add("Transpose", perm=[0, 2, 3, 1])
    chain.add("Add", shortcut).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_residual_sum_of_fully_connected_layers():
    chain = Chain((12,)).gemm(12).relu1()
    shortcut = chain.at
    chain.gemm(12, total=0.0).add("Add", shortcut).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_residual_sum_with_an_averaged_shortcut():
    chain = Chain((4, 8, 8)).conv(4, pads=[1] * 4).relu1()
    hidden = chain.at
    chain.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    shortcut, chain.at = chain.at, hidden
    chain.conv(4, pads=[1] * 4, strides=[2, 2], total=0.0).add("Add", shortcut).relu1().readout()
    for pooling in ("synaptic", "spiking"):
        assert_equals_onnx_runtime(chain.model(), chain.images(), pooling=pooling)


def test_two_spike_trains_add_to_a_slope_of_two():
    chain = Chain((4, 7, 6)).conv(4, pads=[1] * 4).relu1().add("Add", "x").relu1().readout()
    network = converted(chain.model(), mode="unchecked")
    assert [(violation.neurons, violation.worst) for violation in network.violations] == [(4 * 7 * 6, 1.0)]
    assert network.layers[2].weight_sums.tolist() == [2.0] * 4


def test_residual_convolution_that_sums_to_one_is_a_violation():
    chain = Chain((4, 7, 6)).conv(4, pads=[1] * 4).add("Add", "x").relu1().readout()
    with pytest.raises(ConstraintError) as refusal:
        converted(chain.model())
    assert [violation.neurons for violation in refusal.value.violations] == [4 * 7 * 6]
    assert refusal.value.violations[0].worst == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("pool_first", (False, True))
def test_max_pooled_pre_activations_cannot_be_added(pool_first):
    chain = Chain((4, 8, 8)).conv(4, pads=[1] * 4).relu1().add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    shortcut, chain.at = chain.at, "x"
    chain.conv(4, pads=[1] * 4, total=0.0).add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    if pool_first:
        chain.add("Add", shortcut)
    else:
        pooled, chain.at = chain.at, shortcut
        chain.add("Add", pooled)
    with pytest.raises(UnsupportedModel, match="pool"):
        converted(chain.relu1().readout().model())


def test_a_sum_that_broadcasts():
    """A mean per channel is added at every position: repeated spike trains."""
    chain = Chain((4, 7, 6)).conv(4, pads=[1] * 4).relu1()
    hidden = chain.at
    chain.add("GlobalAveragePool").add("Add", hidden)
    exact(chain.conv(2).relu1().readout().model(), chain.images())


def test_a_sum_of_other_rank_is_refused():
    chain = Chain((4, 6)).conv(6, (3,), pads=[1, 1]).relu1()
    hidden, chain.at = chain.at, "x"
    chain.add("ReduceMean", axes=[2], keepdims=0).add("Flatten").gemm(6).relu1().add("Add", hidden)
    with pytest.raises(UnsupportedModel, match="shapes"):
        converted(chain.conv(3, (3,)).relu1().readout().model())

