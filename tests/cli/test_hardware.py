"""`ttfs-run`: energy under cost tables, latency, and the rate-coded baseline, as a user asks for them."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from tests.models import Chain, converted, dataset
from ttfs_convert import save
from ttfs_convert.cli.run import main

OWN = 'title = "mine"\nleaves_out = "all but synapses"\n[synop]\npj = 2\nsource = "measured"\n'


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hardware")
    chain = Chain((2, 6, 6)).conv(3, pads=[1] * 4).add("Relu").readout()
    x = chain.images(8)
    save(converted(chain.model(), mode="exact", calibrate=dataset(x), steps=10), folder / "snn.npz")
    np.savez(folder / "data.npz", x=x, y=np.arange(8) % 4)
    np.savez(folder / "unlabelled.npz", x=x)
    (folder / "mine.toml").write_text(OWN)
    return folder


def run(files, *options, data="data.npz"):
    return CliRunner().invoke(main, [str(files / "snn.npz"), "--data", str(files / data), *options], env={"COLUMNS": "80"})


def test_costs_of_ones_own_stand_in_table_and_json(files, tmp_path):
    result = run(files, "--costs", str(files / "mine.toml"), "--json", str(tmp_path / "r.json"))
    assert result.exit_code == 0, result.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    cost = report["energy"]["costs"][-1]
    assert cost["table"] == "mine" and cost["joules"]["event"]["total"] == pytest.approx(2e-12 * report["energy"]["event"]["synops"])
    assert report["tool"]["options"]["costs"] == [str(files / "mine.toml")]
    for said in ("Energy per inference, uJ", "first decision", "a new sample every", "N-DNS power proxy", "mine leaves out", "all but synapses"):
        assert said in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize("name, code, message", (("lohi", 2, "perhaps loihi is meant"), ("broken.toml", 4, "no TOML")))
def test_bad_costs_are_one_error_before_any_run(files, name, code, message):
    (files / "broken.toml").write_text("title =")
    result = run(files, "--costs", name if "." not in name else str(files / name))
    assert result.exit_code == code and message in result.stderr and result.stdout == ""


def test_rates_beside_first_spikes(files, tmp_path):
    result = run(files, "--rate-coded", "12", "--json", str(tmp_path / "r.json"))
    assert result.exit_code == 0, result.stderr
    rate = json.loads((tmp_path / "r.json").read_text())["rate_coded"]
    assert [point["steps"] for point in rate["points"]] == list(range(1, 13))
    shown = (rate["chosen"] or rate["points"][-1])["synops"]
    table = result.stdout[result.stdout.index("First spikes beside rates") :]
    assert f"{shown:,.0f}" in table and "rate-coded" in table and max(map(len, table.splitlines())) <= 80
    assert "rate-coded:" in result.stderr


def test_what_rates_cannot_do_is_said(files):
    result = run(files, "--rate-coded", "5", data="unlabelled.npz")
    assert result.exit_code == 2 and "has no labels" in result.stderr
    result = run(files, "--rate-coded", "5", "--sweep", "steps=4")
    assert result.exit_code == 2 and "--rate-coded" in result.stderr
    assert run(files, "--rate-coded", "0").exit_code == 2
