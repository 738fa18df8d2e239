"""The GitHub Action: its inputs reach the commands, whatever is in them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ACTION = (Path(__file__).parents[2] / "action.yml").read_text()
STUB = '#!/bin/bash\nprintf \'%s\\n\' "$(basename "$0")" "$@" >> "$CALLS"\necho summary\nexit ${EXIT_CODE:-0}\n'


def script():
    """The last step's."""
    block = ACTION.rpartition("run: |\n")[2]
    return re.sub(r"^ {8}", "", block, flags=re.MULTILINE)


@pytest.fixture
def action(tmp_path):
    """A function that runs the script with these inputs, the commands being stubs that write down their arguments, and gives its exit code and
    the arguments."""
    if os.name == "nt" or shutil.which("bash") is None:
        pytest.skip("no bash")
    for name in ("ttfs-run", "ttfs-convert"):
        path = tmp_path / name
        path.write_text(STUB)
        path.chmod(0o755)

    def run(exit_code=0, **inputs):
        usual = dict(DATA="d.npz", GATES="", OPTIONS="", CONVERT_OPTIONS="", REPORT="r.json", JUNIT="")
        files = dict(CALLS=str(tmp_path / "calls"), GITHUB_STEP_SUMMARY=str(tmp_path / "summary"), RUNNER_TEMP="/temp")
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "EXIT_CODE": str(exit_code), **usual, **files, **inputs}
        done = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script()], env=environment, cwd=tmp_path)
        return done.returncode, (tmp_path / "calls").read_text().splitlines(), tmp_path / "summary"

    return run


def test_a_network_is_run(action):
    code, calls, summary = action(NETWORK="my net.npz", GATES="g.toml", JUNIT="j.xml", OPTIONS="--max-drop=0.5; rm x\n\n--limit=9\n")
    expected = ["ttfs-run", "my net.npz", "--data", "d.npz", "--json", "r.json", "--markdown", "-"]
    assert code == 0 and calls == [*expected, "--max-drop=0.5; rm x", "--limit=9", "--gates", "g.toml", "--junit", "j.xml"]
    assert summary.read_text() == "summary\n"


def test_a_model_is_converted_first(action):
    _, calls, _ = action(NETWORK="m.onnx", CONVERT_OPTIONS="--steps=9")
    assert calls[:6] == ["ttfs-convert", "m.onnx", "--out", "/temp/ttfs-network.npz", "--steps=9", "ttfs-run"]


@pytest.mark.parametrize("exit_code", (5, 99))
def test_the_exit_code_is_the_runs(action, exit_code):
    assert action(exit_code, NETWORK="n.npz")[0] == exit_code


def test_every_input_is_used_and_none_is_pasted_into_a_script():
    inputs = re.findall(r"^  ([\w-]+):$", ACTION.partition("runs:")[0], re.MULTILINE)
    assert sorted(inputs) == sorted(re.findall(r"inputs\.([\w-]+)", ACTION)) and "${{" not in script()
