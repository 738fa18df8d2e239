"""Constants that scale and shift: of spikes another range, of potentials other weights, of the input another encoding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from tests.models import Chain, assert_equals_onnx_runtime, converted, exact
from ttfs_convert.conversion.refusals import ConstraintError
from ttfs_convert.lowering.builder import Builder
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.lowering.operators.affine import lower_div, lower_mul, lower_neg
from ttfs_convert.lowering.ranges.of_layers import Ranges
from ttfs_convert.lowering.unsupported import UnsupportedNode
from ttfs_convert.lowering.values import Constant
from ttfs_convert.onnx_model.node import Node

QUICK = settings(derandomize=True, deadline=None, max_examples=15)
SHAPES = ((), (1,), (4, 1, 1), (1, 4, 1, 1), (4, 6, 5), (1, 4, 6, 5), (6, 5), (5,), (6, 1))  # that broadcast to (n, 4, 6, 5)
OPERATORS = ("Mul", "Div", "Add", "Sub", "Sub of a constant", "Mul of a constant")


def factors(chain, shape, negative=True):
    """Of absolute value 0.5 to 1.5, half of them negative."""
    signs = chain.rng.choice((-1, 1), shape) if negative else 1
    return (signs * chain.rng.uniform(0.5, 1.5, shape)).astype(np.float32)


def apply(chain, operator, constant):
    if not operator.endswith("of a constant"):
        return chain.add(operator, constant)
    value, chain.at = chain.at, chain.constant(constant)
    return chain.add(operator.split()[0], value)


def spikes():
    return Chain((3, 8, 7)).conv(4).add("Relu")


def potentials():
    return Chain((3, 8, 7)).conv(4)


def pooled_spikes():
    return Chain((3, 8, 7)).conv(4, pads=[1] * 4).add("Relu").add("AveragePool", kernel_shape=[3, 3])


def waiting_max_pool():
    return Chain((3, 8, 7)).conv(4, pads=[1] * 4).add("MaxPool", kernel_shape=[3, 3])


def padded_conv(chain):
    return chain.conv(3, pads=[1, 0, 0, 1]).add("Relu").readout()


@QUICK
@given(
    st.sampled_from((spikes, potentials, pooled_spikes, waiting_max_pool)),
    st.sampled_from(OPERATORS),
    st.sampled_from(SHAPES),
    st.sampled_from(("Relu", "Clip", "none")),
)
def test_any_constant_anywhere_in_front_of_a_padded_convolution(source, operator, shape, activation):
    """Of spikes, the shift is there where the convolution pads with 0: a border bias."""
    chain = source()
    apply(chain, operator, factors(chain, shape))
    if activation != "none":
        chain.add(activation, *(map(np.float32, (-0.5, 1)) if activation == "Clip" else ()))
    exact(padded_conv(chain).model(), chain.images())


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("input_range", ((0, 1), (-1, 1), (0.2, 3), None))
@pytest.mark.parametrize("shape", ((3, 1, 1), (3, 8, 7)))
def test_of_the_input(operator, input_range, shape):
    chain = Chain((3, 8, 7))
    apply(chain, operator, factors(chain, shape))
    x = chain.images(4, *(input_range or (-2, 3)))
    network = exact(padded_conv(chain).model(), x, input_range=input_range)
    kinds = [layer.kind for layer in network.layers]
    encoders = int(shape == (3, 8, 7) and "Add" not in operator and "Sub" not in operator)
    assert kinds == ["input", *["spiking"] * (1 + encoders), "readout"]


def test_a_factor_that_differs_by_position_costs_one_encoding_in_front_of_a_convolution():
    chain = spikes()
    scaled = chain.add("Mul", factors(chain, (4, 6, 5))).at
    network = exact(padded_conv(chain).model(), chain.images())
    assert [layer.kind for layer in network.layers] == ["input", *["spiking"] * 3, "readout"]
    assert network.layers[2].tensor == scaled and network.layers[2].connections[0].path[0].kind == "scale"


def test_the_same_behind_a_synaptic_average_costs_one_encoding_too():
    chain = pooled_spikes()
    chain.add("Mul", factors(chain, (4, 6, 5)))
    network = exact(padded_conv(chain).model(), chain.images())
    assert [layer.kind for layer in network.layers] == ["input", *["spiking"] * 3, "readout"]


def test_a_factor_that_differs_by_position_costs_nothing_in_front_of_a_dense_layer():
    chain = spikes()
    chain.add("Mul", factors(chain, (4, 6, 5))).readout()
    assert len(exact(chain.model(), chain.images()).layers) == 3


def in_front_of_a_pool(chain, pool):
    chain.add("Mul", factors(chain, (4, 6, 5))).add(pool, kernel_shape=[2, 2], strides=[2, 2], pads=[1, 0, 0, 0])
    return chain.add("Relu").readout()


@pytest.mark.parametrize(
    "source, pool",
    ((spikes, "AveragePool"), (spikes, "MaxPool"), (potentials, "MaxPool"), (pooled_spikes, "AveragePool"), (waiting_max_pool, "MaxPool")),
)
def test_a_factor_that_differs_by_position_in_front_of_a_pool(source, pool):
    chain = in_front_of_a_pool(source(), pool)
    exact(chain.model(), chain.images())


def test_such_factors_of_pre_activations_in_front_of_an_average():
    chain = in_front_of_a_pool(potentials(), "AveragePool")
    exact(chain.model(), chain.images())


@pytest.mark.parametrize(
    "change", (lambda chain: chain.add("Transpose", perm=[0, 2, 1, 3]), lambda chain: chain.add("Reshape", np.array([0, 6, 4, 5])))
)
def test_ranges_of_channels_that_a_rearrangement_turns_into_positions(change):
    chain = change(spikes())
    exact(padded_conv(chain).model(), chain.images())


def test_a_decoder_reshapes_features_to_an_image():
    chain = Chain((10,)).gemm(48).add("Relu").add("Reshape", np.array([0, 3, 4, 4]))
    network = exact(padded_conv(chain).model(), chain.images())
    assert [layer.shape for layer in network.layers if layer.kind == "spiking"] == [(48,), (4, 4, 3), (3, 3, 3)]


@pytest.mark.parametrize("signs", ((), (-1,), (-1, -1, -1, -1)))
@pytest.mark.parametrize("activation", ("Relu", "none"))
def test_batch_norm_behind_the_activation(activation, signs):
    chain = spikes() if activation == "Relu" else potentials()
    network = exact(padded_conv(chain.batch_norm(*signs)).model(), chain.images())
    assert sum(layer.kind == "spiking" for layer in network.layers) == 2


def test_batch_norm_of_features_behind_the_activation():
    chain = Chain((10,)).gemm(8).add("Relu").batch_norm(-1).gemm(6).add("Relu").readout()
    assert len(exact(chain.model(), chain.images()).layers) == 4


def test_batch_norm_in_front_of_the_readout_only_changes_its_weights():
    chain = Chain((3, 8, 7)).batch_norm(-1).readout()
    assert len(exact(chain.model(), chain.images()).layers) == 2


@pytest.mark.parametrize("signs", ((), (-1,)))
def test_batch_norm_behind_a_waiting_max_pool(signs):
    """conv, pool, norm, activation: a negative factor turns the order round, so that the pool needs spikes before it."""
    chain = waiting_max_pool().batch_norm(*signs).add("Relu").readout()
    network = exact(chain.model(), chain.images())
    kinds = [layer.kind for layer in network.layers]
    assert kinds == ["input", "spiking", "max_pool", *["spiking"] * len(signs), "readout"]


def test_a_factor_of_0_leaves_the_shift():
    chain = spikes().add("Mul", np.array([0, 1, 2, 0], np.float32).reshape(4, 1, 1)).add("Add", np.float32(0.5))
    exact(padded_conv(chain).model(), chain.images())
    chain = potentials().add("Clip", np.float32(0), np.float32(1)).add("AveragePool", kernel_shape=[2, 2])
    chain.add("Mul", np.array([0, 1, 2, 0], np.float32).reshape(4, 1, 1)).add("MaxPool", kernel_shape=[2, 2])
    exact(padded_conv(chain).model(), chain.images())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("source", (spikes, potentials, waiting_max_pool))
def test_a_factor_of_0_of_values_without_bounds(source):
    chain = source().add("Mul", np.array([0, 1, 2, 1], np.float32).reshape(4, 1, 1)).add("Relu")
    exact(padded_conv(chain).model(), chain.images())


@pytest.mark.parametrize("source, count", ((spikes, 2), (potentials, 2), (pooled_spikes, 2), (waiting_max_pool, 2)))
def test_negation(source, count):
    chain = source().add("Neg")
    network = exact(padded_conv(chain).model(), chain.images())
    assert sum(layer.kind == "spiking" for layer in network.layers) == count


def test_a_constant_that_a_rearranged_tensor_sees():
    chain = spikes().add("Transpose", perm=[0, 2, 3, 1])
    chain.add("Mul", factors(chain, (4,))).add("Add", factors(chain, (5, 4))).add("Transpose", perm=[0, 3, 1, 2])
    exact(padded_conv(chain).model(), chain.images())


# Strict mode judges what is folded


def test_strict_mode_judges_weights_after_folding():
    """A factor of 2 behind ReLU1 needs weights that sum to 0.5; a shift needs nothing."""
    for total, passes in ((0.5, True), (1.0, False)):
        chain = Chain((3, 8, 7)).conv(4).relu1().add("Mul", np.float32(2)).add("Add", factors(Chain((1,)), (4, 1, 1)))
        model = chain.conv(3, pads=[1] * 4, total=total).relu1().readout().model()
        if passes:
            assert_equals_onnx_runtime(model, chain.images())
        else:
            with pytest.raises(ConstraintError) as refusal:
                converted(model)
            assert [violation.worst for violation in refusal.value.violations] == [pytest.approx(1, abs=1e-5)]


def test_strict_mode_names_the_neurons_that_a_negative_factor_needs():
    chain = Chain((3, 8, 7)).conv(4).relu1().add("Neg").add("MaxPool", kernel_shape=[2, 2]).conv(3).relu1().readout()
    with pytest.raises(ConstraintError) as refusal:
        converted(chain.model())
    assert refusal.value.violations[0].problem.startswith("no activation before conv")


# Refused


def test_division_by_0_is_refused():
    chain = spikes().add("Div", np.array([1, 0, 2, 1], np.float32).reshape(4, 1, 1)).conv(3).relu1().readout()
    with pytest.raises(UnsupportedModel, match="or by 0") as refusal:
        converted(chain.model())
    assert [(name, operator) for name, operator, _, _ in refusal.value.nodes] == [("div2", "Div")]


@pytest.mark.parametrize("operator", ("Mul", "Div"))
def test_products_of_two_tensors_are_refused(operator):
    chain = spikes()
    hidden = chain.at
    chain.conv(4, (1, 1)).relu1().add(operator, hidden).conv(2).relu1().readout()
    with pytest.raises(UnsupportedModel, match="multiplies or divides two computed tensors"):
        converted(chain.model())


# Constants that widen the tensor: repeated spike trains, each with a range of its own

WIDENING = ((4, 1, 1), (2, 1, 4, 1, 1), (1, 4, 1, 5), (4, 6, 1))


@pytest.mark.parametrize("shape", WIDENING)
@pytest.mark.parametrize("operator", ("Mul", "Div", "Add", "Sub"))
@pytest.mark.parametrize("before", (lambda chain: chain.add("Relu"), lambda chain: chain))
def test_a_constant_that_widens_the_tensor(shape, operator, before):
    chain = before(Chain((3, 8, 7)).conv(1, total=0.0)).add(operator, factors(Chain((1,)), shape))
    exact(chain.add("Flatten").add("Reshape", np.array([1, -1])).gemm(5, total=0.0).add("Relu").readout().model(), chain.images())


def test_a_widening_constant_in_front():
    chain = Chain((8,)).gemm(6, total=0.0).add("Relu").add("Unsqueeze", np.array([1]))
    rows, chain.at = chain.at, chain.constant(factors(chain, (3, 6)))
    exact(chain.add("Sub", rows).add("Relu").readout().model(), chain.images())


def test_elements_that_one_neuron_stands_for_get_factors_of_their_own():
    """Repeated without neurons, then multiplied by numbers that differ between the repetitions."""
    chain = Chain((8,)).gemm(6, total=0.0).add("Relu").add("Unsqueeze", np.array([1])).add("Expand", np.array([1, 3, 6]))
    chain.add("Mul", factors(chain, (3, 6))).add("Add", factors(chain, (3, 1)))
    exact(chain.add("Flatten").gemm(4, total=0.0).add("Relu").readout().model(), chain.images())


@pytest.mark.parametrize("lower, operator", ((lower_mul, "Mul"), (lower_div, "Div"), (lower_neg, "Neg")))
def test_of_constants_alone_are_refused(lower, operator):
    builder = Builder("synaptic", "gated", 1e-4, Ranges("exact", {}))
    builder.values = dict.fromkeys("cd", Constant(lambda: np.ones((1, 3))))
    with pytest.raises(UnsupportedNode, match="constant"):
        lower(Node.of(helper.make_node(operator, ["c", "d"][: 1 + (operator != "Neg")], ["y"])), builder)
