"""The commands on consoles, pipes and disks that do not take what is printed or written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import helper, numpy_helper
from rich.cells import cell_len

from tests.models import Chain, save, unity
from ttfs_convert.cli import convert, inspect, run, tune
from ttfs_convert.network.store import load
from ttfs_convert.tables import widths

pytestmark = pytest.mark.skipif(os.name == "nt", reason="uses a POSIX shell")
NAMES = {"gemm0": "Größe 层", "clip1": "[/red] [bold]x[/bold] :smile:"}  # neither the letters nor the brackets are ours to interpret


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model whose layers have NAMES, its network, labelled data on which it is right, and data on which it is wrong."""
    folder = tmp_path_factory.mktemp("files")
    chain = Chain((8,)).gemm(16).relu1().gemm(12).relu1().readout(3)
    model = chain.model()
    for node in model.graph.node:
        node.name = NAMES.get(node.name, node.name)
    save(model, folder)
    assert CliRunner().invoke(convert.main, [str(folder / "model.onnx"), "--out", str(folder / "snn.npz")]).exit_code == 0
    x = chain.images(200)
    result = CliRunner().invoke(run.main, [str(folder / "snn.npz"), "--data", _data(folder / "plain.npz", x=x), "--spikes", str(folder / "s.npz")])
    assert result.exit_code == 0, result.output
    with np.load(folder / "s.npz") as spikes:
        predicted = next(spikes[name] for name in spikes.files if name.startswith("potentials")).argmax(1)
    _data(folder / "data.npz", x=x, y=predicted.astype(np.int64))
    return folder


