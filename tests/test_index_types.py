"""Indices are int64 wherever NumPy's default is another type, as it is int32 before NumPy 2 on Windows."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WITH_DEFAULTS = ("arange", "indices")  # functions whose integers are of the default type


@pytest.mark.parametrize("folder", ("lowering", "network", "simulation", "compensation"))
def test_types_of_indices_are_named(folder):
    paths = sorted((ROOT / "ttfs_convert" / folder).rglob("*.py"))
    unnamed = [
        f"{path.name}:{call.lineno}"
        for path in paths
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in WITH_DEFAULTS
        and getattr(call.func.value, "id", None) == "np"
        and "dtype" not in {keyword.arg for keyword in call.keywords}
    ]
    assert len(paths) > 5 and not unnamed, "say dtype=np.int64"


CODE = """
import sys
import numpy as np

narrow = sys.argv[1] == "narrow"

def default(function):
    def as_on_windows(*arguments, dtype=None, **options):
        made = function(*arguments, **options) if dtype is None else function(*arguments, dtype=dtype, **options)
        return made.astype(np.int32) if dtype is None and made.dtype == np.int64 else made
    return as_on_windows

if narrow:
    np.arange, np.indices = default(np.arange), default(np.indices)

from tests.models import Chain, converted
from ttfs_convert import load, save
from ttfs_convert.simulation.engines import simulate

chains = {
    "pool": Chain((2, 6, 6)).conv(3, pads=[1] * 4).relu1().add("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).conv(4).relu1().readout(),
    "turned": Chain((2, 4, 5)).conv(3, pads=[1] * 4).relu1().add("Transpose", perm=[0, 2, 3, 1]).readout(),
    "padded": Chain((2, 5, 5)).conv(3).relu1().add("AveragePool", kernel_shape=[2, 2], pads=[0, 0, 1, 1]).conv(2, (2, 2)).relu1().readout(),
    "dense": Chain((6,)).gemm(5).relu1().gemm(4).relu1().readout(3)}
joined = Chain((2, 4, 4)).conv(3, pads=[1] * 4).relu1()
first = joined.at
chains["joined"] = joined.conv(3, pads=[1] * 4).relu1().add("Concat", first, axis=2).readout()

for name, chain in chains.items():
    network = converted(chain.model(), steps=20, mode="exact")
    save(network, sys.argv[2])
    network = load(sys.argv[2])
    for engine in ("exact", "clock", "event"):
        recording = simulate(network, chain.images(2), engine)
        print(name, engine, [float(abs(times.astype(float)).sum()) for times in recording.spike_times.values()],
              recording.potentials.astype(float).sum().round(3))
"""


def test_networks_are_the_same_where_the_default_is_int32(tmp_path):
    """Without compilation, which knows NumPy's own functions only."""

    def printed(kind):
        result = subprocess.run(
            [sys.executable, "-c", CODE, kind, str(tmp_path / "snn.npz")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        )
        assert result.returncode == 0, result.stderr[-2000:]
        return result.stdout

    assert printed("narrow") == printed("wide") != ""
