"""Functions of one tensor that are written out in several operators: found whatever their spelling, and equal to ONNX Runtime."""

import numpy as np
import pytest
from onnx import helper

from tests.lowering.operators.test_curves import SAME, activations, end, refusal, start
from tests.lowering.operators.written_out import (
    Spelling,
    absolute_sigmoid,
    bell,
    elu_by_where,
    erf_gelu,
    erf_gelu_halved_first,
    erf_gelu_halved_inside,
    f,
    gelu_between_lines,
    hard_swish_between_lines,
    hard_swish_by_clip,
    hard_swish_by_hard_sigmoid,
    hard_swish_by_max_and_min,
    hard_swish_by_relu_and_min,
    jump,
    log_cosh,
    mish,
    mish_by_log,
    quick_gelu,
    root_of_square,
    sigmoid_by_exp,
    sign_times_log,
    silu,
    silu_by_exp,
    silu_other_order,
    soft_shrink,
    softplus_by_log,
    softsign,
    spelled,
    square,
    squared_relu,
    squared_relu_by_pow,
    tanh_by_sigmoid,
    tanh_gelu_of_pow,
    tanh_gelu_of_products,
    tanh_shrink_product,
    times,
)
from tests.models import converted, dataset, exact

SPELLINGS = {
    erf_gelu: {"gelu"},
    erf_gelu_halved_first: {"gelu"},
    erf_gelu_halved_inside: {"gelu"},
    tanh_gelu_of_pow: {"tanh_gelu"},
    tanh_gelu_of_products: {"tanh_gelu"},
    silu: {"silu"},
    silu_other_order: {"silu"},
    quick_gelu: {"silu"},
    silu_by_exp: {"silu"},
    hard_swish_by_clip: {"hard_swish"},
    hard_swish_between_lines: {"hard_swish"},
    gelu_between_lines: {"gelu"},
    hard_swish_by_hard_sigmoid: {"hard_swish"},
    hard_swish_by_relu_and_min: {"hard_swish"},
    hard_swish_by_max_and_min: {"hard_swish"},
    mish: {"mish"},
    mish_by_log: {"mish"},
    softplus_by_log: {"softplus"},
    softsign: {"softsign"},
    square: {"power"},
    sigmoid_by_exp: {"sigmoid"},
    tanh_by_sigmoid: {"sigmoid"},
    soft_shrink: {"monotone_table"},
    tanh_shrink_product: {"monotone_table"},
    bell: {"monotone_table"},
    log_cosh: None,
    root_of_square: {"monotone_table"},
    squared_relu: None,
    squared_relu_by_pow: None,
    elu_by_where: None,
    jump: {"monotone_table"},
    sign_times_log: None,
}
HALVES = ("gelu", "tanh_gelu", "silu", "hard_swish", "mish", "power")


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda spelling: spelling.__name__)
def test_any_spelling_is_the_function(spelling):
    chain = spelled()
    chain.at = spelling(chain)
    network = exact(end(chain).model(), chain.images(6))
    found, expected = activations(network), SPELLINGS[spelling]
    if expected is not None:
        assert set(found) == expected and network.windows == 3
        assert len(found) == 2 if expected & set(HALVES) else len(found) in (1, 2)


@pytest.mark.parametrize("spelling", (silu, soft_shrink, bell, erf_gelu), ids=lambda spelling: spelling.__name__)
@pytest.mark.parametrize("factor", (0.3, 30.0, 300.0))
def test_small_and_large_potentials(spelling, factor):
    """Beyond what was sampled too."""
    chain = spelled(factor)
    chain.at = spelling(chain)
    exact(end(chain).model(), chain.images(6))


@pytest.mark.parametrize("spelling", (silu, hard_swish_by_clip, tanh_shrink_product), ids=lambda spelling: spelling.__name__)
def test_behind_dense_layers(spelling):
    chain = Spelling((7,)).gemm(9, 0.0).add("Mul", f(4)).begin()
    chain.at = spelling(chain)
    chain.gemm(8, 0.0).begin()
    chain.at = spelling(chain)
    network = exact(chain.readout().model(), chain.images(12))
    assert len(activations(network)) == 4 and network.windows == 3


