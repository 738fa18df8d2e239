"""What `ttfs-convert --calibrate` takes on 1,000 images beside ONNX Runtime:  python -m benchmarks.calibration_cost

Processor seconds of the whole conversion, and of ONNX Runtime for the same images and the same inner tensors, in batches of 64: the example's
residual network, whose ReLUs have no upper end, and full-width VGG-16 for 32 pixels. The README's network needs no data.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from ttfs_convert import convert
from ttfs_convert.onnx_model.reference import Reference

from .cases import EXAMPLE
from .large_models import NETWORKS

IMAGES, BATCH, ROUNDS = 1000, 64, 3


def seconds(function: Callable[[], object]) -> float:
    """Processor time of a call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def measured(path: Path) -> tuple[float, float]:
    """The least of some conversions, and of ONNX Runtime's runs, in turn."""
    model = onnx.load(path)
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim][1:]
    x = np.random.default_rng(0).random((IMAGES, *shape), np.float32)
    reference = Reference(model, [name for node in model.graph.node if node.op_type == "Relu" for name in node.output])
    turns = [
        (
            seconds(lambda: convert(path, mode="exact", calibrate=x)),
            seconds(lambda: [reference(x[first : first + BATCH]) for first in range(0, IMAGES, BATCH)]),
        )
        for _ in range(ROUNDS)
    ]
    ours, theirs = zip(*turns)
    return min(ours), min(theirs)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        vgg = Path(folder) / "vgg16.onnx"
        NETWORKS["VGG-16, 32 px"]().save(vgg)
        for name, path in (("residual network of the example", EXAMPLE / "resnet.onnx"), ("VGG-16, 32 px", vgg)):
            ours, theirs = measured(path)
            print(f"{name}: conversion {ours:.2f} s, ONNX Runtime {theirs:.2f} s, {ours / theirs:.2f} times", flush=True)


if __name__ == "__main__":
    main()
