"""Sweeps: which points a text names, what their figures are, and logs from which a sweep goes on."""

import dataclasses
import functools
import json
import statistics

import numpy as np
import pytest

from tests.models import Chain, converted, dataset
from ttfs_convert.data import Dataset
from ttfs_convert.errors import DataError, UsageError
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.studies import evaluation
from ttfs_convert.studies import sweep as sweeps
from ttfs_convert.studies.noise import with_weight_bits
from ttfs_convert.studies.sweep_kinds import SWEEP_KINDS, parsed_points

sweep, evaluate = (functools.partial(function, threads=1) for function in (sweeps.sweep, evaluation.evaluate))
MODEL = Chain((6,), seed=3).gemm(14).relu1().gemm(10).relu1().readout(3).model()


@pytest.fixture(scope="module")
def network():
    return converted(MODEL, mode="strict", steps=10)


@pytest.fixture(scope="module")
def data():
    """Labelled as the original answers, but for one sample in eight."""
    x = Chain((6,)).images(120)
    y = next(iter(Reference(MODEL)(x).values())).argmax(1)
    y[::8] = (y[::8] + 1) % 3
    return Dataset("images", x, y, "f" * 64, len(x), ("a note on the data",), False)


@pytest.fixture
def runs(monkeypatch):
    """A list that grows by one with every run of a network."""
    counted = []

    class Counting(sweeps.Simulator):
        def __init__(self, *arguments):
            counted.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(sweeps, "Simulator", Counting)
    return counted


# What a text names


@pytest.mark.parametrize(
    "text, points",
    (
        ("drop", [("drop", value) for value in (0.001, 0.003, 0.01, 0.03, 0.1)]),
        ("drop=0.25", [("drop", 0.25)]),
        ("jitter=1, 2.5,0", [("jitter", 1), ("jitter", 2.5), ("jitter", 0)]),
        ("weight-noise=1e-2", [("weight-noise", 0.01)]),
        ("weight-bits=2,24", [("weight-bits", 2), ("weight-bits", 24)]),
        ("threshold=100", [("threshold", 100)]),
        ("steps=1,65535", [("steps", 1), ("steps", 65535)]),
        ("rounding", [("rounding", "nearest"), ("rounding", "ceil")]),
        ("rounding=ceil", [("rounding", "ceil")]),
    ),
)
def test_points_named(text, points):
    assert parsed_points(text) == points
    assert all(isinstance(value, int) for kind, value in parsed_points(text) if kind in ("weight-bits", "steps"))


def test_all_names_every_kind_at_its_usual_values():
    assert parsed_points("all") == [(name, value) for name, kind in SWEEP_KINDS.items() for value in kind.values]
    assert all(parsed_points(f"{name}={','.join(map(str, kind.values))}") == parsed_points(name) for name, kind in SWEEP_KINDS.items())


@pytest.mark.parametrize(
    "text, found",
    (
        ("noise", "'noise'"),
        ("", "''"),
        ("=1", "''"),
        ("Drop", "'Drop'"),
        ("drop=1.01", "'1.01'"),
        ("drop=-0.1", "'-0.1'"),
        ("drop=x", "'x'"),
        ("drop=0.1,", "''"),
        ("drop=nan", "'nan'"),
        ("jitter=inf", "'inf'"),
        ("weight-bits=1", "'1'"),
        ("weight-bits=25", "'25'"),
        ("weight-bits=7.5", "'7.5'"),
        ("steps=0", "'0'"),
        ("steps=65536", "'65536'"),
        ("steps=continuous", "'continuous'"),
        ("rounding=down", "'down'"),
        ("drop 0.1", "'drop 0.1'"),
    ),
)
def test_points_that_cannot_be(text, found):
    with pytest.raises(UsageError) as caught:
        parsed_points(text)
    assert caught.value.found == found and caught.value.where.startswith("--sweep") and caught.value.expected


# Figures


def test_undisturbed_figures_are_those_of_a_single_run(network, data):
    found = sweep(network, data, [], batch=32)
    expected = evaluate(network, data).report
    (point,) = found.points
    assert (point.kind, point.value, point.repeats, point.drop_pp) == ("none", None, 1, 0)
    assert point.accuracy == point.lowest == expected.snn.accuracy < 1 and point.accuracy_spread is None
    assert point.agreement == expected.drift.agreement and found.ann_accuracy == expected.ann.accuracy == 0.875
    assert (found.network, found.data, found.samples, found.seed) == (network.name, "images", 120, 0)
    assert found.notes == ("a note on the data",)