@pytest.mark.parametrize("alpha", (0.05, 0.9999, 1.702, 30))
def test_a_swish_of_any_slope(alpha):
    chain = spelled()
    chain.at = times(chain, chain.base, chain.on(chain.on(chain.base, "Mul", f(alpha)), "Sigmoid"))
    exact(end(chain).model(), chain.images(6))


def test_a_swish_of_no_slope_is_half():
    """x sigmoid(0 x) = x / 2."""
    chain = spelled()
    chain.at = times(chain, chain.base, chain.on(chain.on(chain.base, "Mul", f(1e-7)), "Sigmoid"))
    exact(end(chain).model(), chain.images(6))


def test_what_is_between_may_be_clamped_far_away():
    """min(silu(x), 20), of which 20 lies beyond where functions are named."""
    chain = spelled(60.0)
    chain.at = chain.on(silu(chain), "Min", f(20))
    exact(end(chain).model(), chain.images(6))


def test_a_curve_that_no_line_continues_is_no_table():
    """(relu(x) + 1)^1.5 of potentials far beyond the samples."""
    chain = spelled(600.0)
    chain.at = chain.on(chain.on(chain.on(chain.base, "Relu"), "Add", f(1)), "Pow", f(1.5))
    exact(end(chain).model(), chain.images(6))


def test_a_root_is_exact_near_0():
    chain = spelled(0.03)
    chain.at = chain.on(chain.on(chain.base, "Relu"), "Sqrt")
    exact(end(chain).model(), chain.images(6), 1e-4)


def test_a_tensor_inside_that_others_read():
    """The sigmoid has neurons of its own, and x sigmoid(x) is a product of two computed tensors."""
    chain = spelled()
    inner = chain.on(chain.base, "Sigmoid")
    product = times(chain, chain.base, inner)
    chain.at = product
    chain.add("Concat", inner, axis=1)
    network = exact(end(chain).model(), chain.images(6))
    assert set(activations(network)) == {"sigmoid", "power"}


def test_a_tensor_inside_that_is_an_output():
    chain = spelled()
    inner = chain.on(chain.base, "Sigmoid")
    chain.at = times(chain, chain.base, inner)
    network = exact(end(chain).model(chain.at, inner), chain.images(6))
    assert {"sigmoid", "power"} >= set(activations(network))


def test_the_base_that_a_residual_sum_reads_too():
    chain = spelled()
    chain.at = silu(chain)
    chain.add("Add", chain.base)
    exact(end(chain).model(), chain.images(6))


def test_the_base_that_a_convolution_reads_too():
    chain = spelled()
    chain.at = chain.base
    beside = chain.conv(4, **SAME).at
    chain.at = silu(chain)
    chain.conv(4, **SAME).add("Add", beside).add("Relu")
    exact(end(chain).model(), chain.images(6))


def test_the_function_that_two_read():
    chain = spelled()
    first = silu(chain)
    chain.at = first
    chain.conv(4, **SAME).begin()
    chain.at = silu(chain)
    chain.add("Add", first)
    exact(end(chain).model(), chain.images(6))


def test_the_base_is_a_concatenation():
    chain = start()
    first = chain.at
    chain.at = "x"
    chain.conv(2, **SAME).add("Concat", first, axis=1)
    chain.__class__ = Spelling
    chain.begin()
    chain.at = silu(chain)
    exact(end(chain).model(), chain.images(6))


def test_the_base_is_a_sum_of_spikes():
    chain = start()
    shortcut = chain.add("Relu").at
    chain.conv(4, **SAME).add("Add", shortcut)
    chain.__class__ = Spelling
    chain.begin()
    chain.at = erf_gelu(chain)
    exact(end(chain).model(), chain.images(6))


