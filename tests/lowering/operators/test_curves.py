"""Functions that are the shape of a threshold, operator by operator, against ONNX Runtime."""

import numpy as np
import pytest

from tests.models import Chain, converted, dataset, exact
from ttfs_convert.errors import TtfsError
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.onnx_model.reference import Reference

SAME = {"pads": [1] * 4}


def start(factor=3.0, shift=0.0, shape=(3, 6, 6), opset=17):
    """Pre-activations of about -3 to 3 times `factor` / 3, moved by `shift`."""
    chain = Chain(shape)
    chain.opset = opset
    chain.conv(4, total=0.0, **SAME).add("Mul", np.float32(factor))
    return chain.add("Add", np.float32(shift)) if shift else chain


def positive(chain):
    """Values from 0.5 up; the pool keeps the clamp apart from the function behind it."""
    return chain.add("Relu").add("MaxPool", kernel_shape=[2, 2]).add("Add", np.float32(0.5))


def test_two_powers_of_one_tensor_have_ranges_of_their_own():
    """x^2 beside x^4: both are powers, the second one reaches farther."""
    chain = start()
    base = chain.at
    square = chain.add("Pow", np.float32(2)).at
    chain.at = base
    end(chain.add("Pow", np.float32(4)).add("Concat", square, axis=1))
    network = converted(chain.model(), mode="exact", steps=50, method="mse", calibrate=dataset(chain.images(8)))
    powers = [layer for layer in network.layers if layer.kind == "spiking" and layer.activation is not None]
    highest = {layer.activation.exponent: float(layer.hi.max()) for layer in powers}
    assert highest[4.0] > 20 * highest[2.0]


def end(chain):
    """A convolution, a ReLU and a readout behind whatever is there."""
    return chain.conv(3, (2, 2)).add("Relu").readout()


def activations(network):
    return [layer.activation.kind for layer in network.layers if layer.kind == "spiking" and layer.activation is not None]


INCREASING = {
    "Atan": ("arctangent", {}, 17),
    "Celu": ("exponential_linear", {}, 17),
    "Celu of 2": ("exponential_linear", {"alpha": 2.0}, 17),
    "Celu of 0.5": ("exponential_linear", {"alpha": 0.5}, 17),
    "Elu": ("exponential_linear", {}, 17),
    "Elu of 0.3": ("exponential_linear", {"alpha": 0.3}, 17),
    "Elu of 2": ("exponential_linear", {"alpha": 2.0}, 17),
    "Erf": ("erf", {}, 17),
    "Exp": ("exponential", {}, 17),
    "Selu": ("exponential_linear", {}, 17),
    "Selu of 1 and 2": ("exponential_linear", {"alpha": 1.0, "gamma": 2.0}, 17),
    "Shrink": ("shrinkage", {}, 17),
    "Shrink softly": ("shrinkage", {"lambd": 0.5, "bias": 0.5}, 17),
    "Shrink in between": ("shrinkage", {"lambd": 1.0, "bias": 0.25}, 17),
    "Sigmoid": ("sigmoid", {}, 17),
    "Softplus": ("softplus", {}, 17),
    "Softsign": ("softsign", {}, 17),
    "Tanh": ("tanh", {}, 17),
    "ThresholdedRelu": ("jump", {}, 17),
    "ThresholdedRelu of 0.4": ("jump", {"alpha": 0.4}, 17),
}
VALLEYS = {
    "Gelu": ("gelu", {}, 20),
    "Gelu of tanh": ("tanh_gelu", {"approximate": "tanh"}, 20),
    "HardSwish": ("hard_swish", {}, 17),
    "Mish": ("mish", {}, 18),
}


@pytest.mark.parametrize("name", INCREASING)
def test_increasing_functions_are_one_population_each(name):
    kind, attributes, opset = INCREASING[name]
    chain = start(opset=opset).add(name.split()[0], **attributes)
    network = exact(end(chain).model(), chain.images(6))
    assert activations(network) == [kind] and network.windows == 3


@pytest.mark.parametrize("name", ("Sigmoid", "Tanh", "Elu", "Shrink", "ThresholdedRelu"))
def test_behind_a_dense_layer_and_another_function(name):
    chain = Chain((7,)).gemm(9, 0.0).add("Mul", np.float32(4)).add(name).gemm(8).add("Tanh").readout()
    network = exact(chain.model(), chain.images(12))
    assert activations(network) == [INCREASING[name][0], "tanh"]


@pytest.mark.parametrize("name", VALLEYS)
@pytest.mark.parametrize("factor", (3.0, 9.0))
def test_valleys_are_two_populations_in_one_window(name, factor):
    kind, attributes, opset = VALLEYS[name]
    chain = start(factor, opset=opset).add(name.split()[0], **attributes)
    network = exact(end(chain).model(), chain.images(6))
    assert activations(network) == [kind] * 2 and network.windows == 3


