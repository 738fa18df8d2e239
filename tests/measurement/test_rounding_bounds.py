"""Rounding of float32 is no fault of a layer, however large the values that cancel; a wrong weight is, and saturation is called so."""

import math

import numpy as np
import pytest

from tests.models import Chain, converted, dataset, layer_errors_of
from tests.test_naive_network import Build
from ttfs_convert.measurement.layer_errors import CONTINUOUS_TOLERANCE
from ttfs_convert.measurement.rounding_bounds import _through, rounding_bounds
from ttfs_convert.network.activations.power import Power
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Spiking
from ttfs_convert.studies.evaluation import evaluate

RNG = np.random.default_rng(11)
X = RNG.random((40, 6)).astype(np.float32)
LARGE = np.abs(RNG.normal(size=(6, 16))) * 3e3
DIFFERENCE = np.vstack([np.eye(16), -np.eye(16)]).astype(np.float32)


def cancelling(behind: int = 1):
    """Values of some 1,000, their differences of about 1, and dense layers behind."""
    first = np.hstack([LARGE, LARGE + RNG.normal(size=(6, 16)) * 0.5]).astype(np.float32)
    chain = Chain((6,), seed=2).add("MatMul", first).add("Relu").add("MatMul", DIFFERENCE).add("Relu")
    for _ in range(behind):
        chain.gemm(12, total=0.0).add("Relu")
    return chain.readout(3).model()


def with_wrong_weight(network: Network, name: str, by: float) -> Network:
    """`network` with the first weight of layer `name` changed, `by` in units of the layer's range."""

    def changed(layer):
        (connection,) = layer.connections
        *others, step = connection.path
        weights = step.weights.copy()
        weights.reshape(-1)[0] += by
        step = type(step)(**{**dict(step), "weights": weights})
        return layer.model_copy(update={"connections": (connection.model_copy(update={"path": (*others, step)}),)})

    return network.model_copy(update={"layers": tuple(changed(layer) if layer.name == name else layer for layer in network.layers)})


def hidden(network: Network) -> list[str]:
    return [layer.name for layer in network.layers if isinstance(layer, Spiking)]


@pytest.mark.parametrize("slope", ["gated", "reference"])
@pytest.mark.parametrize("engine", ["exact", "event"])
def test_cancellation_of_large_values_is_rounding(slope, engine):
    network = converted(cancelling(), mode="exact", slope=slope, calibrate=dataset(X))
    evaluation = evaluate(network, dataset(X), engine=engine, threads=1)
    worst = max(layer.max_error for layer in evaluation.report.layers[2:-1])
    assert worst > CONTINUOUS_TOLERANCE, "rounding alone leaves the fixed tolerance"
    assert evaluation.layer_errors.first_out_of_tolerance() is None and evaluation.layer_errors.first_cut_off() is None
    assert evaluation.layer_errors.not_compared() == []
    assert all(layer.max_error <= layer.tolerance for layer in evaluation.report.layers[1:-1])


def test_a_wrong_weight_among_large_values_is_none():
    model = cancelling()
    network = converted(model, mode="exact", calibrate=dataset(X))
    for name in hidden(network)[:2]:
        tolerance = layer_errors_of(network, model, X).tolerances()[name]
        assert tolerance < 0.2 and layer_errors_of(with_wrong_weight(network, name, 5 * tolerance), model, X).first_out_of_tolerance() == name


@pytest.mark.parametrize("mode, slope", [("strict", "gated"), ("exact", "gated"), ("exact", "reference")])
def test_an_ordinary_network_is_held_to_the_fixed_tolerance(mode, slope):
    chain = Chain((3, 6, 6))
    for _ in range(3):
        chain = chain.conv(6, pads=[1] * 4).add("Relu") if mode == "exact" else chain.conv(6, pads=[1] * 4).relu1()
    model, x = chain.readout(4).model(), chain.images(20)
    network = converted(model, mode=mode, **({} if mode == "strict" else {"slope": slope, "calibrate": dataset(x)}))
    layer_errors = layer_errors_of(network, model, x)
    assert layer_errors.first_out_of_tolerance() is None
    assert all(CONTINUOUS_TOLERANCE < limit < 1.5 * CONTINUOUS_TOLERANCE for limit in layer_errors.tolerances().values())
    for name in hidden(network):
        assert layer_errors_of(with_wrong_weight(network, name, 1e-3), model, x).first_out_of_tolerance() == name


