"""docs/security.md names tests that exist, and bounds that hold."""

import re
from pathlib import Path

from ttfs_convert.network.connection_checks import LARGEST, LARGEST_CURRENT
from ttfs_convert.network.geometry_checks import MAX_VALUES, REACH
from ttfs_convert.network.records import MAX_AXES
from ttfs_convert.network.store import MAX_MANIFEST
from ttfs_convert.sandbox.box import SECONDS
from ttfs_convert.simulation.run_size import MAX_WORK

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()


def test_every_promise_has_its_test():
    rows = [row for row in re.findall(r"^\| [^-|].*\|$", PAGE.split("## What is not promised")[0], re.M) if not row.endswith("| Test |")]
    assert len(rows) >= 18
    for row in rows:
        assert re.search(r"`tests/\S+\.py`", row), row
    for path in re.findall(r"`((?:tests|ttfs_convert|attacks|benchmarks)/[\w/.]*)`", PAGE):
        assert (ROOT / path).exists(), path


def test_the_bounds_are_those_of_the_code():
    assert (MAX_VALUES, MAX_AXES, REACH, LARGEST, LARGEST_CURRENT, MAX_WORK, MAX_MANIFEST) == (2**31 - 1, 8, 4096, 1e36, 1e15, 10**12, 8 << 20)
    assert SECONDS == 120
    for text in (
        "2^31 - 1 values, 8 axes",
        "or 4,096 if that is more",
        "1e36, with an analog input of at most 1e15",
        "10^12 synaptic",
        "has 8 MiB at most",
        "| 120 seconds;",
        "| 121 seconds of every core |",
    ):
        assert text in PAGE
