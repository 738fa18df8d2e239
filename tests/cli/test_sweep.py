"""`ttfs-run --sweep` as its users see it: the table, its JSON, logs, errors and exit codes."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from tests.models import Chain, save
from ttfs_convert.cli.convert import main as convert_main
from ttfs_convert.cli.run import main
from ttfs_convert.data import load_dataset
from ttfs_convert.network.store import load
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.studies.sweep import sweep
from ttfs_convert.studies.sweep_kinds import SWEEP_KINDS as KINDS
from ttfs_convert.studies.sweep_kinds import parsed_points as parse

MODEL = Chain((6,), seed=3).gemm(14).relu1().gemm(10).relu1().readout(3).model()
IMAGES = Chain((6,)).images(80)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network of ten steps, labelled data, and the same without labels."""
    folder = tmp_path_factory.mktemp("sweep")
    y = next(iter(Reference(MODEL, threads=1)(IMAGES).values())).argmax(1)
    y[::8] = (y[::8] + 1) % 3
    np.savez(folder / "data.npz", x=IMAGES, y=y)
    np.savez(folder / "unlabelled.npz", x=IMAGES)
    model, network = save(MODEL, folder), folder / "snn.npz"
    assert CliRunner().invoke(convert_main, [str(model), "--out", str(network), "--steps", "10"]).exit_code == 0
    return folder


def run(folder, *arguments, data="data"):
    words = [str(each) for each in (folder / "snn.npz", "--data", folder / f"{data}.npz", "--threads", "1", *arguments)]
    return CliRunner().invoke(main, words)


def test_json_is_that_of_the_library(folder, tmp_path):
    """Several --sweep add up; values, repeats and seed as asked; a log changes nothing."""
    options = ("--sweep", "drop=0.05,0.2", "--sweep", "weight-bits=3", "--repeats", "2", "--seed", "7", "--limit", "60")
    result = run(folder, *options, "--resume", tmp_path / "log", "--json", tmp_path / "sweep.json")
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "sweep.json").read_text())
    data = load_dataset(str(folder / "data.npz"), limit=60)
    expected = sweep(load(folder / "snn.npz"), data, [*parse("drop=0.05,0.2"), *parse("weight-bits=3")], repeats=2, seed=7, threads=1)
    assert content == json.loads(json.dumps(expected.as_json())) and content["samples"] == 60 and content["seed"] == 7
    assert len((tmp_path / "log").read_text().splitlines()) == 1 + 2 + 2 + 1
    again = run(folder, *options, "--resume", tmp_path / "log", "--json", "-")
    assert json.loads(again.stdout) == content and again.stdout.startswith("{") and again.stdout.endswith("}\n")
    assert result.stderr == f"Wrote {tmp_path / 'sweep.json'}.\n{again.stderr}" and again.stderr == "note: --limit: a subset, 60 of 80 samples\n"


def test_the_table_shows_every_point(folder):
    result = run(folder, "--sweep", "all", "--repeats", "2", "--json", folder / "all.json")
    assert result.exit_code == 0 and "note" not in result.stderr and "\x1b" not in result.output
    content = json.loads((folder / "all.json").read_text())
    lines = result.stdout.splitlines()
    assert lines[0].strip() == "Robustness: model on data.npz, 80 samples, seed 0; ANN 87.50 %; labels: the largest of 3 values"
    assert max(map(len, lines)) <= 132
    assert [point["kind"] for point in content["points"]] == ["none"] + [name for name, kind in KINDS.items() for _ in kind.values]
    rows = [line.split() for line in lines[4:] if "%" in line]
    assert len(rows) == len(content["points"]) == 1 + sum(len(kind.values) for kind in KINDS.values())
    kind = None
    for row, point in zip(rows, content["points"], strict=True):
        if point["kind"] != kind:
            assert row.pop(0) == point["kind"]
            kind = point["kind"]
        value = point["value"] if isinstance(point["value"], str) else "-" if point["value"] is None else f"{point['value']:g}"
        assert row[:3] == [value, f"{100 * point['accuracy']:.2f}", "%"] and str(point["repeats"]) in row
        if point["accuracy_spread"] is not None:
            assert row[3:5] == ["±", f"{100 * point['accuracy_spread']:.2f}"]
        assert f"{100 * point['lowest']:.2f}" in row and f"{point['drop_pp']:+.2f}" in row
    for unit in KINDS.values():
        assert unit.unit.split(",")[0].split()[0] in result.stdout


