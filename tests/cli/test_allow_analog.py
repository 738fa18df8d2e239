"""`--allow-analog` as its users see it: what three commands print of a mixed network, what JSON says, and what is refused."""

import io
import json

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from tests import mixed
from tests.models import save
from ttfs_convert.cli.convert import main as convert
from ttfs_convert.cli.inspect import main as inspect
from ttfs_convert.cli.run import main as run
from ttfs_convert.cli.tune import main as tune
from ttfs_convert.network.store import load
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.studies.inspection import inspect_model
from ttfs_convert.tables.inspection_tables import inspection_tables
from ttfs_convert.tables.network_tables import analog_tables, contents_table

MACS = 6 * 4 * 7 * (5 + 7)  # of the LSTM: 6 moments, 4 gates of 7 neurons, 5 features and 7 of the state
ALL = MACS + 6 * 5 * 9 + 42 * 9 + 9 * 4  # with convolution and dense layers


def invoked(command, *arguments, code=0):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, chain = tmp_path_factory.mktemp("mixed"), mixed.lstm()
    model, x = chain.model(), chain.images(60)
    save(model, folder)
    np.savez(folder / "data.npz", x=x, y=Reference(model)(x)[chain.at].argmax(1))
    np.savez(folder / "few.npz", x=x[:20])
    return folder


@pytest.fixture(scope="module")
def converted(folder):
    options = ("--mode", "exact", "--allow-analog", "--calibrate", folder / "few.npz", "--out", folder / "snn.npz", "--json", folder / "snn.json")
    return invoked(convert, folder / "model.onnx", *options)


def narrow(*tables) -> str:
    """Tables as a window of 80 columns shows them."""
    text = io.StringIO()
    for table in tables:
        Console(file=text, width=80, highlight=False).print(table)
    assert max(map(len, text.getvalue().splitlines())) <= 80
    return " ".join(text.getvalue().split())


def test_conversion_says_what_is_analog(folder, converted):
    share = f"{100 * MACS / ALL:.1f} %"
    lines = [line.split() for line in converted.stdout.splitlines()]
    assert ["lstm3", "2", "1", "LSTM", "lstm3", f"{MACS:,}", *share.split()] in lines
    content = json.loads((folder / "snn.json").read_text())
    nodes = [{"name": "lstm3", "operator": "LSTM"}]
    assert content["analog"] == [{"name": "lstm3", "nodes": nodes, "macs": MACS, "mac_share": pytest.approx(MACS / ALL)}]
    assert content["spiking_mac_share"] == pytest.approx(1 - MACS / ALL) and content["ann_macs"] == ALL
    kinds = {layer["name"]: (layer["kind"], layer["neurons"], layer["window"]) for layer in content["layers"]}
    assert kinds["lstm3"] == ("analog", 0, 2) and kinds["lstm3_out"] == ("input", 0, 2)


@pytest.mark.usefixtures("converted")
def test_inspection_of_the_network(folder):
    shown = invoked(inspect, folder / "snn.npz").stdout
    assert f"1 node in 1 part, {100 * MACS / ALL:.1f} % of the MACs, run by ONNX Runtime" in shown
    assert "without 2,016 multiply-accumulates of" in shown
    network = load(folder / "snn.npz")
    assert "LSTM lstm3 2,016 74.7 %" in narrow(*analog_tables(network), contents_table(network, str(folder / "snn.npz")))


def test_inspection_of_the_model(folder):
    result = invoked(inspect, folder / "model.onnx", code=3)
    assert "see the table of what cannot spike, or leave it to ONNX Runtime with --mode exact --allow-analog" in result.stderr
    shown = result.stdout
    (line,) = (line for line in shown.splitlines() if line.strip().startswith("with --allow-analog"))
    assert "yes, with --calibrate DATA" in line and "ONNX Runtime computes 1 node, 74.7" in line
    text = narrow(*inspection_tables(inspect_model(folder / "model.onnx")))
    assert "of the MACs: LSTM lstm3" in text
    content = json.loads(invoked(inspect, folder / "model.onnx", "--json", "-", code=3).stdout)
    assert [part["nodes"][0]["operator"] for part in content["allow_analog"]["analog"]] == ["LSTM"]
    assert content["allow_analog"]["calibrate"] == ["conv0", "gemm7"] and not content["modes"]["exact"]["converts"]


def test_unsupported_nodes_say_in_which_mode(tmp_path):
    path = save(mixed.batch_first(mixed.recurrent(mixed.sequence().add("Sigmoid"), "GRU")).readout(30).model(), tmp_path)
    shown = invoked(inspect, path, code=3).stdout.split("Unsupported nodes")[1].split("Not lossless")[0]
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in shown.splitlines()]
    modes = {(operator, mode) for mode, operator, *_ in (row for row in rows if len(row) > 3) for mode in mode.split(", ")}
    assert modes - {("operator", "mode")} == {("Sigmoid", "strict"), ("Sigmoid", "unchecked"), ("GRU", "all")}


@pytest.mark.usefixtures("converted")
def test_a_run_says_what_is_analog(folder):
    result = invoked(run, folder / "snn.npz", "--data", folder / "data.npz", "--threads", 1, "--json", folder / "run.json")
    text = " ".join(result.stdout.split())
    assert "analog in the middle 1 node run by ONNX Runtime, 74.7 % of the MACs: LSTM lstm3" in text
    assert f"analog - {MACS:,} - of these, what ONNX Runtime computes between windows: in none of the counts above" in text
    report = json.loads((folder / "run.json").read_text())
    assert report["model"]["analog"][0]["macs"] == report["energy"]["analog_macs"] == MACS
    assert report["snn"]["latency_steps"] == 4 * 50


@pytest.mark.usefixtures("converted")
def test_sweeps_and_tuning_take_it(folder):
    data = ("--data", folder / "data.npz", "--threads", 1)
    swept = invoked(run, folder / "snn.npz", *data, "--sweep", "steps=20,40", "--sweep", "drop=0.1", "--repeats", 1, "--json", "-")
    assert len(json.loads(swept.stdout)["points"]) == 4
    tuned = ("--max-drop", 50, "--compensate", "--calibrate", folder / "few.npz", "--out", folder / "tuned.npz")
    invoked(tune, folder / "snn.npz", *data, *tuned)
    network = load(folder / "tuned.npz")
    assert [part.name for part in network.analog] == ["lstm3"] and (network.steps or 50) < 50


def test_compensation_goes_across_it(folder, tmp_path):
    options = ("--mode", "exact", "--allow-analog", "--calibrate", folder / "data.npz", "--steps", 8, "--compensate")
    invoked(convert, folder / "model.onnx", *options, "--out", tmp_path / "fitted.npz")
    fitted = load(tmp_path / "fitted.npz")
    assert fitted.compensation is not None and [fit.layer for fit in fitted.compensation.layers] == ["conv0", "gemm7", "gemm10"]


@pytest.mark.parametrize("options", ((), ("--mode", "unchecked")))
def test_the_papers_modes_refuse_it(options, folder, tmp_path):
    result = invoked(convert, folder / "model.onnx", *options, "--allow-analog", "--out", tmp_path / "snn.npz", code=2)
    assert "expected mode exact" in result.stderr and not list(tmp_path.iterdir())


def test_without_it_the_refusal_names_it(folder, tmp_path):
    result = invoked(convert, folder / "model.onnx", "--mode", "exact", "--out", tmp_path / "snn.npz", code=3)
    assert "use convolutions over time, or leave it to ONNX Runtime with --mode exact --allow-analog" in result.stderr
