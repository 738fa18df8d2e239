"""Accuracy against latency and energy: points are those of sweeps and reports, files are what their endings say."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.figures.pictures import texts
from tests.models import Chain, save
from ttfs_convert.cli.convert import main as convert_main
from ttfs_convert.cli.plot import main as plot
from ttfs_convert.cli.run import main
from ttfs_convert.errors import DataError
from ttfs_convert.figures.trade_off_figure import trade_off_figure
from ttfs_convert.network.store import load
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.studies.evaluation import evaluate
from ttfs_convert.studies.trade_off import curve_of

SWEEP = ("--sweep", "steps=2,4,16", "--costs", "45nm", "--costs", "loihi")
MAGIC = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


@pytest.fixture(scope="module", params=("strict", "exact"))
def folder(request, tmp_path_factory):
    """A network whose silent neurons send (strict) or do not, labelled data, a sweep, and a report."""
    folder = tmp_path_factory.mktemp("trade")
    chain = Chain((6,), seed=3).gemm(14).relu1().gemm(10).relu1().readout(3)
    model, x = chain.model(), chain.images(80)
    y = next(iter(Reference(model, threads=1)(x).values())).argmax(1)
    y[::8] = (y[::8] + 1) % 3
    np.savez(folder / "data.npz", x=x, y=y)
    options = [str(save(model, folder)), "--out", str(folder / "snn.npz"), "--steps", "8", "--mode", request.param]
    assert CliRunner().invoke(convert_main, options).exit_code == 0
    for options in ((*SWEEP, "--json", folder / "sweep.json"), ("--json", folder / "report.json")):
        assert run(folder, *options).exit_code == 0
    return folder


def run(folder, *options):
    return CliRunner().invoke(main, [str(each) for each in (folder / "snn.npz", "--data", folder / "data.npz", "--threads", 1, *options)])


def test_points_cost_what_their_own_runs_cost(folder):
    content = json.loads((folder / "sweep.json").read_text())
    network = load(folder / "snn.npz")
    for point in content["points"]:
        grid = network if point["value"] is None else network.with_steps(int(point["value"]))
        report = evaluate(grid, str(folder / "data.npz"), threads=1).report
        assert (point["accuracy"], point["latency_steps"]) == (report.snn.accuracy, report.snn.latency_steps)
        assert point["p_proxy"] == pytest.approx(report.energy.event.p_proxy)
        expected = {cost.table: cost.joules["event"].total for cost in report.energy.costs if cost.table in ("45nm", "loihi")}
        assert point["joules"] == pytest.approx(expected)


def test_a_log_prices_its_points_under_any_table(folder, tmp_path):
    run(folder, "--sweep", "steps=2,4", "--resume", tmp_path / "log")
    found = run(folder, "--sweep", "steps=2,4", "--resume", tmp_path / "log", "--costs", "45nm", "--json", "-")
    points = {point["value"]: point for point in json.loads((folder / "sweep.json").read_text())["points"]}
    for point in json.loads(found.stdout)["points"]:
        assert point["joules"] == {"45nm": points[point["value"]]["joules"]["45nm"]} and point["p_proxy"] == points[point["value"]]["p_proxy"]


def test_the_table_shows_costs(folder):
    lines = run(folder, *SWEEP).stdout.splitlines()
    content = json.loads((folder / "sweep.json").read_text())
    rows = [line.split() for line in lines if "%" in line and "ANN" not in line]
    for row, point in zip(rows, content["points"], strict=True):
        assert str(point["latency_steps"]) in row and f"{point['p_proxy']:,.0f}" in row
        assert all(f"{1e6 * value:.3g}" in row for value in point["joules"].values())


def test_curves_are_drawn_through_the_points(folder):
    sweep, report = (curve_of(folder / f"{name}.json") for name in ("sweep", "report"))
    assert [point.latency_steps for point in sweep.points] == [6, 12, 48] and sweep.tables == ("45nm", "loihi") and sweep.measure == "accuracy, %"
    assert report.points == () and report.own.value == sweep.own.value and report.own.latency_steps == sweep.own.latency_steps == 24
    latency, *energies = trade_off_figure([sweep, report]).axes
    assert [axes.get_xlabel() for axes in energies] == [f"energy per inference, {name} (µJ)" for name in ("45nm", "loihi")]
    np.testing.assert_allclose(latency.lines[0].get_xydata(), [(point.latency_steps, point.value) for point in sweep.points])
    np.testing.assert_allclose(energies[1].lines[0].get_xdata(), [1e6 * point.joules["loihi"] for point in sweep.points])
    assert [line.get_ydata()[0] for line in latency.lines if line.get_linestyle() == "--"] == pytest.approx([sweep.ann, report.ann])


def test_without_common_tables_operations_are_drawn(folder, tmp_path):
    run(folder, "--sweep", "steps=2,4", "--json", tmp_path / "bare.json")
    figure = trade_off_figure([curve_of(tmp_path / "bare.json"), curve_of(folder / "sweep.json")])
    assert [axes.get_xlabel() for axes in figure.axes] == ["latency (time steps)", "P_proxy (operations per inference)"]


@pytest.mark.parametrize("kind", MAGIC)
def test_files_are_what_they_are_called(folder, tmp_path, kind):
    reports = [str(folder / f"{name}.json") for name in ("sweep", "report")]
    for out, options in ((tmp_path / f"figure.{kind}", ()), (tmp_path / f"bare.{kind}", ("--no-titles",))):
        result = CliRunner().invoke(plot, [*reports, "-o", str(out), *options])
        assert result.exit_code == 0 and result.stderr == f"Wrote {out}.\n" and out.read_bytes().startswith(MAGIC[kind])
    if kind == "svg":
        shown, bare = (texts(tmp_path / f"{name}.svg") for name in ("figure", "bare"))
        assert "What accuracy costs" in shown and "model (sweep), original" in shown and "What accuracy costs" not in bare
    if kind == "png":
        assert np.asarray(Image.open(tmp_path / "figure.png").convert("L")).std() > 10


def test_a_sweep_draws_its_own(folder, tmp_path):
    result = run(folder, *SWEEP, "--plot", tmp_path / "own.svg", "--no-titles")
    assert result.exit_code == 0 and f"Wrote {tmp_path / 'own.svg'}.\n" in result.stderr
    assert "latency (time steps)" in texts(tmp_path / "own.svg") and "What accuracy costs" not in texts(tmp_path / "own.svg")


@pytest.mark.parametrize(
    "options, text",
    (
        (("--sweep", "steps", "--plot", "{tmp}/figure.jpg"), "ending .jpg; expected one of .png, .svg, .pdf"),
        (("--sweep", "drop", "--plot", "{tmp}/figure.png"), "--plot: --sweep drop; expected --sweep steps"),
        (("--sweep", "steps", "--costs", "90nm"), "no file '90nm'"),
        (("--no-titles",), "--no-titles: no --plot"),
    ),
)
def test_usage_errors(folder, tmp_path, options, text):
    result = run(folder, *(option.format(tmp=tmp_path) for option in options))
    assert result.exit_code == 2 and text in result.stderr and not result.stdout and not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ("", "{}", "[1]", '{"points": []}', '{"model": {}}'))
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "other.json").write_text(content)
    with pytest.raises(DataError, match="no report of a sweep or a run"):
        curve_of(tmp_path / "other.json")