@pytest.mark.parametrize("pool", ("MaxPool", "AveragePool"))
def test_a_pool_before_and_behind(pool):
    for first in (True, False):
        chain = start()
        if first:
            chain.add(pool, kernel_shape=[2, 2], strides=[2, 2])
        chain.__class__ = Spelling
        chain.begin()
        chain.at = silu(chain)
        if not first and pool == "AveragePool":
            chain.add(pool, kernel_shape=[2, 2], strides=[2, 2])
        exact(end(chain).model(), chain.images(6))


def test_a_function_of_the_input_stays_preprocessing():
    chain = Spelling((3, 6, 6)).begin()
    chain.at = silu(chain)
    network = exact(end(chain).model(), chain.images(6))
    assert activations(network) == [] and network.head is not None


def test_a_function_behind_the_last_layer_stays_in_the_tail():
    chain = Spelling((3, 6, 6)).conv(4).add("Relu").readout().begin()
    chain.at = silu(chain)
    network = exact(chain.model(), chain.images(6))
    assert activations(network) == [] and network.tail is not None


def test_two_extremes_are_refused_at_the_node():
    """sin(x) x."""
    chain = spelled()
    chain.at = times(chain, chain.base, chain.on(chain.base, "Asinh"))
    error = refusal(end(chain).model(), calibrate=dataset(chain.images(6)))
    assert [node[1] for node in error.nodes] == ["Asinh"] and "first Asinh 'asinh2'" in str(error)


def test_with_more_extremes_a_product_stays_one():
    """|x| sigmoid(x) rises to -1.3, falls to 0 and rises again."""
    chain = spelled()
    chain.at = absolute_sigmoid(chain)
    assert activations(exact(end(chain).model(), chain.images(6))).count("power") > 1


def test_a_polynomial_is_a_sum_of_functions():
    """x^2 x - 3 x."""
    chain = spelled()
    cube = times(chain, times(chain, chain.base, chain.base), chain.base)
    chain.at = chain.on(cube, "Sub", chain.on(chain.base, "Mul", f(3)))
    assert activations(exact(end(chain).model(), chain.images(6))) == ["power"]


@pytest.mark.parametrize("mode", ("strict", "unchecked"))
def test_the_modes_of_the_paper_refuse_a_written_out_function(mode):
    chain = Spelling((3, 6, 6)).conv(4).begin()
    chain.at = silu(chain)
    error = refusal(chain.conv(3, (2, 2)).relu1().readout().model(), mode=mode)
    assert {node[1] for node in error.nodes} <= {"Sigmoid", "Mul"} and "ReLU1" in error.remedy + str(error)


def test_constants_in_nodes_of_their_own():
    """As some exporters leave them."""
    chain = spelled()
    inner = chain.on(chain.on(chain.base, "Mul", f(1.702)), "Sigmoid")
    chain.at = times(chain, chain.base, inner)
    model = end(chain).model()
    constants = list(model.graph.initializer)
    del model.graph.initializer[:]
    nodes = [helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in constants] + list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    assert set(activations(exact(model, chain.images(6)))) == {"silu"}


def test_a_constant_per_channel_is_not_one_function():
    chain = spelled()
    scaled = chain.on(chain.base, "Mul", np.float32([1, 2, 3, 4]).reshape(4, 1, 1))
    chain.at = times(chain, scaled, chain.on(scaled, "Sigmoid"))
    assert set(activations(exact(end(chain).model(), chain.images(6)))) == {"silu"}


def test_halves_that_potentials_never_reach_are_left_out():
    chain = start().add("Relu").conv(4, (1, 1)).add("Relu").add("MaxPool", kernel_shape=[2, 2])
    chain.__class__ = Spelling
    chain.begin()
    chain.at = silu(chain)
    network = converted(end(chain).model(), mode="exact", calibrate=dataset(chain.images(6)))
    assert activations(network) == ["silu"]
