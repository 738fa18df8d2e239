"""Each function against its definition, and its inverse against what thresholds need: the smallest potential that reaches a value."""

import math

import numpy as np
import pytest

from tests.network.activations.twins import INCREASING, TWINS, VALLEYS
from ttfs_convert.network.activations.exponential_linear import ExponentialLinear
from ttfs_convert.network.activations.jump import Jump
from ttfs_convert.network.activations.monotone_table import MonotoneTable
from ttfs_convert.network.activations.power import Power
from ttfs_convert.network.activations.shrinkage import Shrinkage
from ttfs_convert.network.activations.sigmoid import Sigmoid
from ttfs_convert.network.activations.silu import Silu
from ttfs_convert.network.activations.tanh import Tanh

EACH = pytest.mark.parametrize("name", TWINS)
VALLEY = pytest.mark.parametrize("name", VALLEYS)


def potentials_of(name: str, count: int = 400) -> np.ndarray:
    twin = TWINS[name]
    return np.sort(np.random.default_rng(0).uniform(twin.low, twin.high, count))


@EACH
def test_values_are_those_of_the_definition(name):
    v = potentials_of(name)
    activation, definition, *_ = TWINS[name]
    expected = [definition(float(each)) for each in v]
    found = activation.value(v)
    assert found.dtype == np.float64 and found.shape == v.shape and np.ptp(expected) > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=2e-9 if "," in name else 1e-14)  # a minimum found by steps is close


@EACH
def test_values_of_any_shape(name):
    v = potentials_of(name, 12)
    value = TWINS[name].activation.value
    for shape in ((3, 4), (1, 12), (2, 3, 2)):
        np.testing.assert_array_equal(value(v.reshape(shape)), value(v).reshape(shape))
    assert value(np.asarray(v[3])).shape == () and float(value(np.asarray(v[3]))) == value(v)[3]


@EACH
def test_values_never_fall_and_stay_within_the_bounds(name):
    activation = TWINS[name].activation
    far = np.sinh(np.linspace(-60, 60, 2001))
    values = activation.value(np.concatenate([[-np.inf], far, [np.inf]]))
    assert not np.isnan(values).any()
    assert (values[1:] >= values[:-1] - 1e-12 * np.minimum(np.abs(values[1:]), 1e3)).all()
    low, high = activation.bounds
    assert low < high and values.min() >= low - 1e-15 and values.max() <= high + 1e-15


@EACH
def test_potentials_of_infinity_give_the_bounds_that_a_function_has(name):
    activation = TWINS[name].activation
    low, high = activation.bounds
    assert activation.value(np.array([-np.inf, np.inf])) == pytest.approx([low, high], abs=1e-15)


def inner_values(name: str) -> np.ndarray:
    """That the function takes, its flat parts' included."""
    v = potentials_of(name)
    values = TWINS[name].activation.value(v)
    return np.unique(values[(values > TWINS[name].activation.bounds[0]) & (values < TWINS[name].activation.bounds[1])])


@EACH
def test_the_inverse_is_the_smallest_potential_that_reaches_a_value(name):
    activation, values = TWINS[name].activation, inner_values(name)
    assert values.size > 30
    potentials = activation.inverse(values)
    beside = 1e-7 * np.maximum(np.abs(potentials), 1)
    assert np.isfinite(potentials).all() and (np.diff(potentials) > 0).all()
    assert (activation.value(potentials + beside) >= values).all(), "reached too late"
    assert (activation.value(potentials - beside) < values).all(), "reached earlier"


@EACH
def test_the_inverse_gives_the_potential_back_where_the_function_rises(name):
    activation, v = TWINS[name].activation, potentials_of(name)
    values = activation.value(v)
    rises = (activation.value(v + 1e-4) - values > 1e-6) & (values - activation.value(v - 1e-4) > 1e-6)
    assert rises.sum() > 30
    np.testing.assert_allclose(activation.inverse(values)[rises], v[rises], rtol=1e-9, atol=1e-9)


@EACH
def test_values_between_those_of_a_jump_are_reached_behind_it(name):
    """Of any value in the range, taken or not."""
    activation, values = TWINS[name].activation, inner_values(name)
    wanted = np.linspace(values[0], values[-1], 301)[1:-1]
    potentials = activation.inverse(wanted)
    beside = 1e-7 * np.maximum(np.abs(potentials), 1)
    assert (activation.value(potentials + beside) >= wanted).all() and (activation.value(potentials - beside) < wanted).all()


@EACH
def test_values_at_and_beyond_the_bounds(name):
    """What every potential reaches is reached at -inf; what none does, at inf."""
    activation = TWINS[name].activation
    low, high = activation.bounds
    if math.isfinite(low):
        assert activation.inverse(np.array([low, low - 1e-3, low - 1, -1e30])).tolist() == [-np.inf] * 4
    if math.isfinite(high):
        beyond = activation.inverse(np.array([high + 1e-3, high + 1, 1e30]))
        assert beyond.tolist() == [np.inf] * 3
        assert activation.value(activation.inverse(np.array([high]))) == pytest.approx(high, abs=1e-12)


