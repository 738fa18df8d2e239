"""`--plot` of ttfs-run and ttfs-inspect: what it writes, and what keeps it from doing so."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.figures.pictures import assert_figures
from tests.models import Chain, converted, save
from ttfs_convert.cli.inspect import main as inspect_main
from ttfs_convert.cli.run import main as run_main
from ttfs_convert.network.store import save as save_network

CHAIN = Chain((6,), seed=1).gemm(8).relu1().gemm(7).relu1().readout(3)
OF_RUN = "preactivations", "activations", "spike_times", "time_axis"
OF_WEIGHTS = "weight_sums", "weight_sum_deviations"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    save_network(converted(CHAIN.model(), steps=10), folder / "snn.npz")
    save(CHAIN.model(), folder)
    np.savez(folder / "data.npz", x=CHAIN.images(6))
    return folder


def run(files, *options, data="data.npz"):
    return CliRunner().invoke(run_main, [str(files / "snn.npz"), "--data", str(files / data), "--threads", "1", *map(str, options)])


def inspect(path, *options):
    return CliRunner().invoke(inspect_main, [str(path), *map(str, options)])


def test_figures_of_a_run_change_nothing_else(files, tmp_path):
    drawn, plain = run(files, "--plot", tmp_path / "new", "--json", "-"), run(files, "--json", "-")
    assert drawn.exit_code == 0, drawn.stderr
    assert_figures(tmp_path / "new", *OF_RUN)
    assert (tmp_path / "new" / "histograms.npz").exists()
    assert drawn.stdout.split('"timing"')[0] == plain.stdout.split('"timing"')[0]


def test_figures_beside_others_in_a_folder_that_is_there(files, tmp_path):
    assert run(files, "--plot", tmp_path).exit_code == 0 and inspect(files / "snn.npz", "--plot", tmp_path).exit_code == 0
    assert_figures(tmp_path, *OF_RUN, *OF_WEIGHTS)


@pytest.mark.parametrize("file", ("snn.npz", "model.onnx"))
def test_weight_sums_of_networks_and_models(files, tmp_path, file):
    result = inspect(files / file, "--plot", tmp_path / "new")
    assert result.exit_code == 0 and result.stdout == inspect(files / file).stdout
    assert_figures(tmp_path / "new", *OF_WEIGHTS)


def test_of_a_model_that_does_not_convert_what_can_be_lowered_is_drawn(tmp_path):
    model = save(Chain((6,), seed=1).gemm(8).relu1().gemm(5).add("Asinh").gemm(4).relu1().readout(3).model(), tmp_path)
    assert inspect(model, "--plot", tmp_path / "new").exit_code == 3
    assert_figures(tmp_path / "new", *OF_WEIGHTS)


# What keeps figures from being drawn is told before anything runs


def refused(result, *texts):
    assert result.exit_code == 2 and not result.stdout
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: ") and all(text in line for text in texts), line


def everywhere(files, folder):
    """Each command with --plot `folder`; the run would end with 4 for its data."""
    inspected = [inspect(files / name, "--plot", folder) for name in ("snn.npz", "model.onnx")]
    return run(files, "--plot", folder, data="none.npz"), *inspected


def test_a_file_is_no_folder(files, tmp_path):
    (tmp_path / "file").write_text("mine")
    for result in everywhere(files, tmp_path / "file"):
        refused(result, "cannot hold figures", "no folder", "name another folder")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_in_no_folder(files, tmp_path):
    for result in everywhere(files, tmp_path / "none" / "new"):
        refused(result, "cannot hold figures", f"{tmp_path / 'none'} is no writable folder")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_writable(files, tmp_path, monkeypatch):
    may = os.access
    monkeypatch.setattr("os.access", lambda path, *rest, **named: Path(path) != tmp_path and may(path, *rest, **named))
    for result in everywhere(files, tmp_path):
        refused(result, "no writable folder")


def test_without_matplotlib(files, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for result in everywhere(files, tmp_path / "new"):
        refused(result, "matplotlib is not installed", "pip install 'ttfs-convert[plot]'")
    assert not list(tmp_path.iterdir())
    assert run(files).exit_code == 0 and inspect(files / "snn.npz").exit_code == 0


def test_a_name_that_is_taken_by_a_folder_leaves_all_as_it_was(files, tmp_path):
    (tmp_path / "time_axis.svg").mkdir()
    result = run(files, "--plot", tmp_path)
    assert result.exit_code == 2 and "cannot be written" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["time_axis.svg"]


def test_a_sweep_of_other_kinds_draws_nothing(files, tmp_path):
    refused(run(files, "--sweep", "drop", "--plot", tmp_path / "new.png"), "--sweep", "--plot")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", ("ttfs_convert.cli.run", "ttfs_convert.cli.inspect", "ttfs_convert.studies.evaluation"))
def test_matplotlib_is_loaded_for_figures_alone(module):
    code = f"import sys, {module}; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0


def test_figures_need_no_state_of_pyplot(files, tmp_path):
    code = (
        "import sys; from ttfs_convert.cli.inspect import main; main(sys.argv[1:], standalone_mode=False); "
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    command = [sys.executable, "-c", code, files / "snn.npz", "--plot", tmp_path]
    assert subprocess.run(command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL).returncode == 0
    assert_figures(tmp_path, *OF_WEIGHTS)
