"""ONNX Runtime keeps no record of its use on the user's machine, unless the user says otherwise."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("given", "found"), (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")))
def test_nothing_is_left_in_the_users_folders(tmp_path, given, found):
    folders = {name: tmp_path / name for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    for folder in folders.values():
        folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {name: str(folder) for name, folder in folders.items()} | given
    code = "import os; from ttfs_convert.onnx_model import session; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split() == [found]
    if found == "1":
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
