"""Clamps in every spelling: each is one population with the clamp's ends, and two in a row are one."""

from itertools import product

import numpy as np
import pytest

from tests.models import Chain, assert_equals_onnx_runtime, converted, exact
from ttfs_convert.conversion.refusals import ConstraintError
from ttfs_convert.lowering.graph_walk import UnsupportedModel


def wide(scale=8):
    """Pre-activations from about -10 to 10."""
    return Chain((3, 6, 5)).conv(4, total=0.0).add("Mul", np.float32(scale))


def number(value):
    return np.float32(value)


def behind(chain, operator, *constants):
    """`operator` with its constants in front of the tensor."""
    value, chain.at = chain.at, chain.constant(constants[0])
    return chain.add(operator, *constants[1:], value)


def where(chain, comparison, constant, tensor_first=True, tensor_if_true=True):
    """Where(x comparison c, x, c), with the comparison's and the choice's arguments in either order."""
    value, constant = chain.at, chain.constant(number(constant))
    compared, chosen = ((value, constant) if order else (constant, value) for order in (tensor_first, tensor_if_true))
    chain.at = compared[0]
    return chain.add(comparison, compared[1]).add("Where", *chosen)


def spiking(network):
    return [layer for layer in network.layers if layer.kind == "spiking"]


SPELLINGS = {
    "Max(x, c)": (lambda chain: chain.add("Max", number(0.5)), 0.5, None),
    "Max(c, x)": (lambda chain: behind(chain, "Max", number(-2)), -2, None),
    "Max(x, c, d)": (lambda chain: chain.add("Max", number(-1), number(0.25)), 0.25, None),
    "Max(c, x, d)": (lambda chain: behind(chain, "Max", number(1), number(-1)), 1, None),
    "Max(x, c c c)": (lambda chain: chain.add("Max", np.full((4, 1, 1), 0.5, np.float32)), 0.5, None),
    "Min(x, c)": (lambda chain: chain.add("Min", number(2)), None, 2),
    "Min(c, x)": (lambda chain: behind(chain, "Min", number(-1)), None, -1),
    "Min(x, c, d)": (lambda chain: chain.add("Min", number(3), np.full((1, 4, 1, 1), 2, np.float32)), None, 2),
    "Min(Relu(x), 6)": (lambda chain: chain.add("Relu").add("Min", number(6)), 0, 6),
    "Min(6, Relu(x))": (lambda chain: behind(chain.add("Relu"), "Min", number(6)), 0, 6),
    "Min(Max(x, c), d)": (lambda chain: chain.add("Max", number(-1)).add("Min", number(2)), -1, 2),
    "Max(Min(x, d), c)": (lambda chain: chain.add("Min", number(2)).add("Max", number(-1)), -1, 2),
    "Relu(Min(x, d))": (lambda chain: chain.add("Min", number(2)).add("Relu"), 0, 2),
    "Min(Max(Relu(x), c), d)": (lambda chain: chain.add("Relu").add("Max", number(1)).add("Min", number(2)), 1, 2),
    "Clip(Relu(x))": (lambda chain: chain.add("Relu").add("Clip", number(-3), number(2)), 0, 2),
    "ThresholdedRelu(0)": (lambda chain: chain.add("ThresholdedRelu", alpha=0.0), 0, None),
    "HardSigmoid": (lambda chain: chain.add("HardSigmoid"), 0, 1),
    "HardSigmoid(-x)": (lambda chain: chain.add("HardSigmoid", alpha=-0.3, beta=0.25), 0, 1),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_clamp_is_one_population(spelling):
    apply, low, high = SPELLINGS[spelling]
    network = exact(apply(wide()).readout().model(), wide().images())
    (layer,) = spiking(network)
    assert (layer.low, layer.high) == (low, high)


@pytest.mark.parametrize("comparison", ("Greater", "GreaterOrEqual", "Less", "LessOrEqual"))
@pytest.mark.parametrize("tensor_first, tensor_if_true", tuple(product((True, False), repeat=2)))
def test_where_chooses_the_larger_or_the_smaller(comparison, tensor_first, tensor_if_true):
    constant = 0.5
    chain = where(wide(), comparison, constant, tensor_first, tensor_if_true).readout()
    network = exact(chain.model(), chain.images())
    layer = spiking(network)[-1]
    larger = (comparison.startswith("Greater") == tensor_first) == tensor_if_true
    assert (layer.low, layer.high) == ((constant, None) if larger else (None, constant))


BY_WHERE = {
    "Where(x > c, x, c)": (lambda chain: where(chain, "Greater", 0.5), 0.5, None),
    "Min(Where(x > c, x, c), d)": (lambda chain: where(chain, "Greater", 0.5).add("Min", number(2)), 0.5, 2),
    "Where(Relu(x) < c, Relu(x), c)": (lambda chain: where(chain.add("Relu"), "Less", 2), 0, 2),
}


@pytest.mark.parametrize("spelling", BY_WHERE)
def test_a_clamp_by_where_is_one_population(spelling):
    apply, low, high = BY_WHERE[spelling]
    network = exact(apply(wide()).readout().model(), wide().images())
    (layer,) = spiking(network)
    assert (layer.low, layer.high) == (low, high)


RELU1 = {
    "Min(Max(x, 0), 1)": lambda chain: chain.add("Max", number(0)).add("Min", number(1)),
    "Max(0, Min(1, x))": lambda chain: behind(behind(chain, "Min", number(1)), "Max", number(0)),
    "Min(Relu(x), 1)": lambda chain: chain.add("Relu").add("Min", number(1)),
    "Min(Where(x > 0, x, 0), 1)": lambda chain: where(chain, "Greater", 0).add("Min", number(1)),
    "Clip of ThresholdedRelu": lambda chain: chain.add("ThresholdedRelu", alpha=0.0).relu1(),
}


@pytest.mark.parametrize("spelling", RELU1)
def test_relu1_in_other_words_is_strict(spelling):
    chain = Chain((3, 6, 5)).conv(4)
    RELU1[spelling](chain)
    network = assert_equals_onnx_runtime(chain.conv(5, (2, 2)).relu1().readout().model(), chain.images())
    assert [(layer.low, layer.high) for layer in spiking(network)] == [(0, 1)] * 2


def test_a_hard_sigmoid_of_unity_weight_sums_is_strict():
    chain = Chain((3, 6, 5)).conv(4, total=5.0).add("HardSigmoid").conv(4, (2, 2), total=4.0).add("HardSigmoid", alpha=0.25, beta=-0.5)
    assert len(spiking(assert_equals_onnx_runtime(chain.readout().model(), chain.images()))) == 2


def test_a_hard_sigmoid_of_spikes_that_reaches_neither_end_has_no_neurons():
    chain = wide().relu1().add("HardSigmoid").conv(3).add("Relu").readout()
    assert len(spiking(exact(chain.model(), chain.images()))) == 2


@pytest.mark.parametrize("low, high", ((0.25, None), (None, 0.5), (-1, 1), (-2, 3)))
def test_clamps_of_spikes(low, high):
    chain = wide().add("Clip", number(-1), number(1)).add("Flatten")
    for operator, end in (("Max", low), ("Min", high)):
        chain.add(operator, number(end)) if end is not None else None
    network = exact(chain.readout().model(), chain.images())
    assert len(spiking(network)) == (2 if low == 0.25 or high == 0.5 else 1)


@pytest.mark.parametrize("pool", ("MaxPool", "AveragePool"))
def test_fused_behind_a_pool_of_pre_activations(pool):
    chain = wide().add(pool, kernel_shape=[2, 2]).add("Relu").add("Min", number(2)).readout()
    (layer,) = spiking(exact(chain.model(), chain.images()))
    assert (layer.low, layer.high) == (0, 2)


def test_a_flipped_affine_in_front_of_a_clamp():
    chain = wide().batch_norm(-1, 1, -1).add("Relu").add("Neg").add("Max", number(-2)).readout()
    exact(chain.model(), chain.images())


@pytest.mark.parametrize("second", ("Conv", "Flatten", "Max"))
def test_a_clamp_that_two_nodes_read_stays_itself(second):
    """Where the narrower clamp stood for both, values beyond it would be lost."""
    chain = wide().add("Relu")
    relu = chain.at
    chain.add("Min", number(2)).conv(3, pads=[1] * 4)
    narrow, chain.at = chain.at, relu
    if second == "Conv":
        chain.conv(3, pads=[1] * 4)
    elif second == "Max":
        chain.add("Max", number(3)).conv(3, pads=[1] * 4)
    else:
        chain.add("Flatten").add("Reshape", np.array([0, 4, 4, 3])).conv(3, pads=[1] * 4)
    network = exact(chain.add("Add", narrow).add("Relu").readout().model(), chain.images())
    assert {(layer.low, layer.high) for layer in spiking(network)} >= {(0, None)}


@pytest.mark.parametrize(
    "build, reason",
    (
        (lambda chain: chain.add("ThresholdedRelu", alpha=1.0), "its threshold would have a shape"),
        (lambda chain: chain.add("ThresholdedRelu"), "its threshold would have a shape"),
        (lambda chain: chain.add("Max", np.arange(3, dtype=np.float32).reshape(3, 1, 1)), "constant differs by element"),
        (lambda chain: chain.add("Min", number(1), np.arange(5, dtype=np.float32)), "constant differs by element"),
        (lambda chain: chain.add("Min", "x"), "latest of several spikes"),
    ),
)
def test_what_is_no_clamp_is_refused(build, reason):
    with pytest.raises(UnsupportedModel, match=reason) as refusal:
        converted(build(Chain((3, 6, 5)).conv(3, pads=[1] * 4)).conv(3).add("Relu").readout().model(), mode="unchecked")
    assert len(refusal.value.nodes) == 1


def compared(chain, *branches, comparison="Greater", threshold=1.0):
    """Where(x > threshold, *branches); "x" among them stands for the compared tensor."""
    value = chain.at
    return chain.add(comparison, number(threshold)).add("Where", *(value if branch == "x" else number(branch) for branch in branches))


@pytest.mark.parametrize(
    "build",
    (
        lambda chain: compared(chain, "x", 0.0),
        lambda chain: compared(chain, 0.0, "x"),
        lambda chain: compared(chain, 1.0, 0.0),
        lambda chain: compared(chain, "x", "x"),
        lambda chain: compared(chain, "x", 1.5),
    ),
)
def test_a_where_that_jumps_is_refused(build):
    with pytest.raises(UnsupportedModel, match="no clamp: it jumps or chooses between tensors") as refusal:
        converted(build(Chain((3, 6, 5)).conv(4)).conv(3).add("Relu").readout().model(), mode="unchecked")
    assert refusal.value.nodes[0][1] == "Where"


def test_a_where_of_another_tensor_is_refused():
    chain = Chain((3, 6, 5)).conv(3, pads=[1] * 4)
    other = chain.at
    chain.conv(3, pads=[1] * 4).add("Greater", number(1)).add("Where", other, number(1)).conv(3).add("Relu").readout()
    with pytest.raises(UnsupportedModel, match="no clamp"):
        converted(chain.model(), mode="unchecked")


@pytest.mark.parametrize("second", (np.arange(4, dtype=np.float32).reshape(4, 1, 1), "x"))
def test_comparisons_with_other_than_one_number_are_refused(second):
    chain = Chain((4, 6, 5)).conv(4, (1, 1))
    value = chain.at
    chain.add("Greater", second).add("Where", value, second).conv(3).add("Relu").readout()
    with pytest.raises(UnsupportedModel, match="other than a tensor with one constant") as refusal:
        converted(chain.model(), mode="unchecked")
    assert [node[1] for node in refusal.value.nodes] == ["Greater"]


def test_a_comparison_is_for_where_alone():
    chain = Chain((3, 6, 5)).conv(3).add("Greater", number(0.5)).add("Transpose", perm=[0, 1, 3, 2]).add("Cast", to=1).conv(3, (2, 2))
    with pytest.raises(UnsupportedModel, match="computes with a comparison") as refusal:
        converted(chain.add("Relu").readout().model(), mode="unchecked")
    assert refusal.value.nodes[0][1] == "Transpose"


@pytest.mark.parametrize(
    "last",
    (
        lambda chain: chain.add("Max", number(0.1)),
        lambda chain: chain.add("Relu").add("Min", number(0.3)),
        lambda chain: chain.add("HardSigmoid"),
        lambda chain: chain.add("ThresholdedRelu", alpha=0.25),
        lambda chain: chain.add("Max", np.arange(4, dtype=np.float32)),
    ),
)
def test_at_the_output_it_is_computed_from_the_potentials(last):
    chain = Chain((3, 6, 5)).conv(4).relu1().readout()
    model = last(chain).model()
    network = assert_equals_onnx_runtime(model, chain.images())
    assert network.tail is not None and len(spiking(network)) == 1


@pytest.mark.parametrize("last", (lambda chain: where(chain, "Less", 0.1), lambda chain: chain.add("Greater", number(0.1))))
def test_comparisons_at_the_output_are_computed_from_the_potentials(last):
    chain = last(Chain((3, 6, 5)).conv(4).relu1().readout())
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert network.tail is not None and len(spiking(network)) == 1


def test_strict_mode_names_the_clamp():
    with pytest.raises(ConstraintError, match=r"clamp to \[0, 6\]"):
        converted(Chain((3, 6, 5)).conv(4).add("Relu").add("Min", number(6)).readout().model())