def test_points_without_noise_equal_runs_of_the_changed_network(network, data, runs):
    changes = {
        ("steps", 3): network.with_steps(3),
        ("rounding", "ceil"): network.with_steps(10, "ceil"),
        ("weight-bits", 3): with_weight_bits(network, 3),
    }
    found = sweep(network, data, changes, repeats=4)
    assert len(runs) == 1 + len(changes) and [point.repeats for point in found.points] == [1] * 4
    for point, changed in zip(found.points[1:], changes.values(), strict=True):
        expected = evaluate(changed, data).report
        assert point.accuracy == expected.snn.accuracy and point.agreement == expected.drift.agreement
        assert point.drop_pp == pytest.approx(100 * (found.points[0].accuracy - expected.snn.accuracy))
    assert len({point.agreement for point in found.points}) > 1


def test_mean_spread_and_lowest_are_those_of_the_repeats(network, data, tmp_path, runs):
    points = [("drop", 0.1), ("jitter", 2.0), ("weight-noise", 0.2), ("threshold", 0.2)]
    found = sweep(network, data, points, repeats=4, log=tmp_path / "log")
    entries = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert len(runs) == len(entries) == 1 + 4 * 4
    for point in found.points[1:]:
        accuracies, agreements = (
            [entry[key] for entry in entries if (entry["kind"], entry["value"]) == (point.kind, point.value)] for key in ("accuracy", "agreement")
        )
        assert point.repeats == len(accuracies) == 4 and len(set(accuracies)) > 1
        assert point.accuracy == pytest.approx(np.mean(accuracies))
        assert point.accuracy_spread == pytest.approx(np.std(accuracies, ddof=1))
        assert point.lowest == min(accuracies) and point.agreement == pytest.approx(statistics.mean(agreements))
        assert point.agreement_spread == pytest.approx(statistics.stdev(agreements))
        assert point.drop_pp == pytest.approx(100 * (entries[0]["accuracy"] - np.mean(accuracies))) and point.drop_pp > 0


def test_values_of_no_size_change_nothing_and_large_ones_much(network, data):
    kinds = ("jitter", "drop", "weight-noise", "threshold")
    found = sweep(network, data, [(kind, value) for kind in kinds for value in (0.0, {"jitter": 50.0}.get(kind, 1.0))], repeats=2)
    undisturbed = found.points[0]
    for gentle, rough in zip(found.points[1::2], found.points[2::2], strict=True):
        assert (gentle.accuracy, gentle.agreement, gentle.accuracy_spread) == (undisturbed.accuracy, undisturbed.agreement, 0)
        assert rough.agreement < 0.9


def test_a_point_named_twice_runs_once(network, data, runs):
    found = sweep(network, data, [("drop", 0.1), ("none", None), ("drop", 0.1)], repeats=1)
    assert len(runs) == 2 and [point.kind for point in found.points] == ["none", "drop"] and found.points[1].accuracy_spread is None


def test_seeds_batches_and_threads(network, data):
    points = [("jitter", 2.0), ("drop", 0.2), ("weight-noise", 0.2), ("threshold", 0.2)]
    found = sweep(network, data, points, seed=5)
    assert sweep(network, data, points, seed=5, batch=50, threads=None) == found
    other = sweep(network, data, points, seed=6)
    differing = [one != another for one, another in zip(found.points, other.points, strict=True)]
    assert not differing[0] and sum(differing) >= 3  # two means of few samples may be equal


def test_unlabelled_data(network, data):
    found = sweep(network, dataset(data.x), [("drop", 0.1)], repeats=2)
    assert found.ann_accuracy is None
    for point in found.points:
        assert (point.accuracy, point.accuracy_spread, point.lowest, point.drop_pp) == (None, None, None, None)
    labelled = sweep(network, data, [("drop", 0.1)], repeats=2)
    assert [point.agreement for point in found.points] == [point.agreement for point in labelled.points]
    assert json.loads(json.dumps(found.as_json()))["points"][1]["accuracy"] is None


def test_continuous_time_has_no_steps_to_jitter_by(network, data, runs):
    continuous = network.with_steps(None)
    for kind in ("jitter", "drop"):
        with pytest.raises(UsageError, match="continuous time; expected a number of steps; set --steps N"):
            sweep(continuous, data, [("steps", 3), (kind, 0.1)])
    assert not runs
    points = [("weight-noise", 0.1), ("weight-bits", 4), ("threshold", 0.1), ("steps", 10), ("rounding", "ceil")]
    found = sweep(continuous, data, points, repeats=1).points
    assert found[0].agreement == 1 and found[5].agreement == found[0].agreement
    assert found[4].agreement == evaluate(network, data).report.drift.agreement < 1


@pytest.mark.parametrize("options, text", (({"repeats": 0}, "repeats"), ({"batch": 0}, "batch"), ({"threads": 1000}, "threads")))
def test_options_that_cannot_be(network, data, options, text):
    with pytest.raises(UsageError, match=text):
        sweep(network, data, [("drop", 0.1)], **options)


def test_progress_tells_of_every_run(network, data):
    told = []
    sweep(network, data, [("drop", 0.1), ("steps", 3)], repeats=2, progress=lambda *each: told.append(each))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


