"""Logs of sweeps that damage has made unreadable are named."""

import pytest

from ttfs_convert.errors import DataError
from ttfs_convert.studies.sweep_log import SweepLog
from ttfs_convert.studies.trade_off import curve_of


@pytest.mark.parametrize("content", (b"[" * 100_000 + b"\n", b"{}\n", b"\xff\n", b"1\n"), ids=("brackets", "no run", "no text", "a number"))
def test_broken_lines(tmp_path, content):
    path = tmp_path / "log"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        SweepLog(path, {})
    with pytest.raises(DataError, match="no report of a sweep or a run"):
        curve_of(path)
