"""Each variant of each kind of attack is refused as it is loaded, in one line, before anything is computed."""

import subprocess
import sys

import pytest

from attacks import magnitudes
from attacks.__main__ import KINDS
from attacks.network_file import read, write
from tests.attacks.conftest import assert_refused, run
from ttfs_convert.errors import ModelError
from ttfs_convert.network.store import load

VARIANTS = {f"{kind}: {name}": change for kind, variants in KINDS.items() for name, change in variants.items()}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_file_that_contradicts_itself_is_refused(attacked, variant):
    with pytest.raises(ModelError) as caught:
        load(attacked(VARIANTS[variant]))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


def test_the_command_refuses_them_too(attacked, small):
    for variant in ("geometry: conv: strides of 4611686018427387904", "connections: joined as (8, 4, 16)"):
        assert_refused(run(attacked(VARIANTS[variant]), "--data", small / "d.npz"), 3, "attacked.npz")


def test_a_file_that_is_only_taken_apart_and_put_together_runs(small, tmp_path):
    write(tmp_path / "same.npz", *read(small / "snn.npz"))
    assert run(tmp_path / "same.npz", "--data", small / "d.npz", "--limit", "4").exit_code == 0


def test_a_small_file_that_asks_for_much_memory_is_not_run(attacked, small):
    path = attacked(magnitudes.GROWN(20_000))
    assert path.stat().st_size < 20_000
    load(path)
    assert_refused(run(path, "--data", small / "d.npz", "--max-memory", "1G"), 3, "of memory", "--max-memory")


def test_the_scripts_write_every_variant(small, tmp_path):
    subprocess.run([sys.executable, "-m", "attacks", str(small / "snn.npz"), str(tmp_path)], check=True, capture_output=True)
    assert len(list(tmp_path.glob("*.npz"))) == len(VARIANTS)