@pytest.mark.parametrize("name", VALLEYS)
@pytest.mark.parametrize("low", (-0.5, 0.0))
def test_valleys_of_potentials_on_one_side_are_one_population(name, low):
    kind, attributes, opset = VALLEYS[name]
    chain = start(opset=opset).add("Relu").conv(4, (1, 1)).add("Relu").add("Add", np.float32(low))
    chain.add("MaxPool", kernel_shape=[2, 2]).add(name.split()[0], **attributes)
    network = exact(end(chain).model(), chain.images(6))
    assert activations(network) == [kind]


@pytest.mark.parametrize("operator", ("Log", "Sqrt", "Reciprocal"))
def test_functions_of_positive_values(operator):
    chain = positive(start()).add(operator)
    network = exact(end(chain).model(), chain.images(6))
    assert activations(network) == [{"Log": "logarithm"}.get(operator, "power")]


def test_a_root_from_zero_on():
    """Infinitely steep at 0, where float32's last digits of a potential decide."""
    chain = start().add("Relu").add("Sqrt")
    assert activations(exact(end(chain).model(), chain.images(6)))


def test_a_reciprocal_of_negative_values():
    chain = positive(start()).add("Neg").add("Reciprocal")
    assert activations(exact(end(chain).model(), chain.images(6))) == ["power"]


@pytest.mark.parametrize("exponent, halves", ((2, 2), (4, 2), (3, 1), (5, 1)))
def test_whole_powers_of_any_values(exponent, halves):
    chain = start(2.0).add("Pow", np.float32(exponent))
    network = exact(end(chain).model(), chain.images(6))
    assert activations(network) == ["power"] * halves


@pytest.mark.parametrize("exponent", (0.5, 1.5, 2, 3, -1, -2, -0.5))
def test_powers_of_positive_values(exponent):
    chain = positive(start()).add("Pow", np.float32(exponent))
    network = exact(end(chain).model(), chain.images(6))
    assert activations(network) == ["power"]


@pytest.mark.parametrize("exponent", (-1, -2, -3))
def test_powers_of_negative_values(exponent):
    chain = positive(start()).add("Neg").add("Pow", np.float32(exponent))
    assert activations(exact(end(chain).model(), chain.images(6))) == ["power"]


def test_an_exponent_of_whole_numbers():
    chain = start(2.0).add("Pow", np.int64(2))
    assert activations(exact(end(chain).model(), chain.images(6))) == ["power"] * 2


def test_a_power_of_one_is_none():
    chain = start().add("Relu").conv(4, (1, 1)).add("Pow", np.float32(1)).add("Relu")
    assert not set(activations(exact(end(chain).model(), chain.images(6)))) - {"monotone_table"}


@pytest.mark.parametrize("name", ("Sigmoid", "Tanh", "Elu", "Exp", "Softplus"))
def test_a_max_pool_before_or_behind_an_increasing_function(name):
    for pool_first in (True, False):
        chain, geometry = start(), {"kernel_shape": [2, 2], "strides": [2, 2]}
        if pool_first:
            chain.add("MaxPool", **geometry).add(name)
        else:
            chain.add(name).add("MaxPool", **geometry)
        network = exact(end(chain).model(), chain.images(6))
        assert activations(network) == [INCREASING[name][0]] and network.tail is None and "max_pool" in [layer.kind for layer in network.layers]


