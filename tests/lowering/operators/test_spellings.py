"""Activations of two slopes that are written out: one node of two populations, a clamp or a factor, whatever the operators."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from tests.models import Chain, converted, dataset, exact
from ttfs_convert.conversion.refusals import ConstraintError
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.onnx_model.reference import Reference

QUICK = settings(derandomize=True, deadline=None, max_examples=12)
SAME = {"pads": [1] * 4}
ONE, TWO = ["whole", "whole"], ["positive", "negated", "whole"]


def start():
    return Chain((2, 5, 4)).conv(4, **SAME)


def end(chain):
    return chain.conv(3, (2, 2)).add("Relu").readout(3)


def at(chain, tensor):
    chain.at = tensor
    return chain


def parts(network):
    return [layer.part for layer in network.layers if layer.kind == "spiking"]


def mask(operator, swapped=False, negated=False, kind=TensorProto.FLOAT):
    """x times (x compared with 0)."""

    def written(chain):
        x = chain.at
        if swapped:
            at(chain, chain.constant(np.float32(0))).add(operator, x)
        else:
            chain.add(operator, np.float32(0))
        if negated:
            chain.add("Not")
        if kind != TensorProto.FLOAT:
            chain.add("Cast", to=kind)
        return chain.add("Cast", to=TensorProto.FLOAT).add("Mul", x)

    return written


@pytest.mark.parametrize("larger", ("Greater", "GreaterOrEqual"))
@pytest.mark.parametrize("smaller", ("Less", "LessOrEqual"))
def test_masks(larger, smaller):
    for written, kinds in (
        (mask(larger), ONE),
        (mask(smaller, swapped=True), ONE),
        (mask(smaller, negated=True), ONE),
        (mask(larger, kind=TensorProto.INT64), ONE),
        (mask(smaller), ["negated", "whole"]),
        (mask(larger, swapped=True), ["negated", "whole"]),
    ):
        chain = start()
        network = exact(end(written(chain)).model(), chain.images(5))
        assert parts(network) == kinds and network.windows == 3


def where(positive, negative, operator="Greater"):
    """Each branch is a factor times x; 1 is x itself, 0 a constant."""

    def written(chain):
        x = chain.at
        condition = chain.add(operator, np.float32(0)).at
        branches = [
            x if factor == 1 else chain.constant(np.float32(0)) if factor == 0 else at(chain, x).add("Mul", np.float32(factor)).at
            for factor in (positive, negative)
        ]
        return at(chain, condition).add("Where", *branches)

    return written


@pytest.mark.parametrize("operator", ("Greater", "LessOrEqual"))
@pytest.mark.parametrize("factors", ((1, 0.1), (0.1, 1), (1, 0), (0, 1), (2, -0.5), (-1, 1), (3, 0)))
def test_choices(factors, operator):
    chain = start()
    network = exact(end(where(*factors, operator)(chain)).model(), chain.images(5))
    assert network.windows == 3 and len(parts(network)) == (3 if all(factors) else 2)


def extreme(operator, *factors):
    def written(chain):
        x = chain.at
        first, *others = [x if factor == 1 else at(chain, x).add("Mul", np.float32(factor)).at for factor in factors]
        return at(chain, first).add(operator, *others)

    return written


def relus(chain):
    """relu(x) - 0.2 relu(-x), as Keras writes PReLU."""
    x = chain.at
    first = chain.add("Relu").at
    return at(chain, x).add("Neg").add("Relu").add("Mul", np.float32([[[[-0.2]]]])).add("Add", first)


def half_of_sum(chain):
    x = chain.at
    return chain.add("Abs").add("Add", x).add("Div", np.float32(2))


def by_sign(chain):
    x = chain.at
    return chain.add("Sign").add("Mul", x)


def chosen_slope(chain):
    x = chain.at
    return chain.add("Greater", np.float32(0)).add("Where", np.float32(1), np.float32([[[[0.1]], [[-0.2]], [[0]], [[2]]]])).add("Mul", x)


def interpolated(chain):
    x = chain.at
    chain.add("Greater", np.float32(0)).add("Cast", to=TensorProto.FLOAT)
    return chain.add("Mul", np.float32(0.7)).add("Add", np.float32(0.3)).add("Mul", x)


@pytest.mark.parametrize(
    "written, kinds",
    (
        (extreme("Max", 1, 0.1), TWO),
        (extreme("Max", 0.1, 1), TWO),
        (extreme("Max", 1, -1), TWO),
        (extreme("Max", 1, 2, 0.5), TWO),
        (extreme("Min", 1, 0.1), TWO),
        (extreme("Min", 1, -1), TWO),
        (relus, TWO),
        (half_of_sum, ["positive", "whole"]),
        (by_sign, TWO),
        (chosen_slope, TWO),
        (interpolated, TWO),
    ),
)
def test_other_ways(written, kinds):
    chain = start()
    network = exact(end(written(chain)).model(), chain.images(5))
    assert parts(network) == kinds and network.windows == 3


def test_in_front_of_a_max_pool():
    chain = start()
    where(1, 0.1)(chain).add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    assert parts(exact(end(chain).model(), chain.images(5))) == ["positive", "negative", "whole"]


def test_what_something_else_reads_stays():
    """The ReLU of relu(x) + 0.5 x is an activation of its own where another layer reads it."""
    chain = start()
    x = chain.at
    first = chain.add("Relu").at
    other = chain.conv(4, **SAME).at
    total = at(chain, x).add("Mul", np.float32(0.5)).add("Add", first).add("Add", other).at
    network = exact(end(at(chain, total)).model(), chain.images(5))
    assert "negated" not in parts(network)


def test_in_the_tail_it_stays_as_it_is():
    chain = start().add("Relu").readout()
    network = exact(where(1, 0.1)(chain).model(), chain.images(5))
    assert parts(network) == ["whole"] and network.tail is not None


@pytest.mark.parametrize(
    "written",
    (
        lambda chain, x: chain.add("Greater", np.float32(0)).add("Cast", to=1),  # a step
        lambda chain, x: chain.add("Greater", np.float32(0)).add("Cast", to=1).add("Mul", "x"),  # of another tensor
    ),
)
def test_what_is_no_activation_of_two_slopes_is_refused(written):
    chain = Chain((4, 6, 6)).conv(4, **SAME)
    written(chain, chain.at)
    with pytest.raises(UnsupportedModel):
        converted(end(chain).model(), mode="exact", calibrate=dataset(chain.images(5)))


def test_mode_strict_names_the_operator():
    with pytest.raises(ConstraintError) as refusal:
        converted(where(1, 0.1)(Chain((3, 6, 6)).conv(4)).conv(3).relu1().readout().model())
    assert "activation is Where, not ReLU1" in [violation.problem for violation in refusal.value.violations]


FACTORS = st.sampled_from((-2.0, -0.5, 0.0, 0.3, 1.5))
GAINS = st.recursive(
    st.sampled_from(("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Sign")).map(lambda operator: ("mask", operator)),
    lambda gains: (
        st.tuples(st.just("scaled"), gains, FACTORS) | st.tuples(st.just("shifted"), gains, FACTORS) | st.tuples(st.just("both"), gains, gains)
    ),
    max_leaves=2,
)
LINES = st.recursive(
    st.just(("x",)),
    lambda lines: (
        st.tuples(st.just("scaled"), lines, FACTORS)
        | st.tuples(st.just("gained"), GAINS, lines)
        | st.tuples(st.just("bent"), st.sampled_from(("Relu", "Abs", "Neg", "LeakyRelu")), lines)
        | st.tuples(st.sampled_from(("Add", "Sub", "Max", "Min")), lines, lines)
        | st.tuples(st.just("Where"), lines, lines)
    ),
    max_leaves=4,
)


def build(chain, x, tree):
    """The tensor of an expression."""
    kind, *rest = tree
    if kind == "x":
        return x
    if kind == "mask":
        at(chain, x)
        return chain.add("Sign").at if rest[0] == "Sign" else chain.add(rest[0], np.float32(0)).add("Cast", to=TensorProto.FLOAT).at
    if kind in ("scaled", "shifted"):
        return at(chain, build(chain, x, rest[0])).add("Mul" if kind == "scaled" else "Add", np.float32(rest[1])).at
    if kind == "bent":
        return at(chain, build(chain, x, rest[1])).add(rest[0]).at
    first, second = (build(chain, x, part) for part in rest)
    if kind == "Where":
        return at(chain, x).add("Greater", np.float32(0)).add("Where", first, second).at
    return at(chain, first).add("Mul" if kind in ("gained", "both") else kind, second).at


@QUICK
@given(LINES)
def test_any_expression_that_bends_at_0(tree):
    chain = start()
    x = chain.at
    at(chain, build(chain, x, tree)).add("Add", x)
    model = end(chain).model()
    (values,) = Reference(model)(chain.images(4)).values()
    assume(np.ptp(values) > 0.1)
    exact(model, chain.images(4), tolerance=5e-5)
