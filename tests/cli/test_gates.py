"""Gates through the commands: a run, its saved report judged again, and what both refuse."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner

from tests.models import Chain, converted
from ttfs_convert.cli.command_list import COMMANDS
from ttfs_convert.network.store import save
from ttfs_convert.onnx_model.reference import Reference

GATES = "[tool.ttfs]\nmax-drop = 20\nmin-agreement = 98\nmax-layer-error = 0.0001\nmax-p-proxy = 1e9\nmax-latency = 40\n"
OUTCOMES = ["passed", "inconclusive", "failed", "passed", "passed"]


def run(command, *arguments):
    return CliRunner().invoke(COMMANDS[command], [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network of two layers, slope gated, its data, gates, and the report of a run with them."""
    folder = tmp_path_factory.mktemp("gates")
    chain = Chain((2, 6, 6)).conv(3).relu1().readout(3)
    model, x = chain.model(), chain.images(120)
    save(converted(model, steps=20, mode="exact", slope="gated"), folder / "snn.npz")
    scores = next(iter(Reference(model, [])({model.graph.input[0].name: x}).values()))
    np.savez(folder / "data.npz", x=x, y=scores.argmax(1))
    (folder / "gates.toml").write_text(GATES)
    files = ("--json", folder / "report.json", "--junit", folder / "junit.xml", "--markdown", folder / "summary.md")
    result = run("ttfs-run", folder / "snn.npz", "--data", folder / "data.npz", "--gates", folder / "gates.toml", *files)
    assert result.exit_code == 99, result.output
    return folder


def saved(folder, name="report.json"):
    return json.loads((folder / name).read_text())


def test_the_report_says_it_all(folder):
    content = saved(folder)
    assert [gate["outcome"] for gate in content["gates"]] == OUTCOMES
    assert content["tool"]["options"]["gates"] == str(folder / "gates.toml") and content["tool"]["version"]
    assert (content["model"]["mode"], content["model"]["slope"]) == ("exact", "gated")
    low, high = content["energy"]["event_p_proxy_ci95"]
    assert low < content["energy"]["event"]["p_proxy"] < high
    suite = ElementTree.parse(folder / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("5", "1", "1")
    assert "❌ failed" in (folder / "summary.md").read_text()


def test_a_check_equals_the_run(folder, tmp_path):
    result = run("ttfs-check", folder / "report.json", "--gates", folder / "gates.toml", "--json", tmp_path / "again.json", "--markdown", "-")
    assert result.exit_code == 99 and saved(tmp_path, "again.json") == saved(folder)
    assert result.stdout == (folder / "summary.md").read_text()


@pytest.mark.parametrize(
    "options, code", ((("--max-latency", "40"), 0), (("--min-agreement", "98"), 5), (("--max-latency", "2", "--min-agreement", "98"), 99))
)
def test_the_worst_outcome_is_the_exit_code(folder, options, code):
    assert run("ttfs-check", folder / "report.json", *options).exit_code == code


def test_batches_change_no_interval(folder, tmp_path):
    run("ttfs-run", folder / "snn.npz", "--data", folder / "data.npz", "--batch", "7", "--json", tmp_path / "other.json")
    ours, theirs = ([layer["mean_error_ci95"] for layer in saved(*where)["layers"]] for where in ((folder,), (tmp_path, "other.json")))
    assert [ends and pytest.approx(ends, rel=1e-12) for ends in ours] == theirs and any(ours)


def test_a_run_beside_its_baseline(folder):
    options = ("--max-regression", "9", "--max-regression", "latency=0", "--baseline", folder / "report.json")
    same = run("ttfs-run", folder / "snn.npz", "--data", folder / "data.npz", *options)
    assert same.exit_code == 0 and "0 pp worse than the baseline's, paired by sample" in same.stderr
    fewer = run("ttfs-run", folder / "snn.npz", "--data", folder / "data.npz", "--limit", "50", *options)
    assert fewer.exit_code == 2 and "--baseline: a report of other data: data.npz (" in fewer.stderr and "Summary" not in fewer.stdout


@pytest.mark.parametrize(
    "options, message",
    (
        ((), "ttfs-check: no gates"),
        (("--max-regression", "1"), "max-regression: no --baseline"),
        (("--baseline", "report.json", "--max-latency", "1"), "--baseline: no gate max-regression"),
        (("--max-latency", "1", "--json", "-", "--markdown", "-"), "one standard output"),
        (("--max-drop", "x"), "--max-drop: 'x'"),
    ),
)
def test_options_that_do_not_fit(folder, monkeypatch, options, message):
    monkeypatch.chdir(folder)
    result = run("ttfs-check", "report.json", *options)
    assert result.exit_code == 2 and message in result.stderr


@pytest.mark.parametrize("text, message", (("{}", "no report (model: Field required)"), ("no", "no report ("), (None, "schema version 2")))
def test_a_file_that_is_no_report(folder, tmp_path, text, message):
    content = {**saved(folder), "schema_version": 2}
    (tmp_path / "bad.json").write_text(json.dumps(content) if text is None else text)
    result = run("ttfs-check", tmp_path / "bad.json", "--max-latency", "1")
    assert result.exit_code == 4 and message in result.stderr


def test_a_report_of_an_older_version_lacks_intervals(folder, tmp_path):
    content = saved(folder)
    for part, fields in (
        (content, ("gates", "tool", "samples")),
        (content["drift"], ("agreement_ci95",)),
        (content["layers"][1], ("mean_error_ci95",)),
    ):
        for name in fields:
            del part[name]
    (tmp_path / "old.json").write_text(json.dumps(content))
    result = run("ttfs-check", tmp_path / "old.json", "--min-agreement", "1", "--max-drop", "20", "--max-layer-error", "1")
    assert result.exit_code == 5 and result.stderr.count("inconclusive") == 2


def test_junit_needs_gates(folder, tmp_path):
    result = run("ttfs-run", folder / "snn.npz", "--data", folder / "data.npz", "--junit", tmp_path / "j.xml")
    assert result.exit_code == 2 and "--junit: no gates" in result.stderr
