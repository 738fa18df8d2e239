"""Odd values of Numba's variables are one line and exit 2."""

import os
import subprocess
import sys

import pytest

COMMAND = "import sys; from ttfs_convert.cli.inspect import main; main(sys.argv[1:])"


@pytest.mark.parametrize(
    "variable, value",
    (("NUM_THREADS", "0"), ("NUM_THREADS", "-1"), ("NUM_THREADS", "many"), ("NUM_THREADS", "9" * 40), ("THREADING_LAYER", "nonsense"), ("OPT", "x")),
)
def test_what_numba_does_not_understand_is_refused(tmp_path, variable, value):
    (tmp_path / "model.onnx").write_bytes(b"\0")
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, str(tmp_path / "model.onnx")], capture_output=True, text=True, env={**os.environ, f"NUMBA_{variable}": value}
    )
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and len(lines) == 1 and (f"NUMBA_{variable}" in lines[0] or value in lines[0])
