"""Files that crash, hang or fill memory while they are read: simulated by tasks that do so themselves (`harmful.py`), in the same child process."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from tests import mixed
from tests.attacks.conftest import assert_refused, small_model
from tests.models import converted, dataset
from ttfs_convert.cli.convert import main as convert_main
from ttfs_convert.cli.inspect import main as inspect_main
from ttfs_convert.cli.run import main as run_main
from ttfs_convert.cli.tune import main as tune_main
from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.errors import ModelError
from ttfs_convert.network.store import save
from ttfs_convert.sandbox import probes, remembered, trial
from ttfs_convert.sandbox.box import Box

TASKS = "tests.attacks.harmful:"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="macOS takes no limit of memory, Windows has none")
MUCH = 1 << 32


def answered(task: str, memory: int = MUCH, seconds: float = 60.0) -> tuple[str, str]:
    with Box(TASKS + task) as box:
        box.ask({}, memory, seconds)
        return box.answer(), box.signal


@pytest.mark.parametrize(
    "task, answer", {"passes": "passed", "raises": "refused", "lacks_memory": "memory", "writes_much": "refused", "no_such_task": "none"}.items()
)
def test_the_answer_is_what_became_of_the_task(task, answer):
    assert answered(task)[0] == answer


@POSIX
@pytest.mark.parametrize("task, ended", {"aborts": "(SIGABRT)", "leaves": "(exit code 7)"}.items())
def test_a_crash_is_seen_with_what_ended_the_process(task, ended):
    assert answered(task) == ("crash", f" {ended}")


@pytest.mark.parametrize("task", ["hangs", "spins"])
def test_what_never_ends_is_ended(task):
    start = time.monotonic()
    assert answered(task, seconds=0.5)[0] == "time" and time.monotonic() - start < 30


@LINUX
def test_memory_has_a_limit_beside_what_the_process_itself_takes():
    assert answered("fills_memory", memory=256 << 20)[0] == "memory"


@POSIX
@pytest.mark.parametrize("task", ["may_not_dump_core", "knows_no_working_folder"])
def test_the_process_dumps_no_core_and_takes_no_modules_from_the_working_folder(task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert answered(task)[0] == "passed"


@POSIX
def test_the_process_ends_itself_where_nobody_ends_it():
    with Box(TASKS + "hangs") as box:
        box.ask({}, MUCH, seconds=1.0)
        assert box._process.wait(timeout=30) == -signal.SIGALRM


def test_the_process_ends_with_its_context():
    with contextlib.suppress(KeyboardInterrupt), Box(TASKS + "hangs") as box:
        box.ask({}, MUCH)
        raise KeyboardInterrupt
    assert box._process.returncode is not None


@pytest.fixture
def boxed(monkeypatch, tmp_path) -> Path:
    """Files are tried; the folder of those that passed."""
    monkeypatch.setattr(trial, "ON", True)
    monkeypatch.setattr(remembered, "_folder", lambda: tmp_path / "tried")
    return tmp_path / "tried"


@pytest.fixture
def started(monkeypatch) -> list[str]:
    """Tasks of the processes that have been started."""
    found = []

    def start(task: str) -> Box:
        found.append(task.rpartition(":")[2])
        return Box(task)

    monkeypatch.setattr(trial, "Box", start)
    return found


@pytest.fixture
def files(small, tmp_path) -> Path:
    """A folder with model.onnx, snn.npz of it, and data d.npz."""
    onnx.save(small_model(), tmp_path / "model.onnx")
    for name in ("snn.npz", "d.npz"):
        (tmp_path / name).write_bytes((small / name).read_bytes())
    return tmp_path


def invoked(command, *arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def commands(folder: Path) -> dict:
    data = "--data", folder / "d.npz"
    return {
        "convert": (convert_main, folder / "model.onnx", "--mode", "unchecked", "--out", folder / "out.npz"),
        "inspect": (inspect_main, folder / "model.onnx"),
        "run": (run_main, folder / "snn.npz", *data, "--limit", "4", "--json", folder / "out.npz"),
        "tune": (tune_main, folder / "snn.npz", *data, "--max-drop", "100", "--json", folder / "out.npz"),
    }


@POSIX
@pytest.mark.parametrize("command", ["convert", "inspect", "run", "tune"])
def test_a_file_that_crashes_is_one_line_and_exit_3(command, boxed, files, monkeypatch):
    for name in ("MODEL", "NETWORK"):
        monkeypatch.setattr(trial, name, f"{TASKS}aborts")
    assert_refused(invoked(*commands(files)[command]), 3, "crashed (SIGABRT)", "model.onnx" if command in ("convert", "inspect") else "snn.npz")
    assert not (files / "out.npz").exists() and not boxed.exists()


@pytest.mark.parametrize("task, said", {"hangs": "more than 1 seconds", "lacks_memory": "of memory"}.items())
def test_a_file_that_hangs_or_fills_memory_is_one_line_and_exit_3(task, said, boxed, files, monkeypatch):
    monkeypatch.setattr(trial, "MODEL", TASKS + task)
    monkeypatch.setattr(trial, "SECONDS", 1.0)
    assert_refused(invoked(*commands(files)["convert"]), 3, said, "--no-sandbox")


def test_no_process_starts_where_the_option_says_so(boxed, started, files):
    for command in ("convert", "inspect", "run", "tune"):
        result = invoked(*commands(files)[command], "--no-sandbox")
        assert result.exit_code in (0, 5), result.output
    assert not started


def test_a_file_is_tried_once(boxed, started, files):
    for _ in range(2):
        assert invoked(*commands(files)["convert"]).exit_code == 0
        assert invoked(*commands(files)["inspect"]).exit_code == 0
        assert invoked(*commands(files)["run"]).exit_code == 0
    assert started == ["model", "network"]
    (files / "copy.onnx").write_bytes((files / "model.onnx").read_bytes())
    assert invoked(inspect_main, files / "copy.onnx").exit_code == 0 and len(started) == 2  # by its content


def test_a_network_that_this_user_has_converted_is_trusted(boxed, started, files):
    assert invoked(*commands(files)["convert"]).exit_code == 0
    assert invoked(run_main, files / "out.npz", "--data", files / "d.npz", "--limit", "4").exit_code == 0
    assert started == ["model"]


@pytest.mark.parametrize("change", ["content", "version", "sizes", "entry"])
def test_it_is_tried_again_after_any_change(change, boxed, started, files, monkeypatch):
    command = [inspect_main, files / "model.onnx"]
    assert invoked(*command).exit_code == 0
    if change == "content":
        model = onnx.load(files / "model.onnx")
        model.doc_string = "another"
        onnx.save(model, files / "model.onnx")
    elif change == "version":
        monkeypatch.setattr(remembered, "_version", lambda name: "another")
    elif change == "sizes":
        command += ["--input-shape", "2x8x8"]
    else:
        next(boxed.iterdir()).write_text('{"beside": 3}')
    assert invoked(*command).exit_code == 0
    assert started == ["model", "model"]


def test_weights_beside_a_model_are_part_of_what_passed(boxed, started, tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(small_model(), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    for _ in range(2):
        assert invoked(inspect_main, path).exit_code == 0
    weights = bytearray((tmp_path / "w.bin").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "w.bin").write_bytes(weights)
    assert invoked(inspect_main, path).exit_code == 0
    assert started == ["model", "model"]


def test_what_is_remembered_has_a_bound(boxed, files, monkeypatch):
    monkeypatch.setattr(remembered, "MOST", 3)
    for number in range(8):
        (files / "model.onnx").write_bytes(bytes([number]))
        remembered.Passed("task", files / "model.onnx").add({}, {})
    assert 1 <= len(list(boxed.iterdir())) <= 3
    assert remembered.Passed("task", files / "model.onnx").holds({})


def test_an_error_of_the_model_is_told_as_ever_and_not_remembered(boxed, started, files):
    (files / "model.onnx").write_bytes(b"\x00\x01nothing")
    for _ in range(2):
        assert_refused(invoked(inspect_main, files / "model.onnx"), 3, "is not an ONNX model")
    assert started == ["model", "model"]


def test_sizes_that_data_shows_are_tried(boxed, started, tmp_path):
    model = small_model()
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"axis{axis}"
    onnx.save(model, tmp_path / "model.onnx")
    np.savez(tmp_path / "d.npz", x=np.random.default_rng(0).random((20, 2, 8, 8)).astype(np.float32))
    arguments = tmp_path / "model.onnx", "--mode", "exact", "--calibrate", tmp_path / "d.npz", "--out", tmp_path / "snn.npz"
    for _ in range(2):
        result = invoked(convert_main, *arguments)
        assert result.exit_code == 0, result.output
    assert started == ["model"] and remembered.Passed(trial.MODEL, tmp_path / "model.onnx").holds({"shapes": ["x:2x8x8"]})


def test_all_models_in_a_network_are_tried(monkeypatch, tmp_path):
    """Original and tail; and the tensors inside that layers are compared with."""
    save(convert(small_model(), mode="unchecked"), tmp_path / "snn.npz")
    runs = []

    class Heard(probes.Reference):
        def __call__(self, x):
            result = super().__call__(x)
            runs.append({name: value.shape for name, value in result.items()})
            return result

    monkeypatch.setattr(probes, "Reference", Heard)
    probes.network({"path": str(tmp_path / "snn.npz"), "onnx": None})
    assert [list(run)[:1] for run in runs] == [["y"]] * 4
    assert runs[1]["a1"] == (1, 8, 8, 8) and len(runs[0]) == 1
    monkeypatch.undo()
    onnx.save(small_model(), tmp_path / "model.onnx")
    save(convert(tmp_path / "model.onnx", mode="unchecked", embed=False), tmp_path / "bare.npz")
    with pytest.raises(ModelError):
        probes.network({"path": str(tmp_path / "bare.npz"), "onnx": str(tmp_path / "missing.onnx")})
    probes.network({"path": str(tmp_path / "bare.npz"), "onnx": str(tmp_path / "model.onnx")})


def test_analog_parts_are_tried(monkeypatch, tmp_path):
    chain = mixed.lstm()
    network = converted(chain.model(), mode="exact", allow_analog=True, calibrate=dataset(chain.images(40)))
    save(network, tmp_path / "snn.npz")
    tried = []
    monkeypatch.setattr(probes, "_run", lambda reference, shapes: tried.append(set(reference.inputs)))
    probes.network({"path": str(tmp_path / "snn.npz"), "onnx": None})
    roots = {layer.tensor for layer in network.layers if layer.kind == "readout" and layer.inner}
    assert network.analog and tried[-1] == roots


@POSIX
def test_ctrl_c_ends_the_process_with_the_command(files):
    lines = f"""
import sys
sys.path[:0] = {[path for path in sys.path if path]!r}
from ttfs_convert.sandbox import trial, remembered
trial.MODEL = "{TASKS}hangs_after_its_pid"
remembered._folder = lambda: __import__("pathlib").Path({str(files / "tried")!r})
from ttfs_convert.cli.inspect import main
main([{str(files / "model.onnx")!r}])
"""
    command = subprocess.Popen([sys.executable, "-c", lines], stderr=subprocess.PIPE, text=True)
    noted, deadline = files / "model.onnx.pid", time.monotonic() + 60
    while not (noted.exists() and noted.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    inner = int(noted.read_text())
    time.sleep(0.2)
    command.send_signal(signal.SIGINT)  # to the command alone: the process inside is its own to end
    assert command.communicate(timeout=60)[1].splitlines() == ["interrupted"] and command.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(inner, 0)
