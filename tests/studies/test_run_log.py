"""The sums of a run in a file: a run that was cut off goes on, and comes to the same figures to the last bit."""

import json

import numpy as np
import pytest

from tests.models import Chain, converted
from ttfs_convert.data import dataset_of_arrays
from ttfs_convert.errors import DataError, UsageError
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.studies import run_log
from ttfs_convert.studies.evaluation import evaluate

CHAIN = Chain((2, 6, 6), seed=2).conv(4, pads=[1] * 4).relu1().conv(3).relu1().readout(3)
MODEL, X = CHAIN.model(), CHAIN.images(50)
SCORES = next(iter(Reference(MODEL, threads=1)(X).values()))


@pytest.fixture(scope="module")
def network():
    return converted(MODEL, steps=12)


def labelled():
    y = SCORES.argmax(1)
    y[::6] = (y[::6] + 1) % 3
    return X, y


def cut_off(after):
    """A `stopped` that says so behind so many batches."""
    asked = []
    return lambda: asked.append(None) or len(asked) == after


def figures(evaluation):
    """All that a run came to but the times."""
    found = json.loads(evaluation.report.model_dump_json(exclude={"timing"}))
    errors = {name: (each.active, each.sent, each.of_images) for name, each in evaluation.layer_errors.layers.items()}
    return found, errors, {name: (score.ann_values, score.snn_values) for name, score in evaluation.scores.items()}


RUNS = {
    "labels": {},
    "fitted to its levels, with histograms": {"histogram": True, "quantised": True},
    "clock": {"engine": "clock"},
    "event": {"engine": "event"},
    "fixed threshold": {"engine": "clock", "threshold": "fixed"},
    "figures": {"distributions": True},
    "page": {"details": True},
}


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_a_run_in_pieces_equals_one_in_one_go(network, tmp_path, options):
    path, options = tmp_path / "log", {"batch": 8, "threads": 1, **options}
    whole = evaluate(network, labelled(), **options)
    for after, samples in ((2, 16), (1, 24), (2, 40)):
        part = evaluate(network, labelled(), log=path, stopped=cut_off(after), **options)
        assert part.report.partial and (part.report.data.samples, part.report.data.wanted) == (samples, 50)
    resumed = evaluate(network, labelled(), log=path, **options)
    np.testing.assert_equal(figures(resumed), figures(whole))
    assert not whole.report.partial and whole.report.data.wanted is None
    if options.get("distributions"):
        for name, kind in (("potentials", "total"), ("pairs", "histogram")):
            ours, theirs = (getattr(each.distributions, name) for each in (resumed, whole))
            np.testing.assert_equal({layer: getattr(each, kind) for layer, each in ours.items()}, {a: getattr(b, kind) for a, b in theirs.items()})
    if options.get("details"):
        ours, theirs = (each.details.changed for each in (resumed, whole))
        assert ours.count == theirs.count > 0 and [each.row for each in ours.samples] == [each.row for each in theirs.samples]


@pytest.mark.parametrize("data", ("targets", "nothing", "names"))
def test_other_tasks_go_on_too(network, tmp_path, data):
    given = {"targets": (X, SCORES + np.float32(0.1)), "nothing": X, "names": dataset_of_arrays(X, None)}[data]
    options = {"batch": 16, "threads": 1, **({"task": "regression"} if data == "targets" else {})}
    evaluate(network, given, log=tmp_path / "log", stopped=cut_off(2), **options)
    resumed = evaluate(network, given, log=tmp_path / "log", **options)
    np.testing.assert_equal(figures(resumed), figures(evaluate(network, given, **options)))


def test_a_partial_report_is_that_of_its_samples(network):
    part = evaluate(network, labelled(), batch=8, threads=1, stopped=cut_off(3)).report
    x, y = labelled()
    alone = evaluate(network, (x[:24], y[:24]), batch=8, threads=1).report
    for name in ("ann", "snn", "drift", "energy", "layers"):
        assert getattr(part, name) == getattr(alone, name)
    assert "interrupted: of the first 24 of 50 samples; no gate can pass on them" in part.notes