def test_a_max_pool_before_a_valley():
    chain = start().add("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).add("HardSwish")
    assert activations(exact(end(chain).model(), chain.images(6))) == ["hard_swish"] * 2


@pytest.mark.parametrize("operator", ("Sigmoid", "HardSwish"))
@pytest.mark.parametrize(
    "behind",
    (
        lambda chain: chain.add("AveragePool", kernel_shape=[2, 2]),
        lambda chain: chain.add("Transpose", perm=[0, 1, 3, 2]),
        lambda chain: chain.add("GlobalAveragePool"),
        lambda chain: chain.add("Mul", np.float32([-1, 2, 0.5, 3]).reshape(4, 1, 1)),
        lambda chain: chain.add("Add", chain.first),
        lambda chain: chain.add("Concat", chain.first, axis=1),
        lambda chain: chain.add("Pad", np.array([0, 0, 1, 1, 0, 0, 0, 1]), np.float32(0)),
        lambda chain: chain.batch_norm(-1),
    ),
    ids=("average", "transpose", "global average", "mul", "add", "concat", "pad", "batch norm"),
)
def test_what_reads_a_function(operator, behind):
    chain = start()
    before = chain.at
    chain.first = chain.add("Relu").at
    chain.at = before
    behind(chain.add(operator))
    if chain.width(2) == 1:
        exact(chain.readout().model(), chain.images(6))
    else:
        exact(end(chain).model(), chain.images(6))


def test_a_function_that_a_residual_sum_and_another_function_read():
    chain = start()
    shortcut = chain.add("Sigmoid").at
    chain.conv(4, **SAME).add("Tanh").add("Add", shortcut).add("Elu")
    assert activations(exact(end(chain).model(), chain.images(6))) == ["sigmoid", "tanh", "exponential_linear"]


def test_a_pre_activation_that_several_functions_read():
    chain = start()
    before = chain.at
    first = chain.add("Sigmoid").at
    chain.at = before
    second = chain.add("Tanh").at
    chain.at = before
    chain.add("HardSwish").add("Add", first).add("Add", second)
    assert sorted(activations(exact(end(chain).model(), chain.images(6)))) == ["hard_swish", "hard_swish", "sigmoid", "tanh"]


def test_a_function_of_a_function_and_of_a_clamp():
    chain = start().add("Clip", np.float32(-1), np.float32(1.5)).add("Sigmoid").add("Sqrt")
    network = exact(end(chain).model(), chain.images(6))
    assert activations(network)


def test_ranges_are_those_of_the_data_per_channel():
    chain = start().add("Mul", np.float32([0.1, 1, 2, 5]).reshape(4, 1, 1)).add("Elu")
    hidden = chain.at
    model, x = end(chain).model(), chain.images(6)
    network = exact(model, x)
    (layer,) = (layer for layer in network.layers if layer.kind == "spiking" and layer.activation is not None)
    values = Reference(model, [hidden])(x)[hidden]
    assert layer.tensor == hidden and len(set(layer.hi.tolist())) > 1
    assert (layer.lo <= values.min((0, 2, 3))).all() and (layer.hi >= values.max((0, 2, 3))).all()
    assert (layer.lo >= -1).all()


@pytest.mark.parametrize("operator", ("Sigmoid", "Tanh", "Exp", "HardSwish", "Softsign"))
def test_a_function_of_the_input_that_a_convolution_reads(operator):
    """It stays preprocessing."""
    chain = Chain((3, 6, 6)).add(operator)
    network = exact(end(chain).model(), chain.images(6))
    assert activations(network) == [] and network.head is not None


@pytest.mark.parametrize("operator", ("Sigmoid", "Tanh", "Exp", "HardSwish", "Mish", "Softplus"))
def test_a_function_that_ends_the_network_stays_in_the_tail(operator):
    chain = start().add("Relu").readout().add(operator)
    network = exact(chain.model(opset=18), chain.images(6))
    assert activations(network) == [] and network.tail is not None


# What is refused


def refusal(model, **options):
    with pytest.raises(UnsupportedModel) as refused:
        converted(model, **{"mode": "exact", **options})
    return refused.value


@pytest.mark.parametrize(
    "operator, inputs, attributes, reason",
    (
        ("ThresholdedRelu", (), {"alpha": -1.0}, "it falls where x rises past -1"),
        ("Elu", (), {"alpha": -1.0}, "no increasing function with alpha -1"),
        ("Shrink", (), {"lambd": 0.5, "bias": 1.0}, "no increasing function with bias 1, lambd 0.5"),
        ("Pow", (np.float32([1, 2, 3, 4]).reshape(4, 1, 1),), {}, "its exponents differ or are not finite"),
        ("Pow", (np.float32(-2),), {}, "it has a pole between negative and positive values"),
        ("Asinh", (), {}, "no spiking form here"),
    ),
)
def test_what_does_not_increase_is_refused(operator, inputs, attributes, reason):
    chain = start().add(operator, *inputs, **attributes)
    error = refusal(end(chain).model(), calibrate=dataset(chain.images(6)))
    assert len(error.nodes) == 1 and error.nodes[0][1] == operator and reason in error.nodes[0][2]
    assert error.nodes[0][0].startswith(operator.lower()) and error.nodes[0][3]


@pytest.mark.parametrize("mode", ("strict", "unchecked"))
@pytest.mark.parametrize("operator", ("Sigmoid", "Softplus", "Exp", "Sqrt", "Reciprocal"))
def test_the_paper_knows_no_threshold_with_a_shape(mode, operator):
    chain = Chain((3, 6, 6)).conv(4).relu1().add(operator)
    error = refusal(chain.conv(3, (2, 2)).relu1().readout().model(), mode=mode)
    assert len(error.nodes) == 1 and error.nodes[0][1] == operator
    assert "its threshold would have a shape" in error.nodes[0][2] and "--mode exact" in error.nodes[0][3]


@pytest.mark.parametrize("operator", ("Sqrt", "Log", "Reciprocal"))
def test_values_that_a_function_is_not_defined_for_are_said(operator):
    """Roots and logarithms of negative numbers are NaN, a reciprocal of both signs is none that rises."""
    chain = start().add(operator)
    with pytest.raises(TtfsError, match="not finite" if operator != "Reciprocal" else "on one side of a pole"):
        converted(end(chain).model(), mode="exact", calibrate=dataset(chain.images(6)))
