"""One engine, one batch of 64 images through VGG-16; prints its peak memory:  python -m benchmarks.memory exact|onnxruntime|nothing FOLDER

FOLDER holds what `prepare` wrote there, so that the cost of making the network is not part of it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

IMAGES = 64


def prepare(folder: Path) -> None:
    import onnx

    from ttfs_convert import convert, save

    from .models import vgg16

    onnx.save(vgg16(0.7).model(), str(folder / "model.onnx"))
    save(convert(folder / "model.onnx", mode="exact", embed=False), folder / "snn.npz")


def run(engine: str, folder: Path) -> None:
    images = np.random.default_rng(0).random((IMAGES, 3, 32, 32), np.float32)
    if engine == "exact":
        from ttfs_convert import load
        from ttfs_convert.simulation.exact_engine import Simulator

        Simulator(load(folder / "snn.npz"))(images)
    elif engine == "onnxruntime":
        import onnxruntime

        onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"]).run(None, {"input": images})


def peak() -> int:
    """Bytes. Not `ru_maxrss`, which a process inherits from the one that started it."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(lines["VmHWM"].split()[0])


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]))
    print(peak())
