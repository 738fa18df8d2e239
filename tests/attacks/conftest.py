"""A small network file with one of each: convolutions (depthwise, dilated), pools, residual sums, dense layers; and data for it."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from attacks.network_file import Change, changed
from attacks.small_network import small_model
from ttfs_convert.cli.run import main
from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.network.store import save


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """A folder with snn.npz, and 40 samples of data for it, d.npz."""
    folder, rng = tmp_path_factory.mktemp("small"), np.random.default_rng(0)
    save(convert(small_model(), mode="unchecked"), folder / "snn.npz")
    np.savez(folder / "d.npz", x=rng.random((40, 2, 8, 8)).astype(np.float32), y=rng.integers(0, 4, 40))
    return folder


@pytest.fixture
def attacked(small, tmp_path):
    """A function: the network file that a change makes."""

    def make(change: Change) -> Path:
        changed(small / "snn.npz", tmp_path / "attacked.npz", change)
        return tmp_path / "attacked.npz"

    return make


def run(*arguments):
    """What ttfs-run makes of its arguments."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assert_refused(result, code: int, *words: str) -> None:
    """One line, the exit code, no traceback."""
    lines = [line for line in result.output.splitlines() if line]
    assert result.exit_code == code, result.output
    assert len(lines) == 1 and lines[0].startswith("error: ") and len(lines[0]) < 5000
    for word in words:
        assert word in lines[0]