def test_tolerances_do_not_grow_with_depth():
    chain = Chain((8,), seed=4)
    for _ in range(30):
        chain.gemm(8, total=0.0).add("Relu")
    model, x = chain.readout(3).model(), chain.images(20)
    layer_errors = layer_errors_of(converted(model, mode="exact", calibrate=dataset(x)), model, x)
    assert layer_errors.first_out_of_tolerance() is None and max(layer_errors.tolerances().values()) < 5e-3


@pytest.mark.parametrize("rounding", [1e-6, 1e-3])
def test_what_a_smooth_function_passes_on_is_found_where_it_is_steepest(rounding):
    chain = Chain((6,), seed=5)
    chain.opset = 20
    network = converted(chain.gemm(12).add("Gelu").readout(3).model(), mode="exact", calibrate=dataset(X))
    halves = [layer for layer in network.layers if isinstance(layer, Spiking) and layer.activation is not None]
    assert len(halves) == 2
    potentials = np.linspace(-4, 4, 20001)
    for layer in halves:
        low, high = (layer.activation.value(potentials + by) for by in (-rounding, rounding))
        ends = zip(layer.lo.astype(np.float64), layer.hi.astype(np.float64))
        steepest = max((np.clip(high, lo, hi) - np.clip(low, lo, hi)).max() / (hi - lo) for lo, hi in ends)
        assert 0.98 * steepest < _through(layer, layer.activation, rounding, (0.0, 1.0)) < 1.0001 * steepest


def test_a_bound_is_that_of_the_values_that_data_shows():
    """The root of x is steep at 0, which no value comes near: from 0.25 to 1 it rises by no more than x."""
    rounding, root = 1e-4, Power(exponent=0.5)
    build = Build((3,), "gated", 0, 1).fire("h", (3,), {"x": ()}, 1)
    layer = build.layers["h"].changed(activation=root)
    assert 1 < _through(layer, root, rounding, (0.0, 1.0)) / math.sqrt(rounding) < 1.5
    assert _through(layer, root, rounding, (0.5, 1.0)) == pytest.approx(2 * rounding, rel=1e-3)
    bounds = [rounding_bounds((build.layers["x"], layer), {"x": 1e-9}, (), {}, seen)["h"] for seen in ({}, {"h": (0.5, 1.0)})]
    assert bounds[1] < bounds[0] / 10


def test_analog_input_counts_with_its_own_size():
    """Input values of 1e5, which enter as a current, whose difference matters."""
    model = Chain((6,)).add("MatMul", np.vstack([np.eye(3), -np.eye(3)]).astype(np.float32)).add("Relu").readout(2).model()
    x = np.hstack([1e5 + X[:, :3] * 1e5, 1e5 + X[:, :3] * 1e5 - X[:, 3:]]).astype(np.float32)
    network = converted(model, mode="exact", input_range=None, calibrate=dataset(x))
    evaluation = evaluate(network, dataset(x), threads=1)
    (layer,) = (each for each in evaluation.report.layers if each.name in hidden(network))
    assert layer.tolerance > layer.max_error > CONTINUOUS_TOLERANCE and evaluation.layer_errors.first_out_of_tolerance() is None


@pytest.mark.parametrize("steps, share", [(None, 0.8), (50, 0.25)])
def test_values_beyond_the_range_are_called_that(steps, share):
    chain = Chain((3, 6, 6)).conv(4, pads=[1] * 4).add("Relu").conv(5, pads=[1] * 4).add("Relu").readout()
    model, x = chain.model(), chain.images(8)
    network = converted(model, mode="exact", calibrate=dataset(share * x), margin=0.0, steps=steps)
    layer_errors = layer_errors_of(network, model, x)
    first, second = hidden(network)
    assert layer_errors.first_out_of_tolerance() is None and layer_errors.first_cut_off() == first
    assert layer_errors_of(with_wrong_weight(network, first, 20.0), model, x).first_out_of_tolerance() == (first if steps is None else None)
    enough = converted(model, mode="exact", calibrate=dataset(x), margin=0.0, steps=steps)
    assert layer_errors_of(enough, model, x).first_cut_off() is None
    assert layer_errors_of(with_wrong_weight(enough, second, 20.0), model, x).first_out_of_tolerance() == second
