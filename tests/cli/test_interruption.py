"""Signals to commands that run: Ctrl-C leaves a report of what was run, a kill no broken file, and both go on."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

from tests.models import Chain, save
from ttfs_convert.cli.check import main as check
from ttfs_convert.cli.convert import main as convert_main
from ttfs_convert.cli.interruption import Stopped, stoppable
from ttfs_convert.cli.run import main
from ttfs_convert.files.temporary import ENDING
from ttfs_convert.simulation.spike_file import load_spikes

AT_ONCE = "import ttfs_convert.studies.run_log as log; log.SECONDS, log.SHARE = 0, 1e9; "
CHILD = "from ttfs_convert.cli.run import main; main(prog_name='ttfs-run')"
SAMPLES = 1500
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small network, data that takes seconds one sample at a time, and the report of an undisturbed run."""
    folder = tmp_path_factory.mktemp("interruption")
    chain = Chain((2, 8, 8), seed=3).conv(4).relu1().conv(4).relu1().readout(3)
    model = save(chain.model(), folder)
    np.savez(folder / "data.npz", x=chain.images(SAMPLES), y=np.arange(SAMPLES) % 3)
    assert CliRunner().invoke(convert_main, [str(model), "--out", str(folder / "snn.npz"), "--steps", "10"]).exit_code == 0
    result = CliRunner().invoke(main, [*command(folder), "--json", str(folder / "whole.json")])
    assert result.exit_code == 0, result.output
    return folder


def command(folder, *options):
    return [str(each) for each in (folder / "snn.npz", "--data", folder / "data.npz", "--batch", 1, "--threads", 1, *options)]


def started(folder, *options, **environment):
    words, environment = [sys.executable, "-c", AT_ONCE + CHILD, *command(folder, *options)], {key: str(value) for key, value in environment.items()}
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})


def wait_for(path, child):
    end = time.monotonic() + 60
    while not path.exists() and child.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    assert path.exists() and child.poll() is None


def figures(path):
    """Of a report, without times and how it was asked for."""
    content = json.loads(path.read_text())
    return {name: value for name, value in content.items() if name not in ("timing", "tool")}


def test_an_interrupted_run_leaves_its_report_and_goes_on(folder, tmp_path):
    log, files = tmp_path / "log", ("--json", tmp_path / "part.json", "--html", tmp_path / "part.html")
    gates = ("--max-latency", "1000", "--max-drop", "90", "--junit", tmp_path / "part.xml")
    child = started(folder, "--resume", log, *files, *gates)
    wait_for(log, child)
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130 and "Traceback" not in err and err.count("interrupted: the report will be of what was run so far") == 1
    part = figures(tmp_path / "part.json")
    done = part["data"]["samples"]
    assert part["partial"] and 0 < done < SAMPLES == part["data"]["wanted"]
    assert [gate["outcome"] for gate in part["gates"]] == ["inconclusive", "inconclusive"] and 'errors="2"' in (tmp_path / "part.xml").read_text()
    assert f"{done:,} samples of 1,500: the run was interrupted" in " ".join(out.split())
    page = (tmp_path / "part.html").read_text()
    assert '"badge interrupted"' in page and f"of the first {done:,} of 1,500 samples" in page
    judged = CliRunner().invoke(check, [str(tmp_path / "part.json"), "--max-latency", "1000"])
    assert judged.exit_code == 5 and "the run was interrupted after" in judged.output
    resumed = CliRunner().invoke(main, [*command(folder), "--resume", str(log), "--json", str(tmp_path / "all.json")])
    assert resumed.exit_code == 2 and "html True there, False here" in resumed.stderr  # it was asked for a page
    files = ("--json", tmp_path / "all.json", "--html", tmp_path / "all.html")
    resumed = CliRunner().invoke(main, command(folder, "--resume", log, *files))
    assert resumed.exit_code == 0 and figures(tmp_path / "all.json") == figures(folder / "whole.json")


def test_a_killed_run_leaves_no_broken_file_and_goes_on(folder, tmp_path):
    log, report = tmp_path / "log", tmp_path / "report.json"
    for wait in (0, 0.05, 0.2):
        child = started(folder, "--resume", log, "--json", report)
        wait_for(log, child)
        time.sleep(wait)
        child.kill()
        child.communicate(timeout=60)
        assert child.returncode == -signal.SIGKILL and not report.exists()
        with np.load(log, allow_pickle=False) as file:
            assert json.loads(file["tree"].tobytes())["about"]["samples"] == SAMPLES
    resumed = CliRunner().invoke(main, command(folder, "--resume", log, "--json", report))
    assert resumed.exit_code == 0 and figures(report) == figures(folder / "whole.json")