def _data(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def shell(files, out, command, redirection, limit=None, **environment):
    """`command` under bash, in the folder `out`, with its exit code and what arrived. limit: of a file's size, in KiB."""
    name, *arguments = command.format(files=files).split()
    code = f"from ttfs_convert.cli.{name} import main; main(prog_name='ttfs-{name}')"
    kept = {name: value for name, value in os.environ.items() if not (limit and name == "COVERAGE_PROCESS_CONFIG")}  # its file is over the limit
    line = f'"{sys.executable}" -c "{code}" {" ".join(arguments)} {redirection}; exit ${{PIPESTATUS[0]}}'
    return subprocess.run(
        ["bash", "-c", f"ulimit -f {limit}; {line}" if limit else line],
        capture_output=True,
        cwd=out,
        env={**kept, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
    )


RUN = "run {files}/snn.npz --data {files}/data.npz --json report.json"
CONVERT = "convert {files}/model.onnx --out again.npz --json report.json"


def written(out, name):
    return load(out / name).layers if name.endswith(".npz") else json.loads((out / name).read_text())


@pytest.mark.parametrize(
    "command, files_written",
    (
        (RUN, ("report.json",)),
        (CONVERT, ("again.npz", "report.json")),
        ("tune {files}/snn.npz --data {files}/data.npz --out tuned.npz", ("tuned.npz",)),
        ("run --help", ()),
    ),
)
@pytest.mark.parametrize("redirection", ("| true", ">&-"))
def test_nobody_listens(files, tmp_path, command, files_written, redirection):
    result = shell(files, tmp_path, command, redirection)
    assert result.returncode == 0 and b"Traceback" not in result.stderr and b"error" not in result.stderr, result.stderr
    assert sorted(os.listdir(tmp_path)) == sorted(files_written)
    assert all(written(tmp_path, name) for name in files_written)


def test_nothing_is_open(files, tmp_path):
    assert shell(files, tmp_path, RUN, "<&- >&- 2>&-").returncode == 0
    assert written(tmp_path, "report.json")["data"]["samples"] == 200
    result = shell(files, tmp_path, "run {files}/snn.npz --data none.npz", ">&- 2>&-")
    assert result.returncode == 4


def test_errors_that_nobody_hears(files, tmp_path):
    for redirection in ("2>&-", "2> /dev/full"):
        result = shell(files, tmp_path, RUN + " --max-drop 90", redirection)
        assert result.returncode == 0 and b"Summary" in result.stdout


def test_the_gate_is_heard_by_nobody_and_exits_all_the_same(files, tmp_path):
    command = "run {files}/snn.npz --data {files}/data.npz --steps 1 --max-drop 0.001"
    expected = shell(files, tmp_path, command, "").returncode
    assert expected in (5, 99)
    assert [shell(files, tmp_path, command, redirection).returncode for redirection in ("| true", ">&-", "> /dev/full")] == [expected] * 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    "command, files_written",
    ((RUN, ["report.json"]), (CONVERT, []), ("convert {files}/model.onnx --out again.npz --json -", []), ("inspect --help", [])),
)
def test_a_full_disk_behind_standard_output(files, tmp_path, command, files_written):
    result = shell(files, tmp_path, command, "> /dev/full")
    assert result.returncode == 1
    assert result.stderr.decode().splitlines()[-1] == "error: standard output: cannot be written (No space left on device)"
    assert b"Traceback" not in result.stderr and os.listdir(tmp_path) == files_written


@pytest.mark.parametrize(
    "command, limit",
    (
        (CONVERT, 8),  # the temporary copies of the model fit, the network does not
        (CONVERT, 2),
        (RUN, 1),
        ("run {files}/snn.npz --data {files}/data.npz --spikes spikes.npz", 2),
        ("inspect {files}/snn.npz --plot plots", 40),
    ),
)
def test_a_file_that_the_disk_does_not_take(files, tmp_path, command, limit):
    """Past the limit a write fails as on a full disk."""
    if "--plot" in command:
        pytest.importorskip("matplotlib")
    result = shell(files, tmp_path, command, "", limit)
    lines = [line for line in result.stderr.decode().splitlines() if line.startswith("error: ")]
    assert result.returncode == 1 and len(lines) == 1 and "cannot be written (File too large)" in lines[0], result.stderr
    assert b"Traceback" not in result.stderr and not os.listdir(tmp_path)


def test_standard_output_for_json_has_to_be_open(files, tmp_path):
    result = shell(files, tmp_path, "convert {files}/model.onnx --out again.npz --json -", ">&-")
    assert result.returncode == 2 and b"error: --json -: standard output is closed; name a file" in result.stderr
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("encoding", ("ascii", "cp1252", "utf-8"))
def test_letters_that_the_console_lacks(files, tmp_path, encoding):
    result = shell(files, tmp_path, RUN + " --histogram", "", PYTHONIOENCODING=encoding)
    shown = result.stdout.decode(encoding)
    assert result.returncode == 0 and b"Traceback" not in result.stderr and written(tmp_path, "report.json")
    assert {"ascii": "Gr??e ??", "cp1252": "Größe ??", "utf-8": "Größe 层"}[encoding] in shown
    assert ("█" if encoding == "utf-8" else "@") in shown
    widths = {len(line) + line.count("层") for line in shown.split("Spike times")[1].split("Operations")[0].splitlines() if "%" in line}
    assert len(widths) == 1  # columns stay columns


def test_names_are_printed_as_they_are(files, tmp_path):
    for main, arguments in (
        (run.main, ("snn.npz", "--data", files / "data.npz", "--histogram")),
        (inspect.main, ("snn.npz",)),
        (inspect.main, ("model.onnx",)),
        (convert.main, ("model.onnx", "--out", tmp_path / "n.npz")),
    ):
        result = CliRunner().invoke(main, [str(files / arguments[0]), *map(str, arguments[1:])])
        assert result.exit_code == 0 and NAMES["gemm0"] in result.output


def test_markup_in_names_of_layers_and_errors(tmp_path):
    name = NAMES["clip1"]
    model = Chain((4,)).gemm(5).relu1().readout(2).model()
    for node in model.graph.node:
        node.name, node.output[0] = f"{node.name}{name}" if node.op_type == "Gemm" else node.name, node.output[0]
    (weights,) = (tensor for tensor in model.graph.initializer if tuple(tensor.dims) == (4, 5))
    weights.CopyFrom(numpy_helper.from_array(2 * unity(numpy_helper.to_array(weights), 1), weights.name))
    path = save(model, tmp_path)
    refused = CliRunner().invoke(convert.main, [str(path), "--out", str(tmp_path / "out.npz")])
    assert refused.exit_code == 3 and refused.stderr.count(name) == 2 and not (tmp_path / "out.npz").exists()
    node = helper.make_node("Asinh", [model.graph.node[0].output[0]], ["s"], name=name)
    model.graph.node[1].input[0] = "s"
    model.graph.node.insert(1, node)
    path = save(model, tmp_path)
    for result in (CliRunner().invoke(inspect.main, [str(path)]), CliRunner().invoke(convert.main, [str(path), "--out", str(tmp_path / "out.npz")])):
        assert result.exit_code == 3 and name in result.output


def test_two_results_need_two_files(files, tmp_path):
    for main, options in ((convert.main, ("--out", "--json")), (tune.main, ("--json", "--out")), (run.main, ("--json", "--spikes"))):
        first = [str(files / "model.onnx")] if main is convert.main else [str(files / "snn.npz"), "--data", str(files / "data.npz")]
        result = CliRunner().invoke(main, [*first, *(part for option in options for part in (option, str(tmp_path / "one")))])
        assert result.exit_code == 2 and "the file of --" in result.stderr and not os.listdir(tmp_path)


@pytest.mark.parametrize("columns", ("80", "60", "0", "x"))
def test_tables_fit_the_columns_that_a_pipe_is_said_to_have(files, tmp_path, columns):
    for command in (RUN + " --histogram", CONVERT, "inspect {files}/model.onnx", "run {files}/snn.npz --data {files}/data.npz --sweep drop=0.1"):
        lines = shell(files, tmp_path, command, "", COLUMNS=columns).stdout.decode().splitlines()
        width = {"80": 80, "60": 60, "0": widths.NARROWEST}.get(columns, widths.WITHOUT_WINDOW)
        tables = [line for line in lines if not line.startswith(("Wrote", "Robustness", "Fitted"))]
        assert max(cell_len(line) for line in tables) <= width and not any(line.endswith(" ") for line in lines), command


def test_every_file_is_named_as_it_is_written(files, tmp_path):
    pytest.importorskip("matplotlib")
    command = RUN + " --spikes spikes.npz --plot figures"
    assert {"Wrote report.json.", "Wrote spikes.npz.", "Wrote the figures to figures."} <= set(
        shell(files, tmp_path, command, "").stderr.decode().splitlines()
    )
    told = shell(files, tmp_path, CONVERT, "")
    assert b"Wrote report.json." in told.stderr and b"Wrote again.npz: " in told.stdout
