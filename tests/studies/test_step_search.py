"""Candidates fitted to their own steps, and the best steps within one latency: against conversions from scratch and against brute force."""

import dataclasses
import functools
import itertools

import numpy as np
import pytest

from tests.models import Chain, converted, dataset
from tests.studies.test_tuning import branches, drop, labelled
from ttfs_convert.conversion.refits import options_of, refits
from ttfs_convert.errors import UsageError
from ttfs_convert.network.store import fingerprint, load, save
from ttfs_convert.studies import tuning
from ttfs_convert.studies.step_allocation import allocations, sensitivities
from ttfs_convert.studies.step_ladder import groups, own_steps, rungs_up_to

tune = functools.partial(tuning.tune, threads=1)
CHAIN = Chain((2, 6, 6), seed=2)
MODEL = CHAIN.conv(5, pads=[1] * 4).add("Relu").conv(6, strides=[2, 2]).add("Relu").readout(3).model()


def images(count, seed):
    return np.random.default_rng(seed).uniform(0, 1, (count, 2, 6, 6)).astype(np.float32)


FIT = dataset(images(60, 1))


@pytest.fixture(scope="module")
def network():
    return converted(MODEL, mode="exact", steps=32, calibrate=FIT)


@pytest.fixture(scope="module")
def data():
    return labelled(MODEL, images(300, 2))


@pytest.fixture
def fits(monkeypatch):
    """Steps of every fit."""
    made = []

    class Counting(tuning.StepSearch):
        def __init__(self, network, make, *others):
            super().__init__(network, lambda steps: made.append(steps) or make(steps), *others)

    monkeypatch.setattr(tuning, "StepSearch", Counting)
    return made


# The same conversion again


@pytest.mark.parametrize(
    "model, options",
    (
        (MODEL, {"mode": "exact"}),
        (MODEL, {"mode": "exact", "slope": "reference", "rounding": "ceil", "method": "99.5", "input_range": (0, 2)}),
        (MODEL, {"mode": "exact", "method": "maximum", "margin": 0.3, "pooling": "spiking", "input_range": "data"}),
        (MODEL, {"mode": "exact", "input_range": {"x": None}, "embed": False}),
        (CHAIN.model(), {"mode": "unchecked", "tolerance": 0.5}),
    ),
)
def test_a_refit_is_the_conversion_for_those_steps(model, options, tmp_path):
    """Whatever the network was fitted to before; and from the file as well."""
    again = converted(model, steps=5, calibrate=FIT, compensate=True, **options)
    first = converted(model, steps=32, calibrate=FIT, compensate=True, **options)
    save(first, tmp_path / "snn.npz")
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    onnx_file = None if first.onnx is not None else tmp_path / "model.onnx"
    for network in (first, load(tmp_path / "snn.npz")):
        with refits(network, onnx_file, FIT) as refit:
            found = refit(dict.fromkeys(own_steps(network), 5))
        assert fingerprint(found) == fingerprint(again) != fingerprint(first)
        assert refit.count == 1


def test_each_layers_range_follows_from_its_own_steps(network):
    """Those of least squared error on few steps are narrower."""
    first, second, third = own_steps(network)
    with refits(network, None, FIT) as refit:
        found = {steps: refit({first: 255, second: steps[0], third: steps[1]}) for steps in ((3, 40), (40, 3), (3, 3))}
    widths = {steps: [float((layer.hi - layer.lo).mean()) for layer in each.layers[1:3]] for steps, each in found.items()}
    assert widths[3, 40][0] == widths[3, 3][0] < widths[40, 3][0] and widths[40, 3][1] == widths[3, 3][1] < widths[3, 40][1]
    for steps, each in found.items():
        assert each.on_fitted_grid and list(own_steps(each).values()) == [255, *steps]
        assert {name: each.compensation.steps[name] for name in own_steps(each)} == own_steps(each)