def test_spike_times_of_an_interrupted_run_are_those_that_were_run(folder, tmp_path):
    spikes = tmp_path / "spikes.npz"
    child = started(folder, "--spikes", spikes, "--json", tmp_path / "part.json")
    end = time.monotonic() + 60
    while not list(tmp_path.glob(".spikes.npz.*/*")) and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    recording, about = load_spikes(spikes)
    done = figures(tmp_path / "part.json")["data"]["samples"]
    assert child.returncode == 130 and about["images"] == done < SAMPLES
    assert all(len(times) == done for times in recording.spike_times.values())


def test_before_anything_was_run_there_is_no_report(folder, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it went on")

    monkeypatch.setattr("ttfs_convert.studies.evaluation.evaluate", interrupted)
    before = signal.getsignal(signal.SIGINT)
    result = CliRunner().invoke(main, command(folder, "--json", tmp_path / "report.json"))
    assert result.exit_code == 130 and result.stderr == "interrupted\n" and not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_time_stops_at_once(folder, tmp_path, monkeypatch):
    def interrupted(*_, progress, stopped, **__):
        progress(1, 2)
        signal.raise_signal(signal.SIGINT)
        assert stopped()
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it went on")

    monkeypatch.setattr("ttfs_convert.studies.evaluation.evaluate", interrupted)
    result = CliRunner().invoke(main, command(folder, "--json", tmp_path / "report.json"))
    assert result.exit_code == 130 and result.stderr.splitlines()[-1] == "interrupted" and not list(tmp_path.iterdir())


def left_in(*folders):
    return [path for folder in folders for path in folder.iterdir() if path.name.endswith(ENDING)]


def test_sigterm_ends_in_one_line_and_leaves_nothing(folder, tmp_path):
    """In the middle of writing spike times, of which a part lies in a temporary folder."""
    (tmp_path / "report.json").write_text("old")
    child = started(folder, "--spikes", tmp_path / "spikes.npz", "--json", tmp_path / "report.json", TMPDIR=tmp_path)
    end = time.monotonic() + 60
    while not list(tmp_path.glob(".spikes.npz.*/*")) and time.monotonic() < end:
        time.sleep(0.01)
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 143 and err.splitlines()[-1] == "terminated" and "Traceback" not in err
    assert not left_in(tmp_path) and (tmp_path / "report.json").read_text() == "old" and not (tmp_path / "spikes.npz").exists()


def test_what_a_killed_run_left_the_next_one_removes(folder, tmp_path):
    pytest.importorskip("fcntl")
    children = []
    for name in ("spikes", "others"):
        children.append(started(folder, "--spikes", tmp_path / f"{name}.npz", TMPDIR=tmp_path))
        end = time.monotonic() + 60
        while not list(tmp_path.glob(f".{name}.npz.*/*")) and time.monotonic() < end:
            time.sleep(0.01)
        children[-1].send_signal(signal.SIGSTOP)  # alive, for as long as the test takes
    child, other = children
    assert len(left_in(tmp_path)) == 4
    child.kill()
    child.communicate(timeout=60)
    result = CliRunner().invoke(main, command(folder, "--limit", 4, "--json", tmp_path / "report.json"))
    assert result.exit_code == 0 and [path.name.split(".")[1] for path in left_in(tmp_path) if "others" in path.name] == ["others"]
    assert not [path for path in left_in(tmp_path) if ".spikes." in path.name]
    other.kill()
    other.communicate(timeout=60)


IMPORTING = """
import importlib.abc, signal, sys
class Signal(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            try:
                signal.raise_signal({number})
            except BaseException as error:
                raise {raised}
sys.meta_path.insert(0, Signal())
from ttfs_convert.cli.entry import ttfs_run
sys.argv[1:] = {arguments!r}
ttfs_run()
"""


@pytest.mark.parametrize("number, word, code", ((signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)))
@pytest.mark.parametrize(
    "module, raised",
    (("ttfs_convert.cli.run", "error"), ("onnxruntime", "ImportError('initialization failed') from error")),
    ids=("before the command", "in it, where an exception would be swallowed"),
)
def test_signals_while_modules_are_imported(folder, module, raised, number, word, code):
    code_of = IMPORTING.format(module=module, number=int(number), raised=raised, arguments=command(folder))
    done = subprocess.run([sys.executable, "-c", code_of], capture_output=True, text=True)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (code, word) and "Traceback" not in done.stderr, done.stderr


def test_a_signal_that_is_ignored_stays_so(folder):
    """As under nohup."""
    ignoring = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    code = IMPORTING.format(module="ttfs_convert.cli.run", number=int(signal.SIGINT), raised="error", arguments=["--version"])
    done = subprocess.run([sys.executable, "-c", ignoring + code], capture_output=True, text=True)
    assert done.returncode == 0 and "version" in done.stdout, done.stderr


def test_what_a_library_makes_another_error_of():
    with pytest.raises(Stopped, match="terminated"), stoppable():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Stopped:
            raise RuntimeError from None
    with pytest.raises(RuntimeError), stoppable():  # and no later one
        raise RuntimeError
