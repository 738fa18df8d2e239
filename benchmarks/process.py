"""Figures of whole processes: start-up, compilation, peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .memory import prepare

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "fashion_mnist"
RUN = """
import numpy as np
from ttfs_convert import convert
from ttfs_convert.simulation.engines import simulate
print(simulate(convert({model!r}), np.zeros((1, 1, 28, 28), np.float32)).potentials.shape, flush=True)
"""


def measured(*arguments: str, **environment: str) -> tuple[float, str]:
    """Seconds that a Python process takes to its first line of output, and that line."""
    start = time.perf_counter()
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, **environment}) as process:
        line = process.stdout.readline()
        taken = time.perf_counter() - start
        process.stdout.read()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return taken, line


def figures() -> dict[str, float]:
    code = RUN.format(model=str(EXAMPLE / "model.onnx"))
    found = {"ttfs-run --help, seconds": min(measured("-m", "ttfs_convert.cli.run", "--help")[0] for _ in range(3))}
    with tempfile.TemporaryDirectory() as cache:
        found["first result of a new installation (compiles), seconds"] = measured("-c", code, XDG_CACHE_HOME=cache)[0]
        found["first result from then on, seconds"] = min(measured("-c", code, XDG_CACHE_HOME=cache)[0] for _ in range(3))
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        peaks = {engine: int(measured("-m", "benchmarks.memory", engine, folder)[1]) for engine in ("nothing", "exact", "onnxruntime")}
    found.update({f"peak memory, VGG-16 at batch 64, {engine}, MB": peak / 1e6 for engine, peak in peaks.items()})
    return found