def test_what_cannot_be_converted_again_is_refused(network, data):
    with pytest.raises(UsageError, match="a file that does not say how it was converted; .*convert the model again"):
        tune(network.changed(conversion=None), data, 5, compensate=True, calibrate=FIT)
    with pytest.raises(UsageError, match="compensate: no data; .*--calibrate DATA: training images"):
        tune(network, data, 5, compensate=True)
    with pytest.raises(UsageError, match="calibrate: data to fit to, but no fit"):
        tune(network, data, 5, calibrate=FIT)
    with pytest.raises(UsageError, match="the original model is not inside"):
        tune(network.changed(onnx=None), data, 5, compensate=True, calibrate=FIT)
    assert options_of(network).method is None


def test_test_images_are_refused(network, data):
    named = dataclasses.replace(FIT, name="fashion-mnist")
    with pytest.raises(UsageError, match="the test images of fashion-mnist; expected samples that judge nothing later"):
        tune(network, data, 5, compensate=True, calibrate=named)


# Fewest steps, each candidate fitted


@pytest.mark.parametrize("budget", (5, 12))
def test_variants_are_fitted_to_their_own_steps_and_within_the_budget(network, data, parts, fits, budget):
    found = tune(network, data, budget, compensate=True, calibrate=FIT)
    given, uniform, per_layer = found.variants
    assert [each.name for each in found.variants] == ["as given", "uniform", "per layer"]
    assert len(fits) == found.fitted_to.fits == found.runs <= 5 + 7 and found.fitted_to.sha256 == FIT.sha256
    assert per_layer.latency_steps <= uniform.latency_steps < given.latency_steps == 96
    for variant in (uniform, per_layer):
        with refits(network, None, FIT) as refit:
            assert drop(refit(variant.steps), parts[0]) <= budget + 1e-9
    (steps,) = set(uniform.steps.values())
    lower = max(rung for rung in rungs_up_to(32) if rung < steps)
    assert dict.fromkeys(uniform.steps, lower) in fits, "a rung lower was tried, and was not enough"
    assert not any("were fitted to" in text for text in found.notes)


def test_the_network_kept_says_what_it_was_fitted_to(network, data):
    found = tune(network, data, 20, compensate=True, calibrate=FIT)
    kept = next(each for each in found.variants if each.name == found.kept)
    fitted = found.network.compensation
    assert found.kept != "as given" and found.network.on_fitted_grid and (fitted.data, fitted.samples) == (FIT.name, 60)
    assert {name: fitted.steps[name] for name in kept.steps} == kept.steps == own_steps(found.network)
    assert found.network.name == network.name and found.network.onnx_sha256 == network.onnx_sha256


def test_a_budget_that_even_all_steps_exceed(data):
    coarse = converted(MODEL, mode="exact", steps=1, calibrate=FIT)
    with pytest.raises(UsageError, match=r"max-drop: a drop of \d+\.\d\d pp with all 1 steps; expected at most 0.1 pp"):
        tune(coarse, data, compensate=True, calibrate=FIT)


def test_an_input_with_steps_of_its_own_may_keep_them(data):
    network = converted(MODEL, mode="exact", steps=16, input_steps=60, calibrate=FIT)
    found = tune(network, data, 8, compensate=True, calibrate=FIT)
    assert [each.name for each in found.variants] == ["as given", "uniform", "input as given", "per layer"]
    uniform, fine, per_layer = (each.steps for each in found.variants[1:])
    assert fine["x"] == 60 and max(steps for name, steps in fine.items() if name != "x") <= uniform["x"]
    assert sum(per_layer.values()) <= min(sum(uniform.values()), sum(fine.values())) and max(per_layer.values()) <= 60


# One total latency