def test_other_grids_are_swept_too(folder):
    """--steps and --rounding change the network that is disturbed."""
    coarse = run(folder, "--sweep", "threshold=0", "--steps", "2", "--rounding", "ceil", "--json", "-")
    network = load(folder / "snn.npz")
    expected = sweep(network.with_steps(2, "ceil"), str(folder / "data.npz"), parse("threshold=0"), threads=1)
    assert json.loads(coarse.stdout) == json.loads(json.dumps(expected.as_json()))
    assert expected.points != sweep(network, str(folder / "data.npz"), parse("threshold=0"), threads=1).points


def test_unlabelled_data_has_agreement_alone(folder):
    result = run(folder, "--sweep", "drop=0.1", "--json", folder / "unlabelled.json", data="unlabelled")
    content = json.loads((folder / "unlabelled.json").read_text())
    assert result.exit_code == 0 and content["ann_accuracy"] is None and "ANN" not in result.stdout
    assert [point["accuracy"] for point in content["points"]] == [None, None] and content["points"][1]["agreement"] < 1
    (row,) = (line.split() for line in result.stdout.splitlines() if line.split()[:1] == ["drop"])
    assert row[:4] == ["drop", "0.1", "-", "-"] and row[4] != "-"


BESIDE = "an option for single runs beside it"


@pytest.mark.parametrize(
    "options, text",
    (
        (("--sweep", "noise"), "'noise'; expected all, jitter, drop, weight-noise, weight-bits, threshold, steps, rounding"),
        (("--sweep", "drop=2"), "--sweep drop: '2'; expected probability that a spike is lost, 0 to 1"),
        (("--sweep", "drop", "--sweep", "steps=x"), "--sweep steps: 'x'; expected steps per window, 1 to 65535"),
        (("--sweep", "drop", "--engine", "clock"), BESIDE),
        (("--sweep", "drop", "--engine", "event", "--threshold", "fixed"), BESIDE),
        (("--sweep", "drop", "--histogram"), BESIDE),
        (("--sweep", "drop", "--spikes", "{tmp}/s.npz"), BESIDE),
        (("--sweep", "drop", "--max-drop", "0"), BESIDE),
        (("--sweep", "drop", "--steps", "continuous"), "--sweep drop: continuous time; expected a number of steps; set --steps N"),
        (("--sweep", "all", "--steps", "continuous"), "--sweep jitter: continuous time"),
        (("--sweep", "drop", "--resume", "{tmp}/none/log"), "cannot be written"),
        (("--sweep", "drop", "--json", "{tmp}/none/j"), "cannot be written"),
        (("--sweep", "drop", "--repeats", "0"), "--repeats"),
        (("--sweep", "drop", "--seed", "-1"), "--seed"),
        (("--sweep",), "--sweep"),
    ),
)
def test_usage_errors(folder, tmp_path, options, text):
    result = run(folder, *(option.format(tmp=tmp_path) for option in options))
    assert result.exit_code == 2 and text in result.stderr and not result.stdout
    assert not list(tmp_path.iterdir())


def test_a_sweep_that_cannot_be_is_refused_before_any_log_is_written(folder, tmp_path):
    assert run(folder, "--sweep", "rounding", "--sweep", "drop=7", "--resume", tmp_path / "log").exit_code == 2
    assert not (tmp_path / "log").exists()


def test_data_errors(folder, tmp_path):
    (tmp_path / "diary").write_text("of mine\nand yours\n")
    result = run(folder, "--sweep", "drop", "--resume", tmp_path / "diary")
    assert result.exit_code == 4 and "diary: cannot be read" in result.stderr and len(result.stderr.splitlines()) == 1
    assert (tmp_path / "diary").read_text() == "of mine\nand yours\n"
    np.savez(folder / "shifted.npz", x=IMAGES, y=np.full(80, 3))
    shifted = run(folder, "--sweep", "drop=0.1", data="shifted")
    assert shifted.exit_code == 4 and "label 3; expected labels from 0 to 2" in shifted.stderr
    missing = run(folder, "--sweep", "drop", data="nothing")
    assert missing.exit_code == 4 and "nothing.npz" in missing.stderr
