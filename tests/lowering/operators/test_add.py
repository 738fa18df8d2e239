import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from tests.models import Chain, assert_equals_onnx_runtime, assert_layers_equal_onnx_runtime, converted, exact
from tests.naive_network import connection_weights
from ttfs_convert.conversion.refusals import ConstraintError
from ttfs_convert.lowering.builder import Builder
from ttfs_convert.lowering.operators.add import lower_sum
from ttfs_convert.lowering.ranges.of_layers import Ranges
from ttfs_convert.lowering.unsupported import UnsupportedNode
from ttfs_convert.lowering.values import Constant, Spikes, flat_index
from ttfs_convert.onnx_model.node import Node
from ttfs_convert.simulation.engines import simulate

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
def test_max_pooled_pre_activations_are_spike_coded_before_they_are_added(pool_first):
    chain = Chain((4, 8, 8)).conv(4, pads=[1] * 4).relu1().add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    shortcut, chain.at = chain.at, "x"
    chain.conv(4, pads=[1] * 4, total=0.0).add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    if pool_first:
        chain.add("Add", shortcut)
    else:
        pooled, chain.at = chain.at, shortcut
        chain.add("Add", pooled)
    model = chain.relu1().readout().model()
    with pytest.raises(ConstraintError, match="no activation before add"):
        converted(model)
    exact(model, chain.images())


def test_a_sum_that_broadcasts():
    """A mean per channel is added at every position: repeated spike trains."""
    chain = Chain((4, 7, 6)).conv(4, pads=[1] * 4).relu1()
    hidden = chain.at
    chain.add("GlobalAveragePool").add("Add", hidden)
    exact(chain.conv(2).relu1().readout().model(), chain.images())


def test_a_sum_of_other_rank_with_axes_of_size_1_on_both_sides():
    """(batch, 1, 6) and (5, 1) computed for each sample give (batch, 5, 6)."""
    chain = Chain((6,)).gemm(6, total=0.0).add("Relu").add("Unsqueeze", np.array([1]))
    rows, chain.at = chain.at, "x"
    chain.gemm(5, total=0.0).add("Relu").add("Reshape", np.array([-1, 1]))
    exact(chain.add("Add", rows).add("Flatten").gemm(4, total=0.0).add("Relu").readout().model(), chain.images())


@pytest.mark.parametrize("operator", ("Add", "Sub", "Sum", "Mean"))
@pytest.mark.parametrize("small", (lambda chain: chain.add("Relu"), lambda chain: chain))
@pytest.mark.parametrize("large", (lambda chain: chain.add("Relu"), lambda chain: chain))
@pytest.mark.parametrize("small_first", (True, False))
def test_a_row_and_a_matrix(operator, small, large, small_first):
    chain = small(Chain((4, 6)).conv(1, (3,), pads=[1, 1], total=0.3))
    row, chain.at = chain.at, "x"
    matrix = large(chain.conv(5, (3,), pads=[1, 1], total=0.7)).at
    chain.at, other = (row, matrix) if small_first else (matrix, row)
    exact(chain.add(operator, other).add("Clip", np.float32(-1), np.float32(1)).readout().model(), chain.images())


PARTS = {
    "spikes": lambda chain: chain.conv(4, pads=[1] * 4, total=0.2).add("Relu"),
    "potential": lambda chain: chain.conv(4, pads=[1] * 4),
    "scaled": lambda chain: chain.conv(4, pads=[1] * 4).add("Relu").batch_norm(-1, 1),
    "input": lambda chain: chain,
    "pooled": lambda chain: chain.conv(4, pads=[1] * 4).add("MaxPool", kernel_shape=[3, 3], pads=[1] * 4),
    "average": lambda chain: chain.add("AveragePool", kernel_shape=[3, 3], pads=[1] * 4),
    "turned": lambda chain: chain.add("Transpose", perm=[0, 1, 3, 2]).conv(4, pads=[1] * 4).add("Transpose", perm=[0, 1, 3, 2]),
}