def test_a_finished_run_is_not_run_again(network, tmp_path, monkeypatch):
    path = tmp_path / "log"
    whole = evaluate(network, labelled(), batch=8, threads=1, log=path)
    told = []
    again = evaluate(network, labelled(), batch=8, threads=1, log=path, progress=lambda *each: told.append(each))
    assert told == [] and again.report == whole.report.model_copy(update={"timing": again.report.timing})


@pytest.mark.parametrize(
    "change, name",
    (
        ({"batch": 16}, "batch 8 there, 16 here"),
        ({"engine": "clock"}, "engine exact there, clock here"),
        ({"steps": 9}, "network "),
        ({"limit": 40}, "data "),
        ({"histogram": True}, "histogram False there, True here"),
        ({"details": True}, "html False there"),
    ),
)
def test_sums_of_another_run_are_refused_and_left_alone(network, tmp_path, change, name):
    path = tmp_path / "log"
    evaluate(network, labelled(), threads=1, log=path, batch=8, stopped=cut_off(1))
    before = path.read_bytes()
    with pytest.raises(UsageError, match="the sums of another run") as error:
        evaluate(network, labelled(), threads=1, log=path, **{"batch": 8, **change})
    assert name in str(error.value) and path.read_bytes() == before


def test_broken_files_are_refused(network, tmp_path):
    path = tmp_path / "log"
    evaluate(network, labelled(), threads=1, log=path, batch=8, stopped=cut_off(1))
    with np.load(path) as file:
        tree, content = json.loads(file["tree"].tobytes()), file["bytes"]
    for broken in (b"", b"a diary", path.read_bytes()[:-300]):
        path.write_bytes(broken)
        with pytest.raises(DataError, match="cannot be read"):
            evaluate(network, labelled(), threads=1, log=path, batch=8)
    fields = tree["sums"]["fields"]
    for change in ({"errors": 3}, {"record": "RunLog"}, {"plausibility": {"record": "Plausibility", "fields": {}}}):
        changed = {"about": tree["about"], "sums": {**tree["sums"], "fields": {**fields, **change}}}
        with open(path, "wb") as file:
            np.savez(file, tree=np.frombuffer(json.dumps(changed).encode(), np.uint8), bytes=content)
        with pytest.raises((DataError, UsageError)):
            evaluate(network, labelled(), threads=1, log=path, batch=8)


def test_spike_times_are_not_kept(network, tmp_path):
    with pytest.raises(UsageError, match="--resume: given with --spikes"):
        evaluate(network, labelled(), log=tmp_path / "log", spikes=tmp_path / "spikes.npz")


def test_writing_takes_a_small_share_of_the_time(network, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(run_log, "write_whole", lambda *given: written.append(given))
    evaluate(network, labelled(), threads=1, log=tmp_path / "log", batch=1)
    assert 2 <= len(written) < 10  # the first batch, now and then, and the end


def test_sums_of_another_kind_are_refused(network, tmp_path):
    """With checksums that fit: values that no report follows from are no traceback."""
    path = tmp_path / "log"
    evaluate(network, labelled(), log=path, batch=8, threads=1, stopped=cut_off(2))
    with np.load(path) as file:
        tree, content = json.loads(file["tree"].tobytes()), file["bytes"]
    for name, value in (("layer_errors", True), ("errors", {"dict": []}), ("done", "x"), ("measured", None), ("ann", {"list": [1]})):
        fields = {**tree["sums"]["fields"], name: value}
        changed = {**tree, "sums": {**tree["sums"], "fields": fields}}
        np.savez(tmp_path / "changed.npz", tree=np.frombuffer(json.dumps(changed).encode(), np.uint8), bytes=content)
        with pytest.raises(DataError, match="cannot be read"):
            evaluate(network, labelled(), log=tmp_path / "changed.npz", batch=8, threads=1)