# Logs

POINTS = [("drop", 0.1), ("jitter", 1), ("weight-bits", 4)]


@pytest.fixture
def log(network, data, tmp_path):
    """A finished log, and what its sweep found."""
    return tmp_path / "log", sweep(network, data, POINTS, repeats=2, log=tmp_path / "log")


def test_a_finished_log_is_read_and_nothing_runs_again(network, data, log, runs):
    path, expected = log
    before = path.read_bytes()
    assert sweep(network, data, POINTS, repeats=2, log=path) == expected
    assert not runs and path.read_bytes() == before
    more = sweep(network, data, [*POINTS, ("steps", 4)], repeats=3, log=path)
    assert len(runs) == 2 + 1 and [point.repeats for point in more.points] == [1, 3, 3, 1, 1]
    assert path.read_bytes().startswith(before) and len(path.read_text().splitlines()) == 9


@pytest.mark.parametrize("lines, cut", ((6, 1), (3, 25), (1, 3), (0, 0), (0, 40)))
def test_a_log_that_was_cut_off_goes_on(network, data, log, runs, lines, cut):
    """After whole lines stand the first bytes of the next one, or its whole text without an end."""
    path, expected = log
    whole = path.read_text().splitlines(keepends=True)
    path.write_text("".join(whole[:lines]) + whole[min(lines, 5)][: cut if lines < 6 else -1])
    assert sweep(network, data, POINTS, repeats=2, log=path) == expected
    assert len(runs) == 6 - min(lines, 6)
    assert path.read_text().splitlines(keepends=True) == (whole if lines < 6 else whole[:6])


def test_runs_of_other_settings_in_one_log_do_not_mix(network, data, log, runs):
    path, expected = log
    whole = path.read_text()
    others = [
        (network, data, 1),
        (network.with_steps(9), data, 0),
        (network, dataclasses.replace(data, sha256="e" * 64), 0),
        (network, dataclasses.replace(data, x=data.x[:100], y=data.y[:100]), 0),
    ]
    for changed, on, seed in others:
        del runs[:]
        found = sweep(changed, on, POINTS, repeats=2, seed=seed, log=path)
        assert len(runs) == 6 and found == sweep(changed, on, POINTS, repeats=2, seed=seed)
    assert path.read_text().startswith(whole) and len(path.read_text().splitlines()) == 6 * 5
    del runs[:]
    assert sweep(network, data, POINTS, repeats=2, log=path) == expected and not runs


@pytest.mark.parametrize(
    "content",
    (
        b"a diary\nof two lines\n",
        b'{"kind": "drop"}\n',
        b"[1, 2]\n",
        b"\n\n",
        b"\x00\xff\xfe\n",
        b"null\n",
        b'{"kind": "drop"}\n{"ki',
        b"a diary without a line end",
        b'{"schema_version": 1}',
    ),
)
def test_a_foreign_file_is_refused_and_left_alone(network, data, tmp_path, runs, content):
    path = tmp_path / "diary"
    path.write_bytes(content)
    with pytest.raises(DataError, match="diary: cannot be read .*; expected a log of an earlier sweep; name another file"):
        sweep(network, data, POINTS, log=path)
    assert path.read_bytes() == content and not runs


def test_a_log_that_cannot_be_written_is_refused_before_any_run(network, data, tmp_path, runs):
    for path in (tmp_path, tmp_path / "none" / "log"):
        with pytest.raises(UsageError, match="cannot be written"):
            sweep(network, data, POINTS, log=path)
    assert not runs and not list(tmp_path.iterdir())


def test_json_holds_every_point(network, data, log):
    content = json.loads(json.dumps(log[1].as_json()))
    assert set(content) == {
        "schema_version",
        "units",
        "network",
        "data",
        "samples",
        "seed",
        "ann_accuracy",
        "points",
        "notes",
        "rule",
        "task",
        "ann",
        "measures",
    }
    assert content["schema_version"] == 1 and set(content["units"]) == set(SWEEP_KINDS)
    assert [point["kind"] for point in content["points"]] == ["none", "drop", "jitter", "weight-bits"]
    for point, expected in zip(content["points"], log[1].points, strict=True):
        assert point == {
            "kind": expected.kind,
            "value": expected.value,
            "repeats": expected.repeats,
            "accuracy": expected.accuracy,
            "accuracy_spread": expected.accuracy_spread,
            "lowest": expected.lowest,
            "drop_pp": expected.drop_pp,
            "agreement": expected.agreement,
            "agreement_spread": expected.agreement_spread,
            "measures": {},
            "latency_steps": expected.latency_steps,
            "p_proxy": expected.p_proxy,
            "joules": {},
        }
        assert point["latency_steps"] == network.latency_steps and point["p_proxy"] > 0