@QUICK
@given(
    st.lists(st.sampled_from((*PARTS, "constant")), min_size=1, max_size=4).filter(lambda parts: set(parts) != {"constant"}),
    st.sampled_from(("Sum", "Mean")),
    st.booleans(),
    st.integers(0, 100),
)
def test_a_sum_of_any_number(parts, operator, activation, seed):
    chain, names = Chain((4, 6, 5), seed), []
    for part in parts:
        chain.at = "x"
        names.append(chain.constant(bias(chain, 4, 1, 1)) if part == "constant" else PARTS[part](chain).at)
    chain.at = names[0]
    chain.add(operator, *names[1:])
    if activation:
        chain.add("Relu")
    exact(chain.conv(3, total=0.0).add("Relu").readout().model(), chain.images())


def test_a_sum_in_strict_mode_is_one_layer():
    chain = Chain((4, 7, 6)).conv(4, pads=[1] * 4).relu1()
    hidden = chain.at
    branch = chain.conv(4, pads=[1] * 4, total=0.5).at
    chain.at = hidden
    chain.conv(4, (1, 1), total=-0.5).add("Sum", branch, hidden, bias(chain, 4, 1, 1)).relu1().readout()
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert [len(layer.connections) for layer in network.layers if layer.kind == "spiking"] == [1, 3]


def test_sums_of_constants_alone_or_of_other_shapes_are_refused():
    node = Node.of(helper.make_node("Sum", ["c", "d"], ["y"]))
    builder = Builder("synaptic", "gated", 1e-4, Ranges("exact", {}))
    builder.values = dict.fromkeys("cd", Constant(lambda: np.ones((1, 3))))
    with pytest.raises(UnsupportedNode, match="constant"):
        lower_sum(node, builder)
    builder.values["d"] = Spikes("x", flat_index((1, 4)), (4,), np.ones(4), np.zeros(4))
    with pytest.raises(UnsupportedNode, match="differ"):
        lower_sum(node, builder)


@pytest.mark.parametrize("second", ("dense", "turned", "pooled rows"))
def test_potentials_in_two_orders_are_added_without_a_window(second):
    """A convolution's values beside those of a matrix product, of a turned convolution, of sums over a row: one of them is permuted."""
    chain = Chain((3, 4, 4)).conv(4, pads=[1] * 4).add("Relu")
    start = chain.at
    first = chain.conv(2, pads=[1] * 4, total=0.3).at
    chain.at = start
    if second == "dense":
        chain.add("Flatten").gemm(32, 0.3).add("Reshape", np.array([0, 2, 4, 4]))
    elif second == "turned":
        chain.conv(2, pads=[1] * 4, total=0.3).add("Transpose", perm=[0, 1, 3, 2])
    else:
        chain.conv(2, pads=[1] * 4, total=0.3).add("ReduceMean", axes=[3], keepdims=1).add("Expand", np.array([1, 2, 4, 4]))
    network = exact(chain.add("Add", first).add("Relu").readout().model(), chain.images())
    assert network.windows == 3 + (second == "pooled rows")


def test_slope_fan_in_of_potentials_in_two_orders():
    """Weight sums follow the permutation: they are those of all synapses one by one, and every engine fires alike."""
    chain = Chain((3, 4, 4)).conv(4, pads=[1] * 4).relu1()
    start = chain.at
    first = chain.conv(2, pads=[1] * 4, total=0.3).at
    chain.at = start
    chain.conv(2, pads=[1] * 4, total=0.6).add("Transpose", perm=[0, 1, 3, 2]).add("Add", first).relu1().readout()
    network = converted(chain.model(), mode="unchecked", steps=20)
    layer = network.layers[2]
    weights = [connection_weights(connection, layer) for connection in layer.connections]
    np.testing.assert_allclose(
        np.broadcast_to(layer.weight_sums, layer.shape).reshape(-1), sum(real.sum(1) + virtual.sum(1) for real, virtual in weights), atol=1e-5
    )
    np.testing.assert_array_equal(
        simulate(network, chain.images(), "clock").spike_times[layer.name], simulate(network, chain.images()).spike_times[layer.name]
    )
