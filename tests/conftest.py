"""What holds for every test file."""

from __future__ import annotations

import os

from ttfs_convert.cli import progress_lines
from ttfs_convert.sandbox import trial

trial.ON = False  # thousands of commands run in the tests' own process, each on a new file; tests/attacks/test_sandbox.py turns it on
progress_lines.PATIENCE = 1e6  # seconds: what commands say beside their results does not depend on the machine

for name in ("COLUMNS", "LINES"):  # which GNU readline, imported by pytest, tells pytest's own processes, whoever has a window
    os.environ.pop(name, None)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes are named by their number of them: an archive's own hold the second it was written in, and the workers of pytest-xdist, which collect a
    moment apart, must agree on every test's name.
    """
    return f"{len(val)} bytes" if isinstance(val, bytes) else None