@pytest.mark.parametrize("compensate", (False, True))
@pytest.mark.parametrize("latency", (9, 31, 96))
def test_the_most_accurate_within_a_latency(network, data, parts, fits, latency, compensate):
    calibrate = FIT if compensate else None
    found = tune(network, data, max_latency=latency, compensate=compensate, calibrate=calibrate)
    _, uniform, per_layer = found.variants
    assert set(uniform.steps.values()) == {latency // 3} and latency - 5 <= per_layer.latency_steps <= latency
    assert len(fits) == 2 and (found.fitted_to.fits if compensate else 2) == 2
    with refits(network, None, FIT) as refit:
        make = refit if compensate else network.with_layer_steps
        drops = {each.name: drop(make(each.steps), parts[0]) for each in (uniform, per_layer)}
    if latency == 96:
        drops["as given"] = drop(network, parts[0])
    assert drops[found.kept] == min(drops.values()) and found.network.latency_steps <= latency
    assert (found.max_drop, found.max_latency) == (None, latency)


def test_no_latency_for_a_step_per_window(network, data):
    with pytest.raises(UsageError, match="max-latency: 2 steps; expected at least 3"):
        tune(network, data, max_latency=2)
    with pytest.raises(UsageError, match="max-latency: given with max-drop; expected one budget"):
        tune(network, data, 1, max_latency=20)


def test_batches_change_nothing(network, data):
    assert len(data) // 2 < tuning.FEW
    many = dataclasses.replace(data, x=np.concatenate([data.x] * 2), y=np.concatenate([data.y] * 2))
    found = [tuning.tune(network, many, max_latency=31, batch=batch).variants for batch in (37, 64, 500)]
    assert found[0] == found[1] == found[2] and len(many) // 2 > tuning.FEW


# Sensitivities and what they allot


def test_a_sensitivity_is_what_a_populations_grid_does_to_the_outputs():
    """Of 400 inputs with a weight of 2: each has the variance of uniform rounding, 1 / (12 N^2), times the weight squared."""
    chain = Chain((400,), seed=0)
    model = chain.add("Gemm", np.full((400, 1), 2.0, np.float32)).model()
    network = converted(model, mode="exact", steps=8)
    x = np.random.default_rng(0).uniform(0, 1, (500, 400)).astype(np.float32)
    (cost,) = sensitivities(network, {"x": 8}, [("x",)], [{"x": x[:200]}, {"x": x[200:]}]).values()
    spread = (2 * x.sum(1)).var()
    assert cost == pytest.approx(400 * 4 / 12 / spread, rel=0.15)


def test_steps_along_a_chain_go_with_the_third_root_of_the_sensitivity(network):
    costs = dict(zip(groups(network), (1.0, 8.0, 64.0)))
    steps = allocations(network, 16, 64, costs, 80)[-1]
    one, eight, sixty_four = (steps[group[0]] for group in costs)
    assert eight / one == pytest.approx(2, rel=0.3) and sixty_four / eight == pytest.approx(2, rel=0.3)
    assert 75 <= network.latency_with(steps) <= 80


@pytest.mark.parametrize("latency", (20, 33, 47))
def test_no_other_rungs_of_that_latency_have_a_much_smaller_error(latency):
    chain = branches()
    network = converted(chain.model(), mode="strict", steps=16)
    found = groups(network)
    costs = dict(zip(found, np.random.default_rng(latency).uniform(0.2, 5, len(found)).tolist()))

    def error(steps):
        return sum(cost / steps[group[0]] ** 2 for group, cost in costs.items())

    path = allocations(network, 8, 16, costs, latency)
    tried = [
        {name: count for group, count in zip(found, counts) for name in group}
        for counts in itertools.product([rung for rung in rungs_up_to(16) if rung >= 2], repeat=len(found))
    ]
    best = min(error(steps) for steps in tried if network.latency_with(steps) <= latency)
    assert best <= error(path[-1]) <= 1.15 * best
    assert all(network.latency_with(a) <= network.latency_with(b) <= latency for a, b in itertools.pairwise(path))
    assert all(steps[group[0]] == steps[name] for steps in path for group in found for name in group)


def test_named_training_images_are_taken_for_a_name(network, data, monkeypatch):
    asked = []
    monkeypatch.setattr("ttfs_convert.data.given.load_dataset", lambda name, **options: asked.append((name, options)) or FIT)
    tune(network.with_steps(2), data, 100, compensate=True, calibrate="fashion-mnist")
    assert asked == [("fashion-mnist", {"data_dir": None, "limit": 1000, "split": "train", "size": None, "skip_broken": False})]
