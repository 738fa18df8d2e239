"""How often the original runs, with and without its inner tensors, and what a report then says."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from tests.models import Chain, converted
from ttfs_convert.cli.run import main
from ttfs_convert.errors import UsageError
from ttfs_convert.measurement.original_time import FEWEST, MOST
from ttfs_convert.network.store import save
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.studies.evaluation import evaluate
from ttfs_convert.studies.original_runs import ONE_IN, is_compared

CHAIN = Chain((2, 6, 6), seed=2).conv(4, pads=[1] * 4).relu1().conv(3).relu1().readout(3)
BATCHES = MOST + 8
MODEL, X = CHAIN.model(), CHAIN.images(2 * BATCHES)
LABELS = next(iter(Reference(MODEL, threads=1)(X).values())).argmax(1)


@pytest.fixture(scope="module")
def network():
    return converted(MODEL, steps=12)


@pytest.fixture
def calls(monkeypatch):
    """Sizes of the batches that sessions with and without inner tensors were given."""
    seen, call = {True: [], False: []}, Reference.__call__

    def heard(self, x):
        seen[bool(self.available)].append(len(next(iter(x.values()))))
        return call(self, x)

    monkeypatch.setattr(Reference, "__call__", heard)
    return seen


def run(network, **options):
    return evaluate(network, (X, LABELS), batch=2, threads=1, verify=0, **options).report


def test_with_all_layers_the_original_is_timed_on_some_batches_alone(network, calls):
    report = run(network)
    assert calls[True].count(2) == BATCHES
    timed = report.timing.ann_timed_samples
    assert 2 * FEWEST <= timed <= 2 * MOST < len(X) == report.compared_samples
    assert report.timing.ann_seconds > 0
    assert not any("held against" in note for note in report.notes)


@pytest.mark.parametrize(("layers", "compared"), (("sample", 2 * len(range(0, BATCHES, ONE_IN))), ("none", 0)))
def test_otherwise_on_all_batches_that_show_no_layers(network, calls, layers, compared):
    whole, report = run(network), run(network, layers=layers)
    calls[True].clear()
    run(network, layers=layers)
    assert sum(size for size in calls[True] if size == 2) == compared == report.compared_samples
    assert report.timing.ann_timed_samples == len(X) - compared
    assert report.drift == whole.drift and report.ann == whole.ann and report.snn == whole.snn
    assert [layer.silent for layer in report.layers] == [layer.silent for layer in whole.layers]
    assert any("as was asked for" in note for note in report.notes)
    missing, always = ([layer.mean_error is None for layer in each.layers if layer.range] for each in (report, whole))
    assert missing == ([True] * len(always) if layers == "none" else always) and not all(always)


def test_the_sampled_batches_lie_all_over_the_data():
    assert [number for number in range(40) if is_compared("sample", number)] == [0, 16, 32]


def test_errors_of_a_sample_are_those_of_its_batches(network):
    """One batch in so many: the first of 16 where there are no more."""
    sampled = evaluate(network, (X[: 2 * ONE_IN], LABELS[: 2 * ONE_IN]), batch=2, threads=1, layers="sample").report
    first = evaluate(network, (X[:2], LABELS[:2]), batch=2, threads=1).report
    assert [layer.mean_error for layer in sampled.layers] == [layer.mean_error for layer in first.layers][:-1] + [sampled.layers[-1].mean_error]


def test_another_word_is_refused(network):
    with pytest.raises(UsageError, match="one of none, sample, all"):
        run(network, layers="some")


@pytest.fixture(scope="module")
def files(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    save(network, folder / "snn.npz")
    np.savez(folder / "data.npz", x=X[:8], y=LABELS[:8])
    return [str(folder / "snn.npz"), "--data", str(folder / "data.npz")]


def test_on_the_command_line(files, tmp_path):
    result = CliRunner().invoke(main, [*files, "--layers", "none", "--json", str(tmp_path / "r.json")])
    assert result.exit_code == 0, result.output
    assert "not known: no layer was compared" in result.output
    assert json.loads((tmp_path / "r.json").read_text())["compared_samples"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    (
        (("--layers", "none", "--max-layer-error", "0.1"), "the gate max-layer-error"),
        (("--layers", "none", "--plot", "figures"), "no layers to draw"),
        (("--layers", "sample", "--sweep", "steps=4"), "a single run, which alone compares layers"),
    ),
)
def test_what_needs_layers_is_refused_without(files, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, [*files, *options])
    assert result.exit_code == 2
    assert message in result.output.replace("\n", " ")
    assert not list(tmp_path.iterdir())