@EACH
def test_functions_of_one_name_and_parameters_are_one(name):
    activation = TWINS[name].activation
    again = type(activation).model_validate(activation.model_dump())
    activation.value(np.zeros(1))
    assert again == activation and hash(again) == hash(activation) and len({again, activation}) == 1


def test_functions_of_other_parameters_are_others():
    every = [twin.activation for twin in TWINS.values()]
    assert len(set(every)) == len(every)
    first = MonotoneTable(potentials=np.float32([0, 1]), values=np.float32([0, 1]))
    others = (([0, 1], [0, 2]), ([0, 2], [0, 1]), ([0, 1, 2], [0, 1, 2]))
    for potentials, values in others:
        assert first != MonotoneTable(potentials=np.float32(potentials), values=np.float32(values))
    assert first != Tanh() and Tanh() != first


# Valleys


@VALLEY
def test_the_minimum_is_one(name):
    kind, curve = VALLEYS[name]
    rising, falling = kind(side="rising"), kind(side="falling")
    assert rising.lowest_at == falling.lowest_at and rising.depth == falling.depth
    assert rising.depth == pytest.approx(curve(rising.lowest_at), abs=1e-14)
    points = np.concatenate([np.linspace(-30, 30, 6001), rising.lowest_at + np.linspace(-1e-3, 1e-3, 2001)])
    assert all(curve(float(x)) >= rising.depth - 1e-15 for x in points)


@VALLEY
def test_the_halves_make_the_whole_and_one_of_them_is_silent(name):
    kind, curve = VALLEYS[name]
    rising, falling = kind(side="rising"), kind(side="falling")
    x = np.concatenate([np.linspace(-30, 30, 3001), [rising.lowest_at]])
    parts = rising.value(x), falling.value(-x)
    np.testing.assert_allclose(parts[0] + parts[1] + rising.depth, [curve(float(each)) for each in x], rtol=1e-12, atol=1e-14)
    assert not ((parts[0] > 0) & (parts[1] > 0)).any() and (parts[0] > 0).any() and (parts[1] > 0).any()
    assert rising.bounds == (0, np.inf) and falling.bounds[1] == pytest.approx(-rising.depth, abs=1e-15)


# Parameters


@pytest.mark.parametrize(
    "make",
    (
        lambda: ExponentialLinear(alpha=0),
        lambda: ExponentialLinear(alpha=-1),
        lambda: ExponentialLinear(scale=np.inf),
        lambda: ExponentialLinear(width=0),
        lambda: Jump(alpha=-0.1),
        lambda: Jump(alpha=np.nan),
        lambda: Power(exponent=0),
        lambda: Power(exponent=np.inf),
        lambda: Power(exponent=np.nan),
        lambda: Shrinkage(zone=0.5, bias=0.6),
        lambda: Shrinkage(zone=-1, bias=0),
        lambda: Shrinkage(zone=1, bias=-0.1),
        lambda: Silu(side="rising", alpha=0),
        lambda: Silu(side="up"),
        lambda: Sigmoid(alpha=1),
    ),
)
def test_parameters_of_no_increasing_function_are_refused(make):
    with pytest.raises(ValueError):
        make()


@pytest.mark.parametrize(
    "potentials, values, problem",
    (
        ([0], [0], "one pair or none"),
        ([], [], "one pair or none"),
        ([0, 1], [0, 1, 2], "one pair or none"),
        ([[0, 1]], [[0, 1]], "one pair or none"),
        ([0, 0], [0, 1], "do not rise"),
        ([1, 0], [0, 1], "do not rise"),
        ([0, 1], [1, 0], "that fall"),
        ([0, np.inf], [0, 1], "not finite"),
        ([0, 1], [0, np.nan], "not finite"),
    ),
)
def test_tables_that_are_none(potentials, values, problem):
    with pytest.raises(ValueError, match=problem):
        MonotoneTable(potentials=np.float32(potentials), values=np.float32(values))


def test_a_table_of_doubles_is_refused():
    with pytest.raises(ValueError, match="float32"):
        MonotoneTable(potentials=np.array([0.0, 1.0]), values=np.float32([0, 1]))


def test_a_table_goes_through_its_points_and_on_as_lines():
    table = INCREASING["monotone_table"].activation
    np.testing.assert_array_equal(table.value(table.potentials), table.values)
    assert table.value(np.array([-9.0, 7.0, 11.0])).tolist() == [-1, 3.5, 4.5]
    assert table.bounds == (-1, np.inf)
