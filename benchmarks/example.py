"""How long the spiking network takes beside ONNX Runtime on the trained example:  python benchmarks/example.py

Runs alternate in one process, with equal threads and batches, on the example's real images; the ratio is of the medians.
"""

import statistics
import time
from pathlib import Path

import numba
import numpy as np
import onnx

from ttfs_convert import convert
from ttfs_convert.reference import Reference
from ttfs_convert.simulate.exact import Simulator

EXAMPLE = Path(__file__).parent.parent / "examples" / "fashion_mnist"
RUNS = 9


def main() -> None:
    simulate = Simulator(convert(EXAMPLE / "model.onnx"))
    reference = Reference(onnx.load(EXAMPLE / "model.onnx"), threads=numba.get_num_threads())
    with np.load(EXAMPLE / "images.npz") as archive:
        images = archive["x"][:512, None].astype(np.float32) / 255
    print(f"{numba.get_num_threads()} threads, {len(images)} images, median of {RUNS} alternating runs")
    for batch in (1, 64):
        parts = [images[start:start + batch] for start in range(0, len(images), batch)]
        seconds = {"ours": [], "onnxruntime": []}
        for _ in range(RUNS + 1):
            for name, engine in (("ours", simulate), ("onnxruntime", reference)):
                start = time.perf_counter()
                for part in parts:
                    engine(part)
                seconds[name].append(time.perf_counter() - start)
        ours, theirs = (statistics.median(times[1:]) for times in seconds.values())  # the first run compiles
        print(f"batch {batch:2}: ours {1e3 * ours / len(images):.3f} ms an image, ONNX Runtime {1e3 * theirs / len(images):.3f}, "
              f"{ours / theirs:.1f} times as long")


if __name__ == "__main__":
    main()
